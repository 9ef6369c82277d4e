/// dropout: y = x / (1 - p) where it is kept, 0 with probability p (Srivastava et al. 2014)
///
/// Whether number d of row n is kept depends on the key and on first + n alone, so that backward, a row computed again
/// and a batch computed in parts all see the same.
#pragma once
#include <cstdint>

#include <flamingo/core/context.hpp>
#include <flamingo/core/random.hpp>

namespace flamingo {

struct Dropout {
  double probability = 0;
  Random key{};             ///< of the step and the layer
  std::uint64_t first = 0;  ///< number of row 0

  /// Whether number d of a row of `width` is kept.
  constexpr bool keeps(int row, int d, int width) const {
    const std::uint64_t at = (first + static_cast<std::uint64_t>(row)) * static_cast<std::uint64_t>(width);
    return static_cast<double>(key.bits_at(at + static_cast<std::uint64_t>(d))) * 0x1p-32 >= probability;
  }
};

namespace kernels {
/// Numbers dropped by chance; defined once per platform.
template <Platform P>
struct Drop;
}  // namespace kernels

namespace ops {

/// y may be x. The gradient is dropout of the gradient.
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void dropout(Context<P>& ctx, const Dropout& rule, const X& x, const Y& y) {
  check(x.shape() == y.shape(), "dropout", "x is ", x.shape(), " and y is ", y.shape(), ": their shapes differ");
  check(rule.probability >= 0 && rule.probability < 1, "dropout", "the probability is ", rule.probability,
        ", expected one in [0, 1)");
  kernels::Drop<P>::forward(ctx, rule, x, any(y));
}

}  // namespace ops
}  // namespace flamingo
