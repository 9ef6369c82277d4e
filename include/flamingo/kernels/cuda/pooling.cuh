/// Pooling on CUDA.
#pragma once
#include <span>

#include <flamingo/kernels/cuda/raw/pooling.cuh>
#include <flamingo/kernels/cuda/windows.cuh>
#include <flamingo/ops/pooling.hpp>

namespace flamingo::kernels {

template <Real R>
struct Pooling<Cuda<R>> {
  using P = Cuda<R>;
  using Grids = std::span<const Grid>;

  static void max(Context<P>& ctx, In<P> x, Grids grids, const Window& window, Out<P> y) {
    const auto scope = ctx.scope();
    check_cuda(
        raw::max_pool(bare(x.data), bare(y.data), on_device(ctx, grids, window), raw_of(window), x.width, ctx.stream()),
        "max_pool");
  }
  static void max_backward(Context<P>& ctx, In<P> x, Grids grids, const Window& window, In<P> dy, Out<P> dx) {
    const auto scope = ctx.scope();
    check_cuda(raw::max_pool_backward(bare(x.data), bare(dy.data), bare(dx.data), on_device(ctx, grids, window),
                                      raw_of(window), x.width, ctx.stream()),
               "max_pool_backward");
  }

  static void average(Context<P>& ctx, In<P> x, Grids grids, const Window& window, Out<P> y) {
    const auto scope = ctx.scope();
    check_cuda(raw::average_pool(bare(x.data), bare(y.data), on_device(ctx, grids, window), raw_of(window), x.width,
                                 ctx.stream()),
               "average_pool");
  }
  static void average_backward(Context<P>& ctx, Grids grids, const Window& window, In<P> dy, Out<P> dx) {
    const auto scope = ctx.scope();
    check_cuda(raw::average_pool_backward(bare(dy.data), bare(dx.data), on_device(ctx, grids, window), raw_of(window),
                                          dx.width, ctx.stream()),
               "average_pool_backward");
  }

  static void mean(Context<P>& ctx, In<P> x, Grids grids, Out<P> y) {
    const auto scope = ctx.scope();
    check_cuda(raw::picture_mean(bare(x.data), bare(y.data), on_device(ctx, grids), x.width, ctx.stream()),
               "picture_mean");
  }
  static void mean_backward(Context<P>& ctx, Grids grids, In<P> dy, Out<P> dx) {
    const auto scope = ctx.scope();
    check_cuda(raw::picture_mean_backward(bare(dy.data), bare(dx.data), on_device(ctx, grids), dx.width, ctx.stream()),
               "picture_mean_backward");
  }
};

}  // namespace flamingo::kernels
