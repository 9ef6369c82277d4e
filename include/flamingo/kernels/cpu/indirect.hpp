/// Convolution without gathered windows (Dukhan 2019, "The Indirect Convolution Algorithm"): the matrix product's
/// tiles, whose rows are found through a table of who sees whom. A window's cells are read where they lie, so a kernel
/// of nine cells costs no nine copies of its picture.
#pragma once
#include <algorithm>
#include <cstddef>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/gemm.hpp>
#include <flamingo/kernels/cpu/windows.hpp>

namespace flamingo::kernels {

/// For each of `count` rows and each cell of a window, the row of the other side that it is multiplied with; -1: none.
struct Partners {
  int* data;
  int count, cells;
  int* order = nullptr;  ///< all rows, those with partners at the same cells side by side; null: they lie so

  int* of(int row) const { return data + static_cast<std::ptrdiff_t>(row) * cells; }
  int row(int i) const { return order ? order[i] : i; }
};

template <class Ctx>
int* scratch_ints(Ctx& ctx, int count) {
  return reinterpret_cast<int*>(ctx.arena().scratch(static_cast<std::size_t>(count) * sizeof(int)));
}
template <class Ctx>
Partners partners(Ctx& ctx, int rows, const Windows& windows) {
  const Partners table{scratch_ints(ctx, rows * windows.window.cells()), rows, windows.window.cells()};
  std::fill_n(table.data, rows * table.cells, -1);
  return table;
}
/// Calls f(window, its cell, row of the cell) where the cell lies in the picture; windows are shared between threads.
template <class Ctx, class F>
void each_pair(Ctx& ctx, const Windows& windows, const F& f) {
  const int width = windows.window.width;
  windows.lines(ctx, [&](Place at, int count) {
    for (int begin = at.window, i = 0; i < count; ++i) {
      windows.move(at, begin, i);
      for (int k = at.top; k < at.bottom; ++k)
        for (int l = at.left; l < at.right; ++l) f(at.window, k * width + l, at.cell(k, l));
    }
  });
}
/// The cells that each window sees.
template <class Ctx>
Partners cells_of_windows(Ctx& ctx, int rows, const Windows& windows) {
  const Partners table = partners(ctx, rows, windows);
  each_pair(ctx, windows, [&](int window, int k, int cell) { table.of(window)[k] = cell; });
  return table;
}
/// The windows that see each cell: a cell is seen through one of its cells by at most one window.
template <class Ctx>
Partners windows_of_cells(Ctx& ctx, int rows, const Windows& windows) {
  Partners table = partners(ctx, rows, windows);
  each_pair(ctx, windows, [&](int window, int k, int cell) { table.of(cell)[k] = window; });
  if (windows.window.stride == 1) return table;
  // Windows that move by two see a cell through every other of their cells: which, its first partner tells.
  table.order = scratch_ints(ctx, rows);
  int placed = 0;
  for (int first = 0; first <= table.cells; ++first)
    for (int row = 0; row < rows; ++row) {
      const int* all = table.of(row);
      if (std::find_if(all, all + table.cells, [](int partner) { return partner >= 0; }) - all == first)
        table.order[placed++] = row;
    }
  return table;
}

template <class R, Isa Set>
struct Indirect {
  using P = Cpu<R, Set>;
  using G = Gemm<R, Set>;
  using V = typename G::V;
  static constexpr int mr = Tile<R, Set>::mr, nr = G::nr, lanes = G::lanes;

  /// to[r] + column += (from[r] + offset) B over k numbers, B a packed panel (k, nr).
  template <int Rows>
  static void tile(int k, const R* const* from, std::size_t offset, const R* panel, R* const* to, int column,
                   int columns) {
    [&]<int... r>(std::integer_sequence<int, r...>) {
      const R* const a[std::size_t{Rows}] = {from[r] + offset...};
      V low[std::size_t{Rows}] = {}, high[std::size_t{Rows}] = {};
      for (int i = 0; i < k; ++i, panel += nr) {
        const V b0 = G::load(panel), b1 = G::load(panel + lanes);
        ((low[r] += a[r][i] * b0, high[r] += a[r][i] * b1), ...);
      }
      (G::add(to[r] + column, low[r], high[r], columns), ...);
    }(std::make_integer_sequence<int, Rows>{});
  }
  /// A tile of 1 .. mr rows.
  template <int Rows = mr>
  static void tile_of(int rows, int k, const R* const* from, std::size_t offset, const R* panel, R* const* to,
                      int column, int columns) {
    if constexpr (Rows > 0) {
      if (rows == Rows)
        tile<Rows>(k, from, offset, panel, to, column, columns);
      else
        tile_of<Rows - 1>(rows, k, from, offset, panel, to, column, columns);
    }
  }

  /// y[row] += Σ over cells k of x[partner k of row] B(k), group by group; `depth` channels of x meet `wide` of y.
  ///
  /// pack(g, k, i0, kn, panels) writes rows [i0, i0 + kn) of B(k) of group g, `wide` columns in panels of nr.
  using Pack = FunctionRef<void(int g, int k, int i0, int kn, R* panels)>;
  static void run(Context<P>& ctx, In<P> x, const Partners& table, int groups, Out<P> y, Pack pack) {
    const auto scope = ctx.scope();
    const int depth = x.width / groups, wide = y.width / groups, padded = (wide + nr - 1) / nr * nr;
    const int parts = (depth + G::kc - 1) / G::kc, blocks_of_k = table.cells * parts;
    // All rows meet the same weights: they are packed once. Part p of cell k begins at its first row of B.
    const auto packed = scratch(ctx, groups * table.cells * depth, padded);
    const auto panels_of = [&](int g, int k, int p) { return packed.row((g * table.cells + k) * depth + p * G::kc); };
    const auto size_of_part = [&](int p) { return std::min(G::kc, depth - p * G::kc); };
    ctx.threads().run(groups * blocks_of_k, [&](int task) {
      const int g = task / blocks_of_k, k = task % blocks_of_k / parts, p = task % parts;
      pack(g, k, p * G::kc, size_of_part(p), panels_of(g, k, p));
    });
    const auto nothing = scratch(ctx, 1, int(x.width));  // what lies beyond an edge
    line(nothing).setZero();

    // A block's rows of x stay in the second-level cache while all panels pass by.
    constexpr int tiles = 16, block = mr * tiles;
    const int blocks = (table.count + block - 1) / block;
    ctx.threads().run(blocks * groups, [&](int task) {
      const int g = task % groups, first = task / groups * block, count = std::min(block, table.count - first);
      const R* from[std::size_t{block}];
      R* to[std::size_t{block}];
      for (int i = 0; i < count; ++i) to[i] = y.row(table.row(first + i)) + g * wide;
      for (int k = 0; k < table.cells; ++k) {
        bool any_partner = false;
        for (int i = 0; i < count; ++i) {
          const int partner = table.of(table.row(first + i))[k];
          any_partner = any_partner || partner >= 0;
          from[i] = partner < 0 ? nothing.data : x.row(partner);
        }
        if (!any_partner) continue;
        for (int p = 0; p < parts; ++p) {
          const int kn = size_of_part(p);
          const std::size_t offset = static_cast<std::size_t>(g * depth + p * G::kc);
          const R* panels = panels_of(g, k, p);
          for (int n = 0; n < wide; n += nr)
            for (int m = 0; m < count; m += mr)
              tile_of(std::min(mr, count - m), kn, from + m, offset,
                      panels + static_cast<std::size_t>(n) * static_cast<std::size_t>(kn), to + m, n,
                      std::min(nr, wide - n));
        }
      }
    });
  }
};

}  // namespace flamingo::kernels
