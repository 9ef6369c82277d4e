/// Rotary positions on CUDA.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/rotary.cuh>
#include <flamingo/ops/rotary.hpp>

namespace flamingo::kernels {

template <Real R>
struct Rotary<Cuda<R>> {
  using P = Cuda<R>;

  /// direction 1 turns forwards, -1 back.
  static void turn(Context<P>& ctx, const RotaryShape& shape, View<P, 1, const int> positions, Out<P> x,
                   double direction) {
    const int half = shape.turned / 2;
    check(half <= raw::RotaryFrequencies::most, "rotary", shape.turned, " features of a head turn, at most ",
          2 * raw::RotaryFrequencies::most, " on CUDA");
    raw::RotaryFrequencies frequencies{};
    for (int i = 0; i < half; ++i) frequencies.value[i] = shape.frequency(i);
    check_cuda(raw::rotary(frequencies, direction, shape.pairs == RotaryPairs::adjacent, positions.data, bare(x.data),
                           x.rows, int(x.width) / shape.head_dim, shape.head_dim, half, ctx.stream()),
               "rotary");
  }
};

}  // namespace flamingo::kernels
