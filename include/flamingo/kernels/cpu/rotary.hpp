/// Rotary positions on the CPU: sines and cosines of as many pairs as a register holds, then all heads by them.
#pragma once
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>
#include <flamingo/ops/rotary.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Rotary<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using M = VectorMath<R, Set>;
  using V = typename M::Vector;
  using Part = typename M::Part;

  /// direction 1 turns forwards, -1 back.
  static void turn(Context<P>& ctx, const RotaryShape& shape, View<P, 1, const int> positions, Out<P> x,
                   double direction) {
    const std::vector<double>& frequency = frequencies(shape);
    parallel_pieces(ctx.threads(), static_cast<std::size_t>(x.rows), 16, [&](std::size_t from, std::size_t count) {
      for (int n = static_cast<int>(from); n < static_cast<int>(from + count); ++n)
        M::each(static_cast<std::size_t>(shape.turned / 2), [&](Part pairs) {
          V c, s;
          turns(&frequency[pairs.first], direction * positions.data[n], c, s);
          for (R* head = x.row(n); head < x.row(n) + int(x.width); head += shape.head_dim)
            if (shape.pairs == RotaryPairs::halves)
              halves(head, head + shape.turned / 2, pairs, c, s);
            else
              neighbours(head, pairs, c, s);
        });
    });
  }

 private:
  static constexpr int lanes = M::lanes;

  /// Of all pairs, filled up to whole registers. A model has one shape and asks for it twice in every layer, so a
  /// thread keeps the last.
  static const std::vector<double>& frequencies(const RotaryShape& shape) {
    thread_local RotaryShape last{};
    thread_local std::vector<double> all;
    if (all.empty() || !(last == shape)) {
      all.assign(static_cast<std::size_t>((shape.turned / 2 + lanes - 1) / lanes * lanes + lanes), 0);
      for (int i = 0; i < shape.turned / 2; ++i) all[static_cast<std::size_t>(i)] = shape.frequency(i);
      last = shape;
    }
    return all;
  }
  /// cos and sin of the angles of a register of pairs, in double: a position of thousands times a frequency of 1.
  [[gnu::always_inline]] static void turns(const double* frequency, double position, V& c, V& s) {
    using D = VectorMath<double, Set>;
    std::array<R, std::size_t{lanes}> cosines, sines;
    for (std::size_t i = 0; i < lanes; i += D::lanes) {
      typename D::Vector sine, cosine;
      D::sine_and_cosine(D::load(frequency + i) * position, sine, cosine);
      for (std::size_t j = 0; j < D::lanes; ++j) {
        cosines[i + j] = static_cast<R>(cosine[j]);
        sines[i + j] = static_cast<R>(sine[j]);
      }
    }
    c = M::load(cosines.data());
    s = M::load(sines.data());
  }
  [[gnu::always_inline]] static void halves(R* low, R* high, Part pairs, const V& c, const V& s) {
    const V a = pairs.load(low), b = pairs.load(high);
    pairs.store(low, a * c - b * s);
    pairs.store(high, a * s + b * c);
  }
  /// Two registers of (a, b, a, b, ...): each number by the pair's cosine, and its neighbour by ∓ its sine.
  [[gnu::always_inline]] static void neighbours(R* head, Part pairs, const V& c, const V& s) {
    constexpr auto all = static_cast<std::size_t>(lanes);
    [&]<int... i>(std::integer_sequence<int, i...>) {
      const V sign{(i % 2 ? R(1) : R(-1))...};
      const auto half = [&](std::size_t skipped, const V& twice_c, const V& twice_s) {
        const Part numbers{2 * pairs.first + skipped,
                           std::min(all, 2 * pairs.count - std::min(skipped, 2 * pairs.count))};
        const V x = numbers.load(head);
        numbers.store(head, x * twice_c + __builtin_shufflevector(x, x, (i ^ 1)...) * (twice_s * sign));
      };
      half(0, __builtin_shufflevector(c, c, (i / 2)...), __builtin_shufflevector(s, s, (i / 2)...));
      half(all, __builtin_shufflevector(c, c, (lanes / 2 + i / 2)...),
           __builtin_shufflevector(s, s, (lanes / 2 + i / 2)...));
    }(std::make_integer_sequence<int, lanes>{});
  }
};

}  // namespace flamingo::kernels
