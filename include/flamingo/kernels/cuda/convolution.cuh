/// Convolution on CUDA.
#pragma once
#include <span>

#include <flamingo/kernels/cuda/packed.cuh>
#include <flamingo/kernels/cuda/raw/convolution.cuh>
#include <flamingo/kernels/cuda/windows.cuh>
#include <flamingo/ops/convolution.hpp>

namespace flamingo::kernels {

template <Real R>
struct Convolution<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;
  using Grids = std::span<const Grid>;

  template <class W>
  static void forward(Context<P>& ctx, In<P> x, Grids grids, const W& w, const A* b, const Window& window, int groups,
                      Out<P> y, Clip clip) {
    const auto scope = ctx.scope();
    const raw::Channels channels{x.width, y.width, groups};
    check_cuda(
        raw::convolution_forward(bare(x.data), bare(numbers_of(ctx, w, "convolution")), b, bare(y.data),
                                 on_device(ctx, grids, window), raw_of(window), channels, {A(clip.low), A(clip.high)},
                                 numbers(ctx, raw::convolution_workspace(raw_of(window), channels)), ctx.stream()),
        "convolution");
  }
  template <class W>
  static void backward_input(Context<P>& ctx, Grids grids, const W& w, In<P> dy, const Window& window, int groups,
                             Out<P> dx) {
    const auto scope = ctx.scope();
    const raw::Channels channels{dx.width, dy.width, groups};
    check_cuda(raw::convolution_backward_input(bare(dy.data), bare(numbers_of(ctx, w, "convolution")), bare(dx.data),
                                               on_device(ctx, grids, window), raw_of(window), channels,
                                               numbers(ctx, raw::convolution_workspace(raw_of(window), channels)),
                                               ctx.stream()),
               "convolution_backward");
  }
  template <int O, int D>
  static void backward_weight(Context<P>& ctx, In<P> x, Grids grids, In<P> dy, const Window& window, int groups,
                              const MatrixView<P, O, D, A>& dw) {
    using Number = typename flamingo::detail::Bare<R>::Type;
    const auto scope = ctx.scope();
    const raw::Channels channels{x.width, dy.width, groups};
    check_cuda(
        raw::convolution_backward_weight(
            bare(x.data), bare(dy.data), dw.data, on_device(ctx, grids, window), raw_of(window), channels,
            numbers(ctx, raw::convolution_gradient_workspace<Number>(dy.rows, raw_of(window), channels)), ctx.stream()),
        "convolution_backward");
  }
  template <class B>
  static void backward_bias(Context<P>& ctx, In<P> dy, const B& db) {
    const auto scope = ctx.scope();
    check_cuda(raw::convolution_backward_bias(bare(dy.data), db.data,
                                              numbers(ctx, raw::column_sum_workspace(dy.rows, dy.width)), dy.rows,
                                              dy.width, ctx.stream()),
               "convolution_backward");
  }

 private:
  static A* numbers(Context<P>& ctx, std::size_t count) {
    return reinterpret_cast<A*>(ctx.arena().scratch(count * sizeof(A)));
  }
};

}  // namespace flamingo::kernels
