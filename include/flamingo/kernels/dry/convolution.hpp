/// What convolution takes: 2 operations for each window, output channel and cell of its group, edges included, and on
/// Cuda a copy of packed weights. The workspace in which a platform gathers windows depends on its threads and is not
/// counted.
#pragma once
#include <flamingo/kernels/dry/linear_unpacked.hpp>
#include <flamingo/ops/convolution.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Convolution<Dry<Q>> {
  using P = Dry<Q>;

  template <class W>
  static void forward(Context<P>& ctx, In<P>, std::span<const Grid>, const W& w, const AccumulateOf<P>*, const Window&,
                      int, Out<P> y, Clip) {
    const auto scope = ctx.scope();
    take_unpacked(ctx, w);
    ctx.count(2.0 * y.rows * w.rows * w.columns);
  }
  template <class W>
  static void backward_input(Context<P>& ctx, std::span<const Grid>, const W& w, In<P> dy, const Window&, int, Out<P>) {
    const auto scope = ctx.scope();
    take_unpacked(ctx, w);
    ctx.count(2.0 * dy.rows * w.rows * w.columns);
  }
  template <class DW>
  static void backward_weight(Context<P>& ctx, In<P>, std::span<const Grid>, In<P> dy, const Window&, int,
                              const DW& dw) {
    ctx.count(2.0 * dy.rows * dw.rows * dw.columns);
  }
  template <class DB>
  static void backward_bias(Context<P>&, In<P>, const DB&) {}
};

}  // namespace flamingo::kernels
