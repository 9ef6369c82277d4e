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
    parallel_pieces(ctx, w.size(), 16384, [&](std::size_t at, std::size_t n) {
      auto weight = line(w.data + at, n);
      auto first = line(m.data + at, n), second = line(v.data + at, n);
      const auto gradient = line(g.data + at, n) * scale;
      first = b1 * first + c1 * gradient;
      second = b2 * second + c2 * gradient.square();
      weight = weight * keep - rate * first / (second.sqrt() * root + epsilon);
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
