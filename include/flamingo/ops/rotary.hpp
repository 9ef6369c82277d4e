/// rotary: the first `turned` features of each head turn by position * base^(-2i/turned), in pairs (Su et al. 2021).
///
/// x (N, H K), in place; positions (N). Keys are turned before they are cached; attention knows nothing of it.
#pragma once
#include <array>
#include <cmath>
#include <numbers>
#include <type_traits>

#include <flamingo/core/context.hpp>
#include <flamingo/core/kinds.hpp>

namespace flamingo {
namespace kernels {
/// Rotation of pairs of features; defined once per platform.
template <Platform P>
struct Rotary;
}  // namespace kernels

struct RotaryShape {
  int head_dim = 64;  ///< K
  int turned = 64;    ///< features of a head that turn; even
  double base = 10000;
  RotaryPairs pairs = RotaryPairs::halves;
  RotaryScaling scaling{};

  friend constexpr bool operator==(const RotaryShape&, const RotaryShape&) = default;

  /// The angle by which pair i turns from one position to the next.
  double frequency(int i) const {
    const double plain = std::pow(base, -2.0 * i / turned);
    if (scaling.factor == 1) return plain;
    const double low = scaling.low, high = scaling.high, factor = scaling.factor;
    const double turns = plain * scaling.context / (2 * std::numbers::pi);
    if (turns < low) return plain / factor;
    if (turns > high) return plain;
    const double kept = (turns - low) / (high - low);
    return (1 - kept) * plain / factor + kept * plain;
  }
};

namespace ops {

namespace detail {
inline void check_rotary(const char* op, const RotaryShape& shape, int positions, std::array<int, 2> x) {
  check(shape.turned % 2 == 0 && shape.turned <= shape.head_dim, op, shape.turned, " of ", shape.head_dim,
        " features turn: the first must be even and at most the second");
  check(positions == x[0] && x[1] % shape.head_dim == 0, op, "x is ", x, " with heads of ", shape.head_dim, " and ",
        positions, " positions");
}
}  // namespace detail

template <Platform P, RowsOn<P> X>
void rotary(Context<P>& ctx, const RotaryShape& shape, std::type_identity_t<View<P, 1, const int>> positions,
            const X& x) {
  detail::check_rotary("rotary", shape, positions.shape[0], x.shape());
  kernels::Rotary<P>::turn(ctx, shape, positions, any(x), 1.0);
}
/// The gradient turns back, in place.
template <Platform P, RowsOn<P> X>
void rotary_backward(Context<P>& ctx, const RotaryShape& shape, std::type_identity_t<View<P, 1, const int>> positions,
                     const X& dx) {
  detail::check_rotary("rotary_backward", shape, positions.shape[0], dx.shape());
  kernels::Rotary<P>::turn(ctx, shape, positions, any(dx), -1.0);
}

}  // namespace ops
}  // namespace flamingo
