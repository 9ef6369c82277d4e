/// The optimiser's arithmetic on the CPU.
#pragma once
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/adamw.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Optimiser<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  template <class T>
  static void adamw(Context<P>& ctx, const AdamWStep& s, View<P, 1, T> w, View<P, 1, const T> g, View<P, 1, T> m,
                    View<P, 1, T> v) {
    const double correction1 = 1 - std::pow(s.beta1, static_cast<double>(s.step)),
                 correction2 = 1 - std::pow(s.beta2, static_cast<double>(s.step));
    // 1 - β in double: in float, 1 - 0.999f errs by 1e-5 of itself.
    const T b1 = T(s.beta1), b2 = T(s.beta2), c1 = T(1 - s.beta1), c2 = T(1 - s.beta2), scale = T(s.scale),
            keep = T(1 - s.rate * s.decay), rate = T(s.rate / correction1), root = T(1 / std::sqrt(correction2)),
            epsilon = T(s.epsilon);
    parallel_pieces(ctx.threads(), w.size(), 16384, [&](std::size_t begin, std::size_t count) {
      each_chunk(count, [&](std::size_t offset, std::size_t n) {
        const std::size_t at = begin + offset;
        Chunk<T> weight(w.data + at, n), first(m.data + at, n), second(v.data + at, n), gradient(g.data + at, n);
        gradient.numbers *= scale;
        first.numbers = b1 * first.numbers + c1 * gradient.numbers;
        second.numbers = b2 * second.numbers + c2 * gradient.numbers.square();
        weight.numbers = weight.numbers * keep - rate * first.numbers / (second.numbers.sqrt() * root + epsilon);
        weight.write(w.data + at, n);
        first.write(m.data + at, n);
        second.write(v.data + at, n);
      });
    });
  }
  template <class T>
  static void sum_of_squares(Context<P>&, View<P, 1, const T> x, View<P, 1, double> sum) {
    constexpr std::size_t tile = 1024;  // float within a tile, double between tiles
    for (std::size_t at = 0; at < x.size(); at += tile)
      sum.data[0] += static_cast<double>(kernels::sum(line(x.data + at, std::min(tile, x.size() - at)).square()));
  }
};

}  // namespace flamingo::kernels
