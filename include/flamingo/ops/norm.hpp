/// layer_norm: y = (x - mean) / √(variance + ε) * scale + bias      rms_norm: y = x / √(mean(x²) + ε) * scale
///
/// Over the last axis. x, y (N, D)   scale, bias (D)   moments (N, 2): mean and reciprocal deviation, for backward.
/// The variance is taken in two passes: E[x²] - E[x]² would cancel.
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>

namespace flamingo {
namespace kernels {
/// Layer and RMS norm; defined once per platform.
template <Platform P>
struct Norm;
}  // namespace kernels

/// What backward needs of a norm: mean and 1 / √(variance + ε) of each row.
template <Platform P>
using Moments = Rows<P, 2, AccumulateOf<P>>;

namespace ops {

namespace detail {
template <class X, class Scale, class Y>
void check_norm(const char* op, const X& x, const Scale& scale, const Y& y) {
  static_assert(agree(width_of<X>, Scale::extent), "norm: the width of x differs from the length of scale");
  static_assert(agree(width_of<X>, width_of<Y>), "norm: the widths of x and y differ");
  check(int(x.width) == int(scale.length), op, "x is ", x.shape(), " but scale has ", int(scale.length), " numbers");
  check(x.shape() == y.shape(), op, "x is ", x.shape(), " and y is ", y.shape(), ": their shapes differ");
}
}  // namespace detail

template <Platform P, RowsOn<P> X, class Scale, class Bias, RowsOn<P> Y>
void layer_norm(Context<P>& ctx, const X& x, const Scale& scale, const Bias& bias, float epsilon, const Y& y,
                const Moments<P>& moments) {
  detail::check_norm("layer_norm", x, scale, y);
  kernels::Norm<P>::layer(ctx, x, scale, bias, epsilon, any(y), moments);
}
/// Writes dx; adds to dscale and dbias.
template <Platform P, RowsOn<P> X, class Scale, RowsOn<P> Y, RowsSink<P> DX, VectorSink DScale, VectorSink DBias>
void layer_norm_backward(Context<P>& ctx, const X& x, const Moments<P>& moments, const Scale& scale, const Y& dy,
                         const DX& dx, const DScale& dscale, const DBias& dbias) {
  detail::check_norm("layer_norm_backward", x, scale, dy);
  if constexpr (wanted<DScale>) kernels::Norm<P>::layer_backward_weights(ctx, x, moments, dy, dscale, dbias);
  if constexpr (wanted<DX>) kernels::Norm<P>::layer_backward_input(ctx, x, moments, scale, dy, any(dx));
}

template <Platform P, RowsOn<P> X, class Scale, RowsOn<P> Y>
void rms_norm(Context<P>& ctx, const X& x, const Scale& scale, float epsilon, const Y& y, const Moments<P>& moments) {
  detail::check_norm("rms_norm", x, scale, y);
  kernels::Norm<P>::rms(ctx, x, scale, epsilon, any(y), moments);
}
/// Writes dx; adds to dscale.
template <Platform P, RowsOn<P> X, class Scale, RowsOn<P> Y, RowsSink<P> DX, VectorSink DScale>
void rms_norm_backward(Context<P>& ctx, const X& x, const Moments<P>& moments, const Scale& scale, const Y& dy,
                       const DX& dx, const DScale& dscale) {
  detail::check_norm("rms_norm_backward", x, scale, dy);
  if constexpr (wanted<DScale>) kernels::Norm<P>::rms_backward_weights(ctx, x, moments, dy, dscale);
  if constexpr (wanted<DX>) kernels::Norm<P>::rms_backward_input(ctx, x, moments, scale, dy, any(dx));
}

}  // namespace ops
}  // namespace flamingo
