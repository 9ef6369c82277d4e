/// What standardised weights take: memory alone.
#pragma once
#include <flamingo/ops/standardise.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Standardise<Dry<Q>> {
  using P = Dry<Q>;

  template <class W, class Gain, class Y>
  static void forward(Context<P>&, const Standardisation&, const W&, const Gain&, const Y&) {}
  template <class W, class Gain, class DY, class DW, class DGain>
  static void backward(Context<P>&, const Standardisation&, const W&, const Gain&, const DY&, const DW&, const DGain&) {
  }
};

}  // namespace flamingo::kernels
