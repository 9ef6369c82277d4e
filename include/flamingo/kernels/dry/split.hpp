/// What sums over processes take: memory alone.
#pragma once
#include <flamingo/ops/split.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Processes<Dry<Q>> {
  using P = Dry<Q>;

  static void sum(Context<P>&, Out<P>) {}
};

}  // namespace flamingo::kernels
