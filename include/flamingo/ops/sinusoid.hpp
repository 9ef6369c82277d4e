/// sinusoid: y[n] = (sin(d f_0), sin(d f_1) ... cos(d f_0), cos(d f_1) ...) of the distance d = first + n, with
/// f_i = 10000^(-2i/D)
///
/// y (N, D), D even: Vaswani et al. 2017 in the order of Transformer-XL (Dai et al. 2019). A row's bits depend on its
/// distance alone.
#pragma once
#include <flamingo/core/context.hpp>

namespace flamingo {
namespace kernels {
/// Sinusoids of distances; defined once per platform.
template <Platform P>
struct Sinusoid;
}  // namespace kernels

namespace ops {

template <Platform P, RowsOn<P> Y>
void sinusoid(Context<P>& ctx, int first, const Y& y) {
  static_assert(width_of<Y> == dynamic || width_of<Y> % 2 == 0, "sinusoid: the width of y must be even");
  check(int(y.width) % 2 == 0 && first >= 0, "sinusoid", "y is ", y.shape(), ", from distance ", first,
        " on: the width must be even and a distance at least 0");
  kernels::Sinusoid<P>::rows(ctx, first, any(y));
}

}  // namespace ops
}  // namespace flamingo
