/// What choosing takes: memory alone.
#pragma once
#include <flamingo/ops/choice.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Choosing<Dry<Q>> {
  using P = Dry<Q>;

  static void likeliest(Context<P>&, In<P>, View<P, 1, const int>, int, View<P, 1, Choice>) {}
};

}  // namespace flamingo::kernels
