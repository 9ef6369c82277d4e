/// Rotary positions on the CPU.
#pragma once
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/rotary.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Rotary<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  /// direction 1 turns forwards, -1 back.
  static void turn(Context<P>& ctx, const RotaryShape& shape, View<P, 1, const int> positions, Out<P> x,
                   double direction) {
    const int half = shape.turned / 2, heads = int(x.width) / shape.head_dim;
    const bool adjacent = shape.pairs == RotaryPairs::adjacent;
    Line<double> frequency(half);  // angles in double: a position of thousands times a frequency of 1
    for (int i = 0; i < half; ++i) frequency[i] = shape.frequency(i);
    parallel_pieces(ctx.threads(), static_cast<std::size_t>(x.rows), 16, [&](std::size_t from, std::size_t count) {
      Line<R> c(half), s(half);
      for (int n = static_cast<int>(from); n < static_cast<int>(from + count); ++n) {
        for (int i = 0; i < half; ++i) {
          const double angle = direction * positions.data[n] * frequency[i];
          c[i] = static_cast<R>(std::cos(angle));
          s[i] = static_cast<R>(std::sin(angle));
        }
        for (int h = 0; h < heads; ++h) {
          R* head = x.row(n) + h * shape.head_dim;
          for (int i = 0; i < half; ++i) {
            R& a = head[adjacent ? 2 * i : i];
            R& b = head[adjacent ? 2 * i + 1 : i + half];
            const R turned = a * c[i] - b * s[i];
            b = a * s[i] + b * c[i];
            a = turned;
          }
        }
      }
    });
  }
};

}  // namespace flamingo::kernels
