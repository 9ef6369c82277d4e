/// What dropout takes: memory alone.
#pragma once
#include <flamingo/ops/dropout.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Drop<Dry<Q>> {
  using P = Dry<Q>;

  static void forward(Context<P>&, const Dropout&, In<P>, Out<P>) {}
};

}  // namespace flamingo::kernels
