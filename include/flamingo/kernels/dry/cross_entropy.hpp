/// What cross-entropy takes beside its products: memory alone.
#pragma once
#include <flamingo/ops/cross_entropy.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct CrossEntropy<Dry<Q>> {
  using P = Dry<Q>;
  using A = AccumulateOf<P>;

  static void begin(Context<P>&, View<P, 1, const int>, int, View<P, 1, A>, View<P, 1, A>, View<P, 1, A>) {}
  static void update(Context<P>&, In<P>, int, View<P, 1, const int>, TargetShares<A>, View<P, 1, A>, View<P, 1, A>,
                     View<P, 1, A>) {}
  static void finish(Context<P>&, View<P, 1, A>, View<P, 1, A>, View<P, 1, A>, View<P, 1, A>) {}
  static void gradient(Context<P>&, Out<P>, int, View<P, 1, const int>, TargetShares<A>, View<P, 1, const A>,
                       View<P, 1, const A>, A) {}
};

}  // namespace flamingo::kernels
