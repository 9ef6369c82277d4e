/// What non-linearities take: memory alone.
#pragma once
#include <flamingo/ops/activation.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Activate<Dry<Q>> {
  using P = Dry<Q>;

  template <Activation A>
  static void forward(Context<P>&, In<P>, Out<P>) {}
  template <Activation A>
  static void backward(Context<P>&, In<P>, In<P>, Out<P>) {}
  template <Activation A>
  static void scaled(Context<P>&, double, In<P>, Out<P>) {}
  template <Activation A>
  static void scaled_backward(Context<P>&, double, In<P>, In<P>, Out<P>) {}
  static void clamp(Context<P>&, float, Out<P>) {}
  static void clamp_backward(Context<P>&, float, In<P>, Out<P>) {}
  template <Activation A>
  static void gated(Context<P>&, In<P>, In<P>, Out<P>) {}
  template <Activation A>
  static void gated_backward(Context<P>&, In<P>, In<P>, In<P>, Out<P>, Out<P>) {}
};

}  // namespace flamingo::kernels
