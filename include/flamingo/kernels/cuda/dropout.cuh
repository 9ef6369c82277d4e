/// Numbers dropped by chance on CUDA.
#pragma once
#include <cmath>
#include <cstdint>

#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/dropout.cuh>
#include <flamingo/ops/dropout.hpp>

namespace flamingo::kernels {

template <Real R>
struct Drop<Cuda<R>> {
  using P = Cuda<R>;

  static void forward(Context<P>& ctx, const Dropout& rule, In<P> x, Out<P> y) {
    const auto width = static_cast<std::uint64_t>(int(x.width));
    const auto threshold = static_cast<std::uint64_t>(std::ceil(rule.probability * 0x1p32));
    check_cuda(
        raw::dropout({rule.key.seed(), rule.key.stream()}, rule.first * width, threshold,
                     AccumulateOf<P>(1 / (1 - rule.probability)), bare(x.data), bare(y.data), x.size(), ctx.stream()),
        "dropout");
  }
};

}  // namespace flamingo::kernels
