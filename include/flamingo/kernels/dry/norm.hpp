/// What norms take: memory alone.
#pragma once
#include <flamingo/ops/norm.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Norm<Dry<Q>> {
  using P = Dry<Q>;

  template <class Scale, class Bias>
  static void layer(Context<P>&, In<P>, const Scale&, const Bias&, float, Out<P>, Moments<P>) {}
  template <class Scale>
  static void layer_backward_input(Context<P>&, In<P>, Moments<P>, const Scale&, In<P>, Out<P>) {}
  template <class DScale, class DBias>
  static void layer_backward_weights(Context<P>&, In<P>, Moments<P>, In<P>, const DScale&, const DBias&) {}
  template <class Scale>
  static void rms(Context<P>&, In<P>, const Scale&, float, Out<P>, Moments<P>) {}
  template <class Scale>
  static void rms_backward_input(Context<P>&, In<P>, Moments<P>, const Scale&, In<P>, Out<P>) {}
  template <class DScale>
  static void rms_backward_weights(Context<P>&, In<P>, Moments<P>, In<P>, const DScale&) {}
};

}  // namespace flamingo::kernels
