/// Sums of rows on the CPU.
#pragma once
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Residual<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  static void add(Context<P>& ctx, In<P> a, In<P> b, Out<P> y) {
    parallel_pieces(ctx.threads(), y.size(), 32768, [&](std::size_t at, std::size_t n) {
      line(y.data + at, n) = line(a.data + at, n) + line(b.data + at, n);
    });
  }
  static void subtract(Context<P>& ctx, In<P> a, In<P> b, Out<P> y) {
    parallel_pieces(ctx.threads(), y.size(), 32768, [&](std::size_t at, std::size_t n) {
      line(y.data + at, n) = line(a.data + at, n) - line(b.data + at, n);
    });
  }
  template <class X, class Y>
  static void copy(Context<P>&, const X& x, const Y& y) {
    line(y) = line(x);
  }
  template <class Gate>
  static void gated_add(Context<P>&, In<P> x, const Gate& gate, In<P> branch, Out<P> y) {
    if constexpr (Gate::extent == 1) {
      line(y) = line(x) + std::tanh(gate.data[0]) * line(branch);
    } else {
      const Line<R> t = line(gate).tanh();
      for (int n = 0; n < y.rows; ++n) line(y, n) = line(x, n) + t * line(branch, n);
    }
  }
  template <class Gate>
  static void gated_backward(Context<P>&, const Gate& gate, In<P> dy, Out<P> dbranch) {
    if constexpr (Gate::extent == 1) {
      line(dbranch) = std::tanh(gate.data[0]) * line(dy);
    } else {
      const Line<R> t = line(gate).tanh();
      for (int n = 0; n < dy.rows; ++n) line(dbranch, n) = t * line(dy, n);
    }
  }
  template <class Gate, class DGate>
  static void gate_backward(Context<P>&, const Gate& gate, In<P> branch, In<P> dy, const DGate& dgate) {
    if constexpr (Gate::extent == 1) {
      const R t = std::tanh(gate.data[0]);
      double sum = 0;  // row by row: a float sum over all of N D numbers would lose digits
      for (int n = 0; n < dy.rows; ++n) sum += static_cast<double>((line(dy, n) * line(branch, n)).sum());
      dgate.data[0] += (R(1) - t * t) * static_cast<R>(sum);
    } else {
      const Line<R> slope = R(1) - line(gate).tanh().square();
      for (int n = 0; n < dy.rows; ++n) line(dgate) += slope * line(dy, n) * line(branch, n);
    }
  }
  template <class S>
  static void exp_scale(Context<P>&, In<P> x, const S& s, Out<P> y) {
    line(y) = std::exp(s.data[0]) * line(x);
  }
  template <class S>
  static void exp_scale_backward_input(Context<P>&, const S& s, In<P> dy, Out<P> dx) {
    line(dx) += std::exp(s.data[0]) * line(dy);
  }
  template <class DS>
  static void exp_scale_backward_scale(Context<P>&, In<P> y, In<P> dy, const DS& ds) {
    double sum = 0;  // as above
    for (int n = 0; n < dy.rows; ++n) sum += static_cast<double>((line(dy, n) * line(y, n)).sum());
    ds.data[0] += static_cast<R>(sum);
  }
};

}  // namespace flamingo::kernels
