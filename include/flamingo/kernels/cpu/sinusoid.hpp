/// Sinusoids of distances on the CPU.
#pragma once
#include <array>
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/sinusoid.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Sinusoid<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  /// Distance d is near + far, far a multiple of `block`: sines of sums cost four products where those of the
  /// mathematics library cost some fifty, and in double lose nothing that R holds.
  static void rows(Context<P>& ctx, int first, Out<P> y) {
    const int half = y.width / 2;
    parallel_pieces(ctx.threads(), static_cast<std::size_t>(half), 16, [&](std::size_t from, std::size_t count) {
      for (std::size_t i = from; i < from + count; ++i) {
        const double frequency = std::pow(10000.0, -static_cast<double>(i) / half);
        std::array<Wave, block> near;
        for (int d = 0; d < block; ++d) near[static_cast<std::size_t>(d)] = wave(d * frequency);
        Wave far = wave((first - first % block) * frequency);
        for (int n = 0; n < y.rows; ++n) {
          const int d = first + n, within = d % block;
          if (within == 0) far = wave(d * frequency);
          const Wave& a = near[static_cast<std::size_t>(within)];
          y.row(n)[i] = static_cast<R>(far.sine * a.cosine + far.cosine * a.sine);
          y.row(n)[i + static_cast<std::size_t>(half)] = static_cast<R>(far.cosine * a.cosine - far.sine * a.sine);
        }
      }
    });
  }

 private:
  static constexpr int block = 32;
  struct Wave {
    double sine, cosine;
  };
  static Wave wave(double angle) { return {std::sin(angle), std::cos(angle)}; }
};

}  // namespace flamingo::kernels
