/// Sinusoids of distances on CUDA.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/sinusoid.cuh>
#include <flamingo/ops/sinusoid.hpp>

namespace flamingo::kernels {

template <Real R>
struct Sinusoid<Cuda<R>> {
  using P = Cuda<R>;

  static void rows(Context<P>& ctx, int first, Out<P> y) {
    check_cuda(raw::sinusoid(bare(y.data), first, y.rows, y.width, ctx.stream()), "sinusoid");
  }
};

}  // namespace flamingo::kernels
