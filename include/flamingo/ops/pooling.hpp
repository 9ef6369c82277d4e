/// pooling: max_pool and average_pool over moving windows, picture_mean over a whole picture, channel by channel.
///
/// x (cells, D) are pictures as rows; y has a row for each window, or one for each picture. Cells beyond an edge do not
/// take part: an average divides by the cells that lie inside.
#pragma once
#include <span>

#include <flamingo/core/context.hpp>
#include <flamingo/ops/grid.hpp>

namespace flamingo {
namespace kernels {
/// Maxima and means of windows; defined once per platform.
template <Platform P>
struct Pooling;
}  // namespace kernels

namespace ops {
namespace detail {

template <class X, class Y>
void check_pool(const char* where, const X& x, std::span<const Grid> grids, const Window& window, const Y& y) {
  static_assert(agree(width_of<X>, width_of<Y>), "pooling: the widths of x and y differ");
  // A window wholly in the border would be a maximum or mean of nothing.
  check(window.padding != Padding::symmetric || (window.border < window.height && window.border < window.width), where,
        "the border is ", window.border, " and the window ", window.height, " x ", window.width,
        ": the border must be smaller");
  const int windows = check_windows(where, grids, window, x.rows);
  check(y.rows == windows && int(y.width) == int(x.width), where, "y is ", y.shape(), ", expected (", windows, ", ",
        int(x.width), ')');
}
template <class X, class Y>
void check_mean(const char* where, const X& x, std::span<const Grid> grids, const Y& y) {
  static_assert(agree(width_of<X>, width_of<Y>), "pooling: the widths of x and y differ");
  check_grids(where, grids, x.rows);
  check(y.rows == static_cast<int>(grids.size()) && int(y.width) == int(x.width), where, "y is ", y.shape(),
        ", expected (", grids.size(), ", ", int(x.width), ')');
}

}  // namespace detail

/// y[n] = the largest number of window n, in each channel
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void max_pool(Context<P>& ctx, const X& x, std::span<const Grid> grids, const Window& window, const Y& y) {
  detail::check_pool("max_pool", x, grids, window, y);
  kernels::Pooling<P>::max(ctx, x, grids, window, any(y));
}
/// Writes dx: dy goes to the first cell, line by line, that holds the window's largest number.
template <Platform P, RowsOn<P> X, RowsOn<P> Y, RowsOn<P> DX>
void max_pool_backward(Context<P>& ctx, const X& x, std::span<const Grid> grids, const Window& window, const Y& dy,
                       const DX& dx) {
  detail::check_pool("max_pool_backward", x, grids, window, dy);
  check(dx.shape() == x.shape(), "max_pool_backward", "dx is ", dx.shape(), ", expected ", x.shape());
  kernels::Pooling<P>::max_backward(ctx, x, grids, window, dy, any(dx));
}

/// y[n] = the mean over window n's cells inside the picture
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void average_pool(Context<P>& ctx, const X& x, std::span<const Grid> grids, const Window& window, const Y& y) {
  detail::check_pool("average_pool", x, grids, window, y);
  kernels::Pooling<P>::average(ctx, x, grids, window, any(y));
}
/// Writes dx.
template <Platform P, RowsOn<P> Y, RowsOn<P> DX>
void average_pool_backward(Context<P>& ctx, std::span<const Grid> grids, const Window& window, const Y& dy,
                           const DX& dx) {
  detail::check_pool("average_pool_backward", dx, grids, window, dy);
  kernels::Pooling<P>::average_backward(ctx, grids, window, dy, any(dx));
}

/// y[m] = the mean over all cells of picture m
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void picture_mean(Context<P>& ctx, const X& x, std::span<const Grid> grids, const Y& y) {
  detail::check_mean("picture_mean", x, grids, y);
  kernels::Pooling<P>::mean(ctx, x, grids, any(y));
}
/// Writes dx.
template <Platform P, RowsOn<P> Y, RowsOn<P> DX>
void picture_mean_backward(Context<P>& ctx, std::span<const Grid> grids, const Y& dy, const DX& dx) {
  detail::check_mean("picture_mean_backward", dx, grids, dy);
  kernels::Pooling<P>::mean_backward(ctx, grids, dy, any(dx));
}

}  // namespace ops
}  // namespace flamingo
