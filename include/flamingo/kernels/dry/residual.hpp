/// What sums of rows take: their operands alone but for gates, which the CPU opens once for all rows.
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo::kernels {

/// tanh of the gate of each of so many columns.
template <Platform Q>
void take_open_gates(Context<Dry<Q>>& ctx, int width) {
  const auto scope = ctx.scope();
  scratch(ctx, 1, width);
}
template <Real R>
void take_open_gates(Context<Dry<Cuda<R>>>&, int) {}

template <Platform Q>
struct Residual<Dry<Q>> {
  using P = Dry<Q>;

  static void add(Context<P>&, In<P>, In<P>, Out<P>) {}
  static void subtract(Context<P>&, In<P>, In<P>, Out<P>) {}
  template <class X, class Y>
  static void copy(Context<P>&, const X&, const Y&) {}
  template <class Gate>
  static void gated_add(Context<P>& ctx, In<P>, const Gate&, In<P>, Out<P> y) {
    take_open_gates(ctx, y.width);
  }
  template <class Gate>
  static void gated_backward(Context<P>& ctx, const Gate&, In<P>, Out<P> dbranch) {
    take_open_gates(ctx, dbranch.width);
  }
  template <class Gate, class DGate>
  static void gate_backward(Context<P>&, const Gate&, In<P>, In<P>, const DGate&) {}
  template <class S>
  static void exp_scale(Context<P>&, In<P>, const S&, Out<P>) {}
  template <class S>
  static void exp_scale_backward_input(Context<P>&, const S&, In<P>, Out<P>) {}
  template <class DS>
  static void exp_scale_backward_scale(Context<P>&, In<P>, In<P>, const DS&) {}
};

}  // namespace flamingo::kernels
