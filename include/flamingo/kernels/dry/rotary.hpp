/// What rotations take: memory alone.
#pragma once
#include <flamingo/ops/rotary.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Rotary<Dry<Q>> {
  using P = Dry<Q>;

  static void turn(Context<P>&, const RotaryShape&, View<P, 1, const int>, Out<P>, double) {}
};

}  // namespace flamingo::kernels
