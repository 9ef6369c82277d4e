/// What sinusoids take: memory alone.
#pragma once
#include <flamingo/ops/sinusoid.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Sinusoid<Dry<Q>> {
  using P = Dry<Q>;

  static void rows(Context<P>&, int, Out<P>) {}
};

}  // namespace flamingo::kernels
