/// Pooling on the CPU: windows in parallel forward, pictures in parallel backward.
#pragma once
#include <span>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/windows.hpp>
#include <flamingo/ops/pooling.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Pooling<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  static void max(Context<P>& ctx, In<P> x, std::span<const Grid> grids, const Window& window, Out<P> y) {
    each_window(ctx, grids, window, y.rows, [&](const Place& at) {
      line(y, at.window) = line(x, at.cell(at.top, at.left));
      each_cell(at, [&](int cell) { line(y, at.window) = line(y, at.window).max(line(x, cell)); });
    });
  }
  static void max_backward(Context<P>& ctx, In<P> x, std::span<const Grid> grids, const Window& window, In<P> dy,
                           Out<P> dx) {
    line(dx).setZero();
    each_picture(ctx, grids, window, [&](const Place& at) {
      for (int c = 0; c < x.width; ++c) {
        int largest = at.cell(at.top, at.left);
        each_cell(at, [&](int cell) {
          if (x.row(cell)[c] > x.row(largest)[c]) largest = cell;
        });
        dx.row(largest)[c] += dy.row(at.window)[c];
      }
    });
  }

  static void average(Context<P>& ctx, In<P> x, std::span<const Grid> grids, const Window& window, Out<P> y) {
    each_window(ctx, grids, window, y.rows, [&](const Place& at) {
      line(y, at.window).setZero();
      each_cell(at, [&](int cell) { line(y, at.window) += line(x, cell); });
      line(y, at.window) /= R(at.cells());
    });
  }
  static void average_backward(Context<P>& ctx, std::span<const Grid> grids, const Window& window, In<P> dy,
                               Out<P> dx) {
    line(dx).setZero();
    each_picture(ctx, grids, window, [&](const Place& at) {
      each_cell(at, [&](int cell) { line(dx, cell) += line(dy, at.window) / R(at.cells()); });
    });
  }

  static void mean(Context<P>& ctx, In<P> x, std::span<const Grid> grids, Out<P> y) {
    ctx.threads().run(y.rows, [&](int m) {
      const Grid& grid = grids[static_cast<std::size_t>(m)];
      line(y, m).setZero();
      for (int n = grid.first; n < grid.first + grid.rows(); ++n) line(y, m) += line(x, n);
      line(y, m) /= R(grid.rows());
    });
  }
  static void mean_backward(Context<P>& ctx, std::span<const Grid> grids, In<P> dy, Out<P> dx) {
    ctx.threads().run(dy.rows, [&](int m) {
      const Grid& grid = grids[static_cast<std::size_t>(m)];
      for (int n = grid.first; n < grid.first + grid.rows(); ++n) line(dx, n) = line(dy, m) / R(grid.rows());
    });
  }

 private:
  template <class F>
  static void each_cell(const Place& at, const F& f) {
    for (int k = at.top; k < at.bottom; ++k)
      for (int l = at.left; l < at.right; ++l) f(at.cell(k, l));
  }
  template <class F>
  static void each_window(Context<P>& ctx, std::span<const Grid> grids, const Window& window, int count, const F& f) {
    const auto scope = ctx.scope();
    const Windows windows(ctx, grids, window);
    parallel_pieces(ctx.threads(), static_cast<std::size_t>(count), 16, [&](std::size_t first, std::size_t size) {
      windows.visit(static_cast<int>(first), static_cast<int>(size), f);
    });
  }
  /// Windows of one picture overlap, so they are one task.
  template <class F>
  static void each_picture(Context<P>& ctx, std::span<const Grid> grids, const Window& window, const F& f) {
    const auto scope = ctx.scope();
    const Windows windows(ctx, grids, window);
    ctx.threads().run(windows.pictures(), [&](int picture) {
      const Grid& out = windows.out[static_cast<std::size_t>(picture)];
      windows.visit(out.first, out.rows(), f);
    });
  }
};

}  // namespace flamingo::kernels
