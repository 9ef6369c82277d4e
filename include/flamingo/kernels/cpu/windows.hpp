/// Where the windows of many pictures lie among rows, for kernels that walk over them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/grid.hpp>

namespace flamingo::kernels {

/// One window: its row among all windows, and the part of it [top, bottom) x [left, right) that lies in the picture.
struct Place {
  int window;        ///< row of the output
  int top, bottom;   ///< lines of the window inside the picture
  int left, right;   ///< columns of the window inside the picture
  int first, width;  ///< the picture's first row and its width
  int line, column;  ///< where the window begins in the picture; negative beyond its edge

  /// The row of cell (k, l) of the window.
  int cell(int k, int l) const { return first + (line + k) * width + column + l; }
  int cells() const { return (bottom - top) * (right - left); }
};

/// The windows of all pictures, in the order of the output's rows.
struct Windows {
  std::span<const Grid> grids;
  Window window;
  std::span<Grid> out;  ///< grids of the windows

  template <class Ctx>
  Windows(Ctx& ctx, std::span<const Grid> pictures, const Window& moving) : grids(pictures), window(moving) {
    out = {reinterpret_cast<Grid*>(ctx.arena().scratch(pictures.size() * sizeof(Grid))), pictures.size()};
    int first = 0;
    for (std::size_t i = 0; i < grids.size(); ++i) {
      out[i] = windows_of(grids[i], window, first);
      first += out[i].rows();
    }
  }

  int pictures() const { return static_cast<int>(grids.size()); }

  /// Calls f(Place) for windows [first, first + count).
  template <class F>
  void visit(int first, int count, const F& f) const {
    auto picture = static_cast<std::size_t>(
        std::upper_bound(out.begin(), out.end(), first, [](int row, const Grid& g) { return row < g.first; }) -
        out.begin() - 1);
    for (int n = first; n < first + count; ++picture) {
      const int end = std::min(first + count, out[picture].first + out[picture].rows());
      for (; n < end; ++n) f(place(picture, n));
    }
  }

  /// Calls f(place of the line's first window, windows in the line) for each line of windows; lines are shared between
  /// threads.
  template <class Ctx, class F>
  void lines(Ctx& ctx, const F& f) const {
    std::size_t total = 0;
    for (const Grid& grid : out) total += static_cast<std::size_t>(grid.height);
    parallel_pieces(ctx.threads(), total, 1, [&](std::size_t first, std::size_t count) {
      std::size_t picture = 0, before = 0;  // lines of the pictures before
      for (std::size_t at = first; at < first + count; ++at) {
        while (at >= before + static_cast<std::size_t>(out[picture].height))
          before += static_cast<std::size_t>(out[picture++].height);
        const Grid& grid = out[picture];
        f(place(picture, grid.first + static_cast<int>(at - before) * grid.width), grid.width);
      }
    });
  }

  /// The part of `at` that remains when it moves to column i of its line of windows.
  void move(Place& at, int begin, int i) const {
    at.window = begin + i;
    at.column = i * window.stride - before(at.width, window.width);
    at.left = std::max(0, -at.column);
    at.right = std::min(window.width, at.width - at.column);
  }

 private:
  int before(int size, int kernel) const { return windows_along(size, kernel, window).before; }

  Place place(std::size_t picture, int n) const {
    const Grid &in = grids[picture], &to = out[picture];
    const int line = (n - to.first) / to.width * window.stride - before(in.height, window.height);
    const int column = (n - to.first) % to.width * window.stride - before(in.width, window.width);
    return {n,
            std::max(0, -line),
            std::min(window.height, in.height - line),
            std::max(0, -column),
            std::min(window.width, in.width - column),
            in.first,
            in.width,
            line,
            column};
  }
};

}  // namespace flamingo::kernels
