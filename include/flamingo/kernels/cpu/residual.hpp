/// Sums of rows on the CPU.
#pragma once
#include <algorithm>
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Residual<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using M = VectorMath<R, Set>;
  using V = typename M::Vector;
  using Part = typename M::Part;

  static void add(Context<P>& ctx, In<P> a, In<P> b, Out<P> y) {
    each(ctx, y.size(), [&](Part i) { i.store(y.data, i.load(a.data) + i.load(b.data)); });
  }
  static void subtract(Context<P>& ctx, In<P> a, In<P> b, Out<P> y) {
    each(ctx, y.size(), [&](Part i) { i.store(y.data, i.load(a.data) - i.load(b.data)); });
  }
  template <class X, class Y>
  static void copy(Context<P>& ctx, const X& x, const Y& y) {
    parallel_pieces(ctx.threads(), x.size(), grain,
                    [&](std::size_t first, std::size_t count) { std::copy_n(x.data + first, count, y.data + first); });
  }
  template <class Gate>
  static void gated_add(Context<P>& ctx, In<P> x, const Gate& gate, In<P> branch, Out<P> y) {
    through(ctx, gate, y, [=](int n, const R* t) {
      const R *from = x.row(n), *added = branch.row(n);
      R* const to = y.row(n);
      M::along(static_cast<std::size_t>(y.width),
               [=](Part i) { i.store(to, i.load(from) + i.load(t) * i.load(added)); });
    });
  }
  template <class Gate>
  static void gated_backward(Context<P>& ctx, const Gate& gate, In<P> dy, Out<P> dbranch) {
    through(ctx, gate, dy, [=](int n, const R* t) {
      const R* from = dy.row(n);
      R* const to = dbranch.row(n);
      M::along(static_cast<std::size_t>(dy.width), [=](Part i) { i.store(to, i.load(t) * i.load(from)); });
    });
  }
  template <class Gate, class DGate>
  static void gate_backward(Context<P>& ctx, const Gate& gate, In<P> branch, In<P> dy, const DGate& dgate) {
    if constexpr (Gate::extent == 1) {
      const R t = std::tanh(gate.data[0]);
      dgate.data[0] += (R(1) - t * t) * static_cast<R>(dot(ctx, dy, branch));
    } else {
      parallel_columns(ctx.threads(), dy.rows, dy.width, [&](std::size_t first, std::size_t count) {
        M::along(count, [&](Part part) {
          const Part i{first + part.first, part.count};
          V sum{};
          for (int n = 0; n < dy.rows; ++n) sum += i.load(dy.row(n)) * i.load(branch.row(n));
          const V t = M::tanh(i.load(gate.data));
          i.store(dgate.data, i.load(dgate.data) + (R(1) - t * t) * sum);
        });
      });
    }
  }
  template <class S>
  static void exp_scale(Context<P>& ctx, In<P> x, const S& s, Out<P> y) {
    const R scale = std::exp(s.data[0]);
    each(ctx, x.size(), [&](Part i) { i.store(y.data, scale * i.load(x.data)); });
  }
  template <class S>
  static void exp_scale_backward_input(Context<P>& ctx, const S& s, In<P> dy, Out<P> dx) {
    const R scale = std::exp(s.data[0]);
    each(ctx, dy.size(), [&](Part i) { i.store(dx.data, i.load(dx.data) + scale * i.load(dy.data)); });
  }
  template <class DS>
  static void exp_scale_backward_scale(Context<P>& ctx, In<P> y, In<P> dy, const DS& ds) {
    ds.data[0] += static_cast<R>(dot(ctx, dy, y));
  }

 private:
  static constexpr std::size_t grain = 16384;  ///< numbers that a thread is worth

  template <class F>
  static void each(Context<P>& ctx, std::size_t size, const F& f) {
    parallel_pieces(ctx.threads(), size, grain, [&](std::size_t first, std::size_t count) {
      M::each(count, [&](Part i) { f(Part{first + i.first, i.count}); });
    });
  }
  /// f(row, tanh(gate) of each of its columns)
  template <class Gate, class F>
  static void through(Context<P>& ctx, const Gate& gate, In<P> rows, const F& f) {
    const auto scope = ctx.scope();
    const auto size = static_cast<std::size_t>(rows.width);
    const auto t = scratch(ctx, 1, int(rows.width));
    if constexpr (Gate::extent == 1)
      std::fill_n(t.data, size, R(std::tanh(gate.data[0])));
    else
      M::along(size, [=](Part i) { i.store(t.data, M::tanh(i.load(gate.data))); });
    parallel_rows(ctx.threads(), rows.rows, rows.width, [&](int first, int count) {
      for (int n = first; n < first + count; ++n) f(n, static_cast<const R*>(t.data));
    });
  }
  /// <a, b>: row by row, and in double between rows, as a float sum over all N D numbers would lose digits.
  static double dot(Context<P>& ctx, In<P> a, In<P> b) {
    const auto scope = ctx.scope();
    const auto sums = take_vector<R>(ctx, a.rows);
    parallel_rows(ctx.threads(), a.rows, a.width, [&](int first, int count) {
      for (int n = first; n < first + count; ++n) {
        const R *left = a.row(n), *right = b.row(n);
        sums.data[n] = M::sum(static_cast<std::size_t>(a.width), [=](Part i) { return i.load(left) * i.load(right); });
      }
    });
    double sum = 0;
    for (int n = 0; n < a.rows; ++n) sum += static_cast<double>(sums.data[n]);
    return sum;
  }
};

}  // namespace flamingo::kernels
