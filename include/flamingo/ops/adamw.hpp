/// adamw: one update of a flat buffer (Loshchilov & Hutter 2019)      follow: a running mean      sum_of_squares: Σ x²
///
///   m = β₁ m + (1 - β₁) g,  v = β₂ v + (1 - β₂) g²,  w -= rate (decay w + m̂ / (√v̂ + ε)), g scaled by `scale` first.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <flamingo/core/context.hpp>
#include <flamingo/core/few_bits.hpp>
#include <flamingo/core/random.hpp>

namespace flamingo {
namespace kernels {
/// The optimiser's arithmetic; defined once per platform.
template <Platform P>
struct Optimiser;
}  // namespace kernels

/// One step's numbers. Decay happens before the step, as in PyTorch.
struct AdamWStep {
  double rate = 1e-4;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double decay = 0;
  double scale = 1;  ///< of the gradient: clipping, averaging
  long step = 1;     ///< 1, 2, ...: for the bias correction
  std::size_t first =
      0;  ///< which number of all that are updated w[0] is: moments of few bits draw their rounding by it

  /// What rounding_bits() of this step, of numbers from `first` on, is keyed by.
  constexpr std::uint32_t rounding_key() const {
    return Random(hash("moments"), static_cast<std::uint64_t>(step)).bits_at(first >> 32) +
           static_cast<std::uint32_t>(first);
  }
};

/// First (signed) or second moments of a byte each, with an exponent for each 16 (core/few_bits.hpp).
template <Platform P, bool Signed>
struct BlockMoments {
  using Block = BlockOf16<Signed>;
  std::uint8_t* codes = nullptr;      ///< as many as there are numbers, a multiple of 16
  std::uint8_t* exponents = nullptr;  ///< a sixteenth of that
  std::array<int, 1> shape{};
};

namespace ops {

/// w, g, m, v of one length. Moments are T, or of few bits: bfloat16 or BlockMoments, rounded at random; what the
/// step reads of them is exact, and what it changes w by are the moments before their rounding.
template <Platform P, class T, class First, class Second>
void adamw(Context<P>& ctx, const AdamWStep& step, View<P, 1, T> w, std::type_identity_t<View<P, 1, const T>> g,
           const First& m, const Second& v) {
  check(w.shape == g.shape && w.shape == m.shape && w.shape == v.shape, "adamw", "w has ", w.shape, " numbers, g ",
        g.shape, ", m ", m.shape, ", v ", v.shape);
  if constexpr (requires { m.exponents; })
    check(w.shape[0] % 16 == 0, "adamw", w.shape[0], " numbers are no whole blocks of 16");
  kernels::Optimiser<P>::adamw(ctx, step, w, g, m, v);
}
/// mean += share (x - mean), of one length.
template <Platform P, class T>
void follow(Context<P>& ctx, double share, std::type_identity_t<View<P, 1, const T>> x, View<P, 1, T> mean) {
  check(x.shape == mean.shape, "follow", "x has ", x.shape, " numbers, the mean ", mean.shape);
  kernels::Optimiser<P>::follow(ctx, share, x, mean);
}
/// Adds Σ x² to `sum`, in double. For the global norm.
template <Platform P, class T>
void sum_of_squares(Context<P>& ctx, View<P, 1, T> x, View<P, 1, double> sum) {
  check(sum.shape[0] == 1, "sum_of_squares", "sum has ", sum.shape[0], " numbers, expected 1");
  kernels::Optimiser<P>::sum_of_squares(ctx, View<P, 1, const std::remove_const_t<T>>{x.data, x.shape}, sum);
}

}  // namespace ops
}  // namespace flamingo
