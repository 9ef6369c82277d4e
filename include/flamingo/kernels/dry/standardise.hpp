/// What standardised weights take: memory alone, on Cuda a copy of packed ones too.
#pragma once
#include <flamingo/kernels/dry/linear_unpacked.hpp>
#include <flamingo/ops/standardise.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Standardise<Dry<Q>> {
  using P = Dry<Q>;

  template <class W, class Gain, class Y>
  static void forward(Context<P>& ctx, const Standardisation&, const W& w, const Gain&, const Y&) {
    const auto scope = ctx.scope();
    take_unpacked(ctx, w);
  }
  template <class W, class Gain, class DY, class DW, class DGain>
  static void backward(Context<P>& ctx, const Standardisation&, const W& w, const Gain&, const DY&, const DW&,
                       const DGain&) {
    const auto scope = ctx.scope();
    take_unpacked(ctx, w);
  }
};

}  // namespace flamingo::kernels
