/// What gains of pictures and channels take: memory alone.
#pragma once
#include <flamingo/ops/excitation.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Excitation<Dry<Q>> {
  using P = Dry<Q>;
  using Amounts = View<P, 1, const AccumulateOf<P>>;

  static void gate(Context<P>&, In<P>, Amounts, const AccumulateOf<P>*, Out<P>) {}
  static void gate_backward(Context<P>&, In<P>, Amounts, const AccumulateOf<P>*, In<P>, Out<P>) {}
  static void gate_backward_gain(Context<P>&, In<P>, Amounts, In<P>, AccumulateOf<P>*) {}
  static void excite(Context<P>&, In<P>, In<P>, std::span<const Grid>, In<P>, Out<P>) {}
  static void excite_backward(Context<P>&, In<P>, std::span<const Grid>, In<P>, In<P>, Out<P>, Out<P>) {}
};

}  // namespace flamingo::kernels
