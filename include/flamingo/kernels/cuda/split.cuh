/// Sums over processes on CUDA, by whatever communicator the context was given.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/ops/split.hpp>

namespace flamingo::kernels {

template <Real R>
struct Processes<Cuda<R>> {
  using P = Cuda<R>;

  static void sum(Context<P>& ctx, Out<P> x) {
    check(static_cast<bool>(ctx.sum_over_processes), "split",
          "the model is split but the context has no communicator: set sum_over_processes");
    ctx.sum_over_processes(x.data, x.size(), ctx.stream());
  }
};

}  // namespace flamingo::kernels
