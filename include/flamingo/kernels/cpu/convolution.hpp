/// Convolution on the CPU: by the matrix product's tiles over cells where they lie (indirect.hpp); windows of few
/// channels gathered as its rows; channels filtered alone directly.
#pragma once
#include <algorithm>
#include <cstring>
#include <span>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/gemm_eigen.hpp>
#include <flamingo/kernels/cpu/indirect.hpp>
#include <flamingo/kernels/cpu/windows.hpp>
#include <flamingo/ops/convolution.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Convolution<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using G = GemmOf<P>;
  using Vector = typename Tile<R, Set>::Vector;
  static constexpr int lanes = Tile<R, Set>::lanes;

  template <class W>
  static void forward(Context<P>& ctx, In<P> x, std::span<const Grid> grids, const W& w, const R* b,
                      const Window& window, int groups, Out<P> y, Clip clip) {
    const auto scope = ctx.scope();
    const Windows windows(ctx, grids, window);
    const auto source = source_of<R>(w);
    if (groups == x.width && groups == y.width)
      depthwise(ctx, x, windows, taps_first(ctx, source, groups, window.cells()), b, clip, y);
    else if (!has_tiles || window.is_cell() || x.width / groups < shallow)
      product(ctx, x, windows, source, groups, b, clip, y);
    else if constexpr (has_tiles)
      indirect(ctx, x, windows, source, groups, b, clip, y);
  }

  template <class W>
  static void backward_input(Context<P>& ctx, std::span<const Grid> grids, const W& w, In<P> dy, const Window& window,
                             int groups, Out<P> dx) {
    const auto scope = ctx.scope();
    const Windows windows(ctx, grids, window);
    line(dx).setZero();
    const auto source = source_of<R>(w);
    if (groups == dx.width && groups == dy.width)
      depthwise_input(ctx, windows, taps_first(ctx, source, groups, window.cells()), dy, dx);
    else if (!has_tiles || dx.width / groups < shallow)
      product_input(ctx, windows, source, groups, dy, dx);
    else if constexpr (has_tiles)
      indirect_input(ctx, windows, source, groups, dy, dx);
  }

  template <int O, int D>
  static void backward_weight(Context<P>& ctx, In<P> x, std::span<const Grid> grids, In<P> dy, const Window& window,
                              int groups, const MatrixView<P, O, D, R>& dw) {
    const auto scope = ctx.scope();
    const Windows windows(ctx, grids, window);
    if (groups == x.width && groups == dy.width)
      depthwise_weight(ctx, x, windows, dy, dw.data);
    else
      product_weight(ctx, x, windows, groups, dy, dw.data);
  }

  template <class B>
  static void backward_bias(Context<P>&, In<P> dy, const B& db) {
    for (int n = 0; n < dy.rows; ++n) line(db) += line(dy, n);
  }

 private:
  /// Register tiles that indirect.hpp can fill itself: Eigen's are its own.
  static constexpr bool has_tiles = std::is_same_v<G, Gemm<R, Set>>;
  /// So few channels of a group, a cell at a time, would not fill a tile's columns or keep it busy.
  static constexpr int shallow = 16;

  /// Windows gathered at a time: they and their outputs stay in the second-level cache.
  static int block_rows(int columns) {
    constexpr int bytes = 1 << 18, unit = Tile<R, Set>::mr * 8;
    return std::clamp(bytes / static_cast<int>(sizeof(R)) / columns / unit, 1, 8) * unit;
  }

  static void finish(const R* b, Clip clip, Out<P> y, int first, int count) {
    const bool clipped = clip.low > Clip{}.low || clip.high < Clip{}.high;
    for (int n = first; n < first + count; ++n) {
      auto row = line(y, n);
      if (b) row += line(b, static_cast<std::size_t>(y.width));
      if (clipped) row = row.max(R(clip.low)).min(R(clip.high));
    }
  }

  /// Gathers windows [first, first + count) of the channels of group g: rows of (cells, depth). Cells outside are zero.
  static void gather(In<P> x, const Windows& windows, int g, int depth, int first, int count, R* to) {
    const Window& window = windows.window;
    const auto copy = [&](int cells, const R* from) {
      if (depth == x.width) {
        std::memcpy(to, from, static_cast<std::size_t>(cells * depth) * sizeof(R));
        to += cells * depth;
      } else {
        for (int i = 0; i < cells; ++i, from += x.width, to += depth)
          std::memcpy(to, from, static_cast<std::size_t>(depth) * sizeof(R));
      }
    };
    const auto blank = [&](int cells) {
      std::fill_n(to, cells * depth, R(0));
      to += cells * depth;
    };
    windows.visit(first, count, [&](const Place& at) {
      blank(at.top * window.width);
      for (int k = at.top; k < at.bottom; ++k) {
        blank(at.left);
        copy(at.right - at.left, x.row(at.cell(k, at.left)) + g * depth);
        blank(window.width - at.right);
      }
      blank((window.height - at.bottom) * window.width);
    });
  }

  /// y = x wᵀ over gathered windows; a window of one cell is read in place.
  static void product(Context<P>& ctx, In<P> x, const Windows& windows, const AnySource<R>& source, int groups,
                      const R* b, Clip clip, Out<P> y) {
    const int depth = x.width / groups, columns = windows.window.cells() * depth, outputs = y.width / groups;
    const int block = block_rows(columns), blocks = (y.rows + block - 1) / block;
    const int workers = std::min(blocks, 4 * ctx.threads().count());
    const bool in_place = windows.window.is_cell();
    const auto gathered = scratch(ctx, in_place ? 0 : workers * block, columns);
    // All blocks of windows meet the same weights: they are packed once, and blocks copy panels.
    const int padded = G::whole(outputs);
    const auto packed = scratch(ctx, groups * columns, padded);
    const int parts = (columns + G::kc - 1) / G::kc;
    ctx.threads().run(groups * parts, [&](int task) {
      const int g = task / parts, k0 = task % parts * G::kc;
      G::pack_columns(source.from(g * outputs), k0, std::min(G::kc, columns - k0), 0, outputs,
                      packed.row(g * columns + k0));
    });
    ctx.threads().run(workers, [&](int worker) {
      R* rows = in_place ? nullptr : gathered.row(worker * block);
      for (int n = worker * block; n < y.rows; n += workers * block) {
        const int count = std::min(block, y.rows - n);
        for (int g = 0; g < groups; ++g) {
          if (!in_place) gather(x, windows, g, depth, n, count, rows);
          const typename G::Left left = in_place ? typename G::Left{x.row(n) + g * depth, stride_of(x), 1}
                                                 : typename G::Left{rows, static_cast<std::size_t>(columns), 1};
          G::run(ctx.threads(), count, outputs, columns, left, {y.row(n) + g * outputs, stride_of(y), false},
                 [&](int k0, int kn, int n0, int nn, R* panels) {
                   const R* from =
                       packed.row(g * columns + k0) + static_cast<std::size_t>(n0) * static_cast<std::size_t>(kn);
                   const int wide = G::whole(nn);
                   std::memcpy(panels, from, static_cast<std::size_t>(wide) * static_cast<std::size_t>(kn) * sizeof(R));
                 });
        }
        finish(b, clip, y, n, count);
      }
    });
  }

  /// dx: each window's share dy w, added to the cells it covers, picture by picture.
  static void product_input(Context<P>& ctx, const Windows& windows, const AnySource<R>& source, int groups, In<P> dy,
                            Out<P> dx) {
    const int depth = dx.width / groups, columns = windows.window.cells() * depth, outputs = dy.width / groups;
    const int block = block_rows(columns), pictures = windows.pictures();
    const int workers = std::min(pictures, 4 * ctx.threads().count());
    const auto shares = scratch(ctx, workers * block, columns);
    ctx.threads().run(workers, [&](int worker) {
      R* rows = shares.row(worker * block);
      for (int picture = worker; picture < pictures; picture += workers) {
        const Grid& out = windows.out[static_cast<std::size_t>(picture)];
        for (int n = out.first; n < out.first + out.rows(); n += block)
          for (int g = 0; g < groups; ++g) {
            const int count = std::min(block, out.first + out.rows() - n);
            const AnySource<R> weights = source.from(g * outputs);
            G::run(ctx.threads(), count, columns, outputs, {dy.row(n) + g * outputs, stride_of(dy), 1},
                   {rows, static_cast<std::size_t>(columns), false},
                   [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_rows(weights, k0, kn, n0, nn, panels); });
            const R* share = rows;
            windows.visit(n, count, [&](const Place& at) {
              for (int k = at.top; k < at.bottom; ++k)
                for (int l = at.left; l < at.right; ++l) {
                  const auto size = static_cast<std::size_t>(depth);
                  line(dx.row(at.cell(k, l)) + g * depth, size) +=
                      line(share + (k * windows.window.width + l) * depth, size);
                }
              share += columns;
            });
          }
      }
    });
  }

  /// y = x wᵀ, cell by cell of the windows.
  static void indirect(Context<P>& ctx, In<P> x, const Windows& windows, const AnySource<R>& source, int groups,
                       const R* b, Clip clip, Out<P> y) {
    const int depth = x.width / groups, outputs = y.width / groups;
    line(y).setZero();
    Indirect<R, Set>::run(ctx, x, cells_of_windows(ctx, y.rows, windows), groups, y,
                          [&](int g, int k, int i0, int kn, R* panels) {
                            G::pack_columns(source.from(g * outputs), k * depth + i0, kn, 0, outputs, panels);
                          });
    parallel_pieces(ctx.threads(), static_cast<std::size_t>(y.rows), 64, [&](std::size_t first, std::size_t count) {
      finish(b, clip, y, static_cast<int>(first), static_cast<int>(count));
    });
  }
  /// dx += dy w over the windows that see a cell.
  static void indirect_input(Context<P>& ctx, const Windows& windows, const AnySource<R>& source, int groups, In<P> dy,
                             Out<P> dx) {
    const int depth = dx.width / groups, outputs = dy.width / groups;
    Indirect<R, Set>::run(ctx, dy, windows_of_cells(ctx, dx.rows, windows), groups, dx,
                          [&](int g, int k, int o0, int kn, R* panels) {
                            G::pack_rows(source.from(g * outputs), o0, kn, k * depth, depth, panels);
                          });
  }

  /// dw += dyᵀ x over windows, whose cells are found as they are packed.
  static void product_weight(Context<P>& ctx, In<P> x, const Windows& windows, int groups, In<P> dy, R* dw) {
    const int depth = x.width / groups, columns = windows.window.cells() * depth, outputs = dy.width / groups;
    const Partners cells = cells_of_windows(ctx, dy.rows, windows);
    // A tile reads dy by columns: those of a group are brought close together, so that they share pages.
    const auto group = scratch(ctx, groups > 1 ? dy.rows : 0, outputs);
    for (int g = 0; g < groups; ++g) {
      const SeenCells source{x, cells, g * depth, depth};
      const In<P> own = groups > 1 ? In<P>(group) : dy;
      if (groups > 1)
        parallel_pieces(ctx.threads(), static_cast<std::size_t>(dy.rows), 256,
                        [&](std::size_t first, std::size_t count) {
                          for (int n = static_cast<int>(first); n < static_cast<int>(first + count); ++n)
                            std::copy_n(dy.row(n) + g * outputs, outputs, group.row(n));
                        });
      G::run(ctx.threads(), outputs, columns, dy.rows, {own.data, 1, stride_of(own)},
             {dw + static_cast<std::size_t>(g * outputs) * static_cast<std::size_t>(columns),
              static_cast<std::size_t>(columns), true},
             [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_rows(source, k0, kn, n0, nn, panels); });
    }
  }
  /// Windows as rows of (cells, depth), read where their cells lie; those beyond an edge are zero.
  struct SeenCells {
    static constexpr bool is_plain = false;
    In<P> x;
    Partners cells;
    int first, depth;

    void read(int window, int column, int count, R* to) const {
      for (int k = column / depth, i = column % depth; count > 0; ++k, i = 0) {
        const int n = std::min(count, depth - i), cell = cells.of(window)[k];
        if (cell < 0)
          std::fill_n(to, n, R(0));
        else
          std::copy_n(x.row(cell) + first + i, n, to);
        to += n;
        count -= n;
      }
    }
  };

  /// The filters of single channels as (cells, channels), so that neighbouring channels lie side by side.
  static In<P> taps_first(Context<P>& ctx, const AnySource<R>& source, int channels, int cells) {
    const auto taps = scratch(ctx, cells, channels);
    const auto one = scratch(ctx, 1, cells);
    for (int c = 0; c < channels; ++c) {
      source.read(c, 0, cells, one.data);
      for (int k = 0; k < cells; ++k) taps.row(k)[c] = one.data[k];
    }
    return taps;
  }

  template <class V>
  static V load(const R* p) {
    V v;
    std::memcpy(&v, p, sizeof(V));
    return v;
  }

  /// A pass over channels that are filtered alone.
  struct Filter {
    In<P> x, taps;
    const R* b;
    Clip clip;
    Out<P> y;
    const Windows& windows;
  };

  /// Channels [c, c + Wide V) of `Count` windows side by side, which all see the same part of their taps.
  template <class V, int Wide, int Count>
  static void filter_cells(const Filter& f, const Place& at, int c) {
    constexpr int size = static_cast<int>(sizeof(V) / sizeof(R));
    const auto step = static_cast<std::ptrdiff_t>(f.windows.window.stride) * f.x.width;
    V sum[std::size_t{Count}][std::size_t{Wide}] = {};
    for (int k = at.top; k < at.bottom; ++k) {
      const R* cell = f.x.row(at.cell(k, at.left)) + c;
      const R* tap = f.taps.row(k * f.windows.window.width + at.left) + c;
      for (int l = at.left; l < at.right; ++l, cell += f.x.width, tap += f.x.width)
        for (int v = 0; v < Wide; ++v) {
          const V w = load<V>(tap + v * size);
          for (int i = 0; i < Count; ++i) sum[i][v] += load<V>(cell + i * step + v * size) * w;
        }
    }
    const V low = V{} + R(f.clip.low), high = V{} + R(f.clip.high);
    for (int v = 0; v < Wide; ++v) {
      const V b = f.b ? load<V>(f.b + c + v * size) : V{};
      for (int i = 0; i < Count; ++i) {
        V y = sum[i][v] + b;
        y = y < low ? low : y;
        y = y > high ? high : y;
        std::memcpy(f.y.row(at.window + i) + c + v * size, &y, sizeof(V));
      }
    }
  }

  /// All channels of `Count` windows. Channels are the inner loop: memory is read in its order.
  template <int Count>
  static void filter_channels(const Filter& f, const Place& at) {
    int c = 0;
    for (; c + 2 * lanes <= f.x.width; c += 2 * lanes) filter_cells<Vector, 2, Count>(f, at, c);
    for (; c + lanes <= f.x.width; c += lanes) filter_cells<Vector, 1, Count>(f, at, c);
    for (; c < f.x.width; ++c) filter_cells<R, 1, Count>(f, at, c);
  }

  static void depthwise(Context<P>& ctx, In<P> x, const Windows& windows, In<P> taps, const R* b, Clip clip, Out<P> y) {
    constexpr int several = 4;  // four windows of two vectors: eight sums, a tap and a load fit 16 registers
    const Filter filter{x, taps, b, clip, y, windows};
    const Window& window = windows.window;
    windows.lines(ctx, [&](Place at, int count) {
      const int begin = at.window;
      for (int i = 0; i < count;) {
        windows.move(at, begin, i);
        const int last = at.column + (several - 1) * window.stride;
        if (i + several <= count && at.column >= 0 && last + window.width <= at.width) {
          filter_channels<several>(filter, at);
          i += several;
        } else {
          filter_channels<1>(filter, at);
          ++i;
        }
      }
    });
  }

  static void depthwise_input(Context<P>& ctx, const Windows& windows, In<P> taps, In<P> dy, Out<P> dx) {
    ctx.threads().run(windows.pictures(), [&](int picture) {
      const Grid& out = windows.out[static_cast<std::size_t>(picture)];
      windows.visit(out.first, out.rows(), [&](const Place& at) {
        for (int k = at.top; k < at.bottom; ++k)
          for (int l = at.left; l < at.right; ++l)
            line(dx, at.cell(k, l)) += line(taps, k * windows.window.width + l) * line(dy, at.window);
      });
    });
  }

  static void depthwise_weight(Context<P>& ctx, In<P> x, const Windows& windows, In<P> dy, R* dw) {
    const int cells = windows.window.cells();
    const auto sums = scratch(ctx, cells, int(x.width));
    ctx.threads().run(cells, [&](int cell) {
      const int k = cell / windows.window.width, l = cell % windows.window.width;
      line(sums, cell).setZero();
      windows.visit(0, dy.rows, [&](const Place& at) {
        if (at.top <= k && k < at.bottom && at.left <= l && l < at.right)
          line(sums, cell) += line(x, at.cell(k, l)) * line(dy, at.window);
      });
    });
    for (int c = 0; c < x.width; ++c)
      for (int k = 0; k < cells; ++k) dw[c * cells + k] += sums.row(k)[c];
  }

  static std::size_t stride_of(In<P> x) { return static_cast<std::size_t>(x.width); }
};

}  // namespace flamingo::kernels
