/// rotary: the first `turned` features of each head turn by position * base^(-2i/turned), in pairs (Su et al. 2021).
///
/// x (N, H K), in place; positions (N). Keys are turned before they are cached; attention knows nothing of it.
#pragma once
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
};

namespace ops {

template <Platform P, RowsOn<P> X>
void rotary(Context<P>& ctx, const RotaryShape& shape, View<P, 1, const int> positions, const X& x) {
  check(positions.shape[0] == x.rows && int(x.width) % shape.head_dim == 0, "rotary", "x is ", x.shape(),
        " with heads of ", shape.head_dim, " and ", positions.shape[0], " positions");
  kernels::Rotary<P>::turn(ctx, shape, positions, any(x), 1.0);
}
/// The gradient turns back, in place.
template <Platform P, RowsOn<P> X>
void rotary_backward(Context<P>& ctx, const RotaryShape& shape, View<P, 1, const int> positions, const X& dx) {
  check(positions.shape[0] == dx.rows && int(dx.width) % shape.head_dim == 0, "rotary_backward", "dx is ", dx.shape(),
        " with heads of ", shape.head_dim, " and ", positions.shape[0], " positions");
  kernels::Rotary<P>::turn(ctx, shape, positions, any(dx), -1.0);
}

}  // namespace ops
}  // namespace flamingo
