/// What pooling takes: memory alone.
#pragma once
#include <flamingo/ops/pooling.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Pooling<Dry<Q>> {
  using P = Dry<Q>;

  static void max(Context<P>&, In<P>, std::span<const Grid>, const Window&, Out<P>) {}
  static void max_backward(Context<P>&, In<P>, std::span<const Grid>, const Window&, In<P>, Out<P>) {}
  static void average(Context<P>&, In<P>, std::span<const Grid>, const Window&, Out<P>) {}
  static void average_backward(Context<P>&, std::span<const Grid>, const Window&, In<P>, Out<P>) {}
  static void mean(Context<P>&, In<P>, std::span<const Grid>, Out<P>) {}
  static void mean_backward(Context<P>&, std::span<const Grid>, In<P>, Out<P>) {}
};

}  // namespace flamingo::kernels
