/// Sums of rows on CUDA.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>
#include <flamingo/kernels/cuda/raw/scaled.cuh>
#include <flamingo/ops/residual.hpp>

namespace flamingo::kernels {

template <Real R>
struct Residual<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;

  static void add(Context<P>& ctx, In<P> a, In<P> b, Out<P> y) {
    check_cuda(raw::add(bare(a.data), bare(b.data), bare(y.data), y.size(), ctx.stream()), "add");
  }
  static void subtract(Context<P>& ctx, In<P> a, In<P> b, Out<P> y) {
    check_cuda(raw::subtract(bare(a.data), bare(b.data), bare(y.data), y.size(), ctx.stream()), "subtract");
  }
  template <class X, class Y>
  static void copy(Context<P>& ctx, const X& x, const Y& y) {
    static_assert(std::same_as<std::remove_const_t<typename X::Element>, typename Y::Element>,
                  "copy: x and y differ in their element types; ops::convert rounds");
    if (y.size())
      check_cuda(cudaMemcpyAsync(y.data, x.data, y.size() * sizeof(typename Y::Element), cudaMemcpyDeviceToDevice,
                                 ctx.stream()),
                 "copy");
  }
  template <class Gate>
  static void gated_add(Context<P>& ctx, In<P> x, const Gate& gate, In<P> branch, Out<P> y) {
    check_cuda(raw::gated_add(bare(x.data), gate.data, int(gate.length), bare(branch.data), bare(y.data), y.rows,
                              y.width, ctx.stream()),
               "gated_add");
  }
  template <class Gate>
  static void gated_backward(Context<P>& ctx, const Gate& gate, In<P> dy, Out<P> dbranch) {
    check_cuda(raw::gated_add_backward(gate.data, int(gate.length), bare(dy.data), bare(dbranch.data), dy.rows,
                                       dy.width, ctx.stream()),
               "gated_add_backward");
  }
  template <class Gate, class DGate>
  static void gate_backward(Context<P>& ctx, const Gate& gate, In<P> branch, In<P> dy, const DGate& dgate) {
    const auto scope = ctx.scope();
    const auto workspace = take_vector<A>(ctx, static_cast<int>(raw::gate_workspace(dy.rows, dy.width)));
    check_cuda(raw::gate_backward(gate.data, int(gate.length), bare(branch.data), bare(dy.data), dgate.data,
                                  workspace.data, dy.rows, dy.width, ctx.stream()),
               "gated_add_backward");
  }
  template <class S>
  static void exp_scale(Context<P>& ctx, In<P> x, const S& s, Out<P> y) {
    check_cuda(raw::exp_scale(bare(x.data), s.data, bare(y.data), y.size(), ctx.stream()), "exp_scale");
  }
  template <class S>
  static void exp_scale_backward_input(Context<P>& ctx, const S& s, In<P> dy, Out<P> dx) {
    check_cuda(raw::exp_scale_backward(bare(dy.data), s.data, bare(dx.data), dx.size(), ctx.stream()),
               "exp_scale_backward");
  }
  template <class DS>
  static void exp_scale_backward_scale(Context<P>& ctx, In<P> y, In<P> dy, const DS& ds) {
    const auto scope = ctx.scope();
    check_cuda(raw::exp_scale_backward_exponent(bare(y.data), bare(dy.data), ds.data, take_vector<A>(ctx, dy.rows).data,
                                                dy.rows, dy.width, ctx.stream()),
               "exp_scale_backward");
  }
};

}  // namespace flamingo::kernels
