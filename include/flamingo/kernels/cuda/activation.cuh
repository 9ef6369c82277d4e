/// Non-linearities on CUDA.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/nonlinearity.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>
#include <flamingo/kernels/cuda/raw/scaled.cuh>
#include <flamingo/ops/activation.hpp>

namespace flamingo::kernels {

template <Real R>
struct Activate<Cuda<R>> {
  using P = Cuda<R>;
  template <Activation A>
  using Function = typename detail::FunctionOf<A>::type;

  template <Activation A>
  static void forward(Context<P>& ctx, In<P> x, Out<P> y) {
    check_cuda(raw::activate<Function<A>>(bare(x.data), bare(y.data), x.size(), ctx.stream()), "activate");
  }
  template <Activation A>
  static void backward(Context<P>& ctx, In<P> x, In<P> dy, Out<P> dx) {
    check_cuda(raw::activate_backward<Function<A>>(bare(x.data), bare(dy.data), bare(dx.data), x.size(), ctx.stream()),
               "activate_backward");
  }
  static void clamp(Context<P>& ctx, float limit, Out<P> x) {
    check_cuda(raw::clamp(AccumulateOf<P>(limit), bare(x.data), x.size(), ctx.stream()), "clamp");
  }
  static void clamp_backward(Context<P>& ctx, float limit, In<P> x, Out<P> dx) {
    check_cuda(raw::clamp_backward(AccumulateOf<P>(limit), bare(x.data), bare(dx.data), x.size(), ctx.stream()),
               "clamp_backward");
  }
  template <Activation A>
  static void scaled(Context<P>& ctx, double scale, In<P> x, Out<P> y) {
    check_cuda(
        raw::scaled_activate<Function<A>>(bare(x.data), bare(y.data), AccumulateOf<P>(scale), x.size(), ctx.stream()),
        "scaled_activate");
  }
  template <Activation A>
  static void scaled_backward(Context<P>& ctx, double scale, In<P> x, In<P> dy, Out<P> dx) {
    check_cuda(raw::scaled_activate_backward<Function<A>>(bare(x.data), bare(dy.data), bare(dx.data),
                                                          AccumulateOf<P>(scale), x.size(), ctx.stream()),
               "scaled_activate_backward");
  }
  template <Activation A>
  static void gated(Context<P>& ctx, In<P> gate, In<P> up, Out<P> y) {
    check_cuda(raw::gate_activate<Function<A>>(bare(gate.data), bare(up.data), bare(y.data), y.size(), ctx.stream()),
               "gate_activate");
  }
  template <Activation A>
  static void gated_backward(Context<P>& ctx, In<P> gate, In<P> up, In<P> dy, Out<P> dgate, Out<P> dup) {
    check_cuda(raw::gate_activate_backward<Function<A>>(bare(gate.data), bare(up.data), bare(dy.data), bare(dgate.data),
                                                        bare(dup.data), dy.size(), ctx.stream()),
               "gate_activate_backward");
  }
};

}  // namespace flamingo::kernels
