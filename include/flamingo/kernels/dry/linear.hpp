/// What dense products take: 2 operations for each of N O I terms, and on Cuda a copy of packed weights for many rows.
/// Biases count nothing.
#pragma once
#include <flamingo/kernels/dry/linear_unpacked.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Linear<Dry<Q>> {
  using P = Dry<Q>;

  template <class W>
  static void forward(Context<P>& ctx, In<P> x, const W& w, Out<P>) {
    const auto scope = ctx.scope();
    if (x.rows > most_packed_rows) take_unpacked(ctx, w);
    ctx.count(2.0 * x.rows * w.rows * w.columns);
  }
  template <class B>
  static void add_bias(Context<P>&, const B&, Out<P>) {}

  template <class W>
  static void backward_input(Context<P>& ctx, const W& w, In<P> dy, Out<P>) {
    const auto scope = ctx.scope();
    take_unpacked(ctx, w);
    ctx.count(2.0 * dy.rows * w.rows * w.columns);
  }
  template <class DW>
  static void backward_weight(Context<P>& ctx, In<P> x, In<P> dy, const DW&) {
    ctx.count(2.0 * dy.rows * dy.width * x.width);
  }
  template <class B>
  static void backward_bias(Context<P>&, In<P>, const B&) {}
};

}  // namespace flamingo::kernels
