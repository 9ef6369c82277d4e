/// What sums of rows take: memory alone.
#pragma once
#include <flamingo/ops/residual.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Residual<Dry<Q>> {
  using P = Dry<Q>;

  static void add(Context<P>&, In<P>, In<P>, Out<P>) {}
  static void subtract(Context<P>&, In<P>, In<P>, Out<P>) {}
  template <class X, class Y>
  static void copy(Context<P>&, const X&, const Y&) {}
  template <class Gate>
  static void gated_add(Context<P>&, In<P>, const Gate&, In<P>, Out<P>) {}
  template <class Gate>
  static void gated_backward(Context<P>&, const Gate&, In<P>, Out<P>) {}
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
