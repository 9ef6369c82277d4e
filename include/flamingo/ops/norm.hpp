/// layer_norm: y = (x - mean) / √(variance + ε) * scale + bias      rms_norm: y = x / √(mean(x²) + ε) * scale
///
/// Over the last axis. x, y (N, D)   scale, bias (D)   moments (N, 2): mean and reciprocal deviation, for backward.
/// The variance is taken in two passes: E[x²] - E[x]² would cancel.
#pragma once
#include <array>

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
template <class V>
void check_length(const char* op, const char* name, const V& v, std::array<int, 2> x) {
  if constexpr (wanted<V>)
    check(int(v.length) == x[1], op, "x is ", x, " but ", name, " has ", int(v.length), " numbers");
}
/// `y` is another tensor of the shape of x, called `name`.
template <class X, class Y>
void check_same(const char* op, const X& x, const char* name, const Y& y) {
  if constexpr (wanted<Y>) {
    static_assert(agree(width_of<X>, width_of<Y>), "norm: the widths of x and of another tensor differ");
    check(x.shape() == y.shape(), op, "x is ", x.shape(), " and ", name, " is ", y.shape(), ": their shapes differ");
  }
}
template <Platform P, class X, class Scale>
void check_norm(const char* op, const X& x, const Scale& scale, const Moments<P>& moments) {
  static_assert(agree(width_of<X>, Scale::extent), "norm: the width of x differs from the length of scale");
  check_length(op, "scale", scale, x.shape());
  check(moments.rows == x.rows, op, "x is ", x.shape(), " and moments have ", moments.rows, " rows");
}
}  // namespace detail

template <Platform P, RowsOn<P> X, class Scale, class Bias, RowsOn<P> Y>
void layer_norm(Context<P>& ctx, const X& x, const Scale& scale, const Bias& bias, float epsilon, const Y& y,
                const Moments<P>& moments) {
  detail::check_norm<P>("layer_norm", x, scale, moments);
  detail::check_length("layer_norm", "bias", bias, x.shape());
  detail::check_same("layer_norm", x, "y", y);
  kernels::Norm<P>::layer(ctx, x, any(scale), any(bias), epsilon, any(y), moments);
}
/// Writes dx; adds to dscale and dbias.
template <Platform P, RowsOn<P> X, class Scale, RowsOn<P> Y, RowsSink<P> DX, VectorSink DScale, VectorSink DBias>
void layer_norm_backward(Context<P>& ctx, const X& x, const Moments<P>& moments, const Scale& scale, const Y& dy,
                         const DX& dx, const DScale& dscale, const DBias& dbias) {
  constexpr const char* op = "layer_norm_backward";
  detail::check_norm<P>(op, x, scale, moments);
  detail::check_same(op, x, "dy", dy);
  detail::check_same(op, x, "dx", dx);
  detail::check_length(op, "dscale", dscale, x.shape());
  detail::check_length(op, "dbias", dbias, x.shape());
  if constexpr (wanted<DScale> || wanted<DBias>)
    kernels::Norm<P>::layer_backward_weights(ctx, x, moments, dy, any(dscale), any(dbias));
  if constexpr (wanted<DX>) kernels::Norm<P>::layer_backward_input(ctx, x, moments, any(scale), dy, any(dx));
}

template <Platform P, RowsOn<P> X, class Scale, RowsOn<P> Y>
void rms_norm(Context<P>& ctx, const X& x, const Scale& scale, float epsilon, const Y& y, const Moments<P>& moments) {
  detail::check_norm<P>("rms_norm", x, scale, moments);
  detail::check_same("rms_norm", x, "y", y);
  kernels::Norm<P>::rms(ctx, x, any(scale), epsilon, any(y), moments);
}
/// Writes dx; adds to dscale.
template <Platform P, RowsOn<P> X, class Scale, RowsOn<P> Y, RowsSink<P> DX, VectorSink DScale>
void rms_norm_backward(Context<P>& ctx, const X& x, const Moments<P>& moments, const Scale& scale, const Y& dy,
                       const DX& dx, const DScale& dscale) {
  constexpr const char* op = "rms_norm_backward";
  detail::check_norm<P>(op, x, scale, moments);
  detail::check_same(op, x, "dy", dy);
  detail::check_same(op, x, "dx", dx);
  detail::check_length(op, "dscale", dscale, x.shape());
  if constexpr (wanted<DScale>) kernels::Norm<P>::rms_backward_weights(ctx, x, moments, dy, any(dscale));
  if constexpr (wanted<DX>) kernels::Norm<P>::rms_backward_input(ctx, x, moments, any(scale), dy, any(dx));
}

}  // namespace ops
}  // namespace flamingo
