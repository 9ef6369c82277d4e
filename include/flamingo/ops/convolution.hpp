/// convolution: y[o] = clip(b[o] + sum over window cells k and channels i of its group of w[o][k][i] x[cell k][i])
///
/// x (cells, I) and y (windows, O) are pictures as rows with the channels innermost. w is (O, height * width * I /
/// groups), a row laid out as [height][width][I / groups]; output channel o sees the input channels of group
/// o / (O / groups). With groups = I = O each channel is filtered alone (depthwise).
#pragma once
#include <limits>
#include <span>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/grid.hpp>

namespace flamingo {

/// The range that outputs are clipped to; by default none is.
struct Clip {
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();

  /// max(0, min(x, 6))
  static constexpr Clip relu6() { return {0, 6}; }
};

namespace kernels {
/// Convolution of pictures by stored or packed weights; defined once per platform.
template <Platform P>
struct Convolution;
}  // namespace kernels

namespace ops {
namespace detail {

template <Platform P, class X, class W, class Y>
void check_convolution(const char* where, const X& x, std::span<const Grid> grids, const W& w, const Window& window,
                       int groups, const Y& y) {
  static_assert(agree(width_of<Y>, W::out), "convolution: the width of y differs from the rows of w");
  const int windows = check_windows(where, grids, window, x.rows);
  check(groups > 0 && int(x.width) % groups == 0 && int(w.rows) % groups == 0, where, "x has ", int(x.width),
        " channels and w ", int(w.rows), " rows: ", groups, " groups divide not both");
  check(int(w.columns) == window.cells() * (int(x.width) / groups), where, "w has ", int(w.columns),
        " columns, expected ", window.height, " * ", window.width, " * ", int(x.width) / groups);
  check(y.rows == windows && int(y.width) == int(w.rows), where, "y is ", y.shape(), ", expected (", windows, ", ",
        int(w.rows), ')');
}

}  // namespace detail

/// y = clip(w * x). A picture's bits do not depend on the other pictures.
template <Platform P, RowsOn<P> X, WeightOn<P> W, RowsOn<P> Y>
void convolution(Context<P>& ctx, const X& x, std::span<const Grid> grids, const W& w, const Window& window, int groups,
                 const Y& y, Clip clip = {}) {
  detail::check_convolution<P>("convolution", x, grids, w, window, groups, y);
  kernels::Convolution<P>::forward(ctx, x, grids, any(w), nullptr, window, groups, any(y), clip);
}

/// y = clip(w * x + b), or without b where a config has none (Nothing).
template <Platform P, RowsOn<P> X, WeightOn<P> W, VectorSink B, RowsOn<P> Y>
void convolution(Context<P>& ctx, const X& x, std::span<const Grid> grids, const W& w, const B& b, const Window& window,
                 int groups, const Y& y, Clip clip = {}) {
  if constexpr (wanted<B>) {
    static_assert(agree(B::extent, W::out), "convolution: the length of b differs from the rows of w");
    detail::check_convolution<P>("convolution", x, grids, w, window, groups, y);
    check(int(b.length) == int(w.rows), "convolution", "b has ", int(b.length), " numbers, expected ", int(w.rows));
    kernels::Convolution<P>::forward(ctx, x, grids, any(w), b.data, window, groups, any(y), clip);
  } else {
    convolution(ctx, x, grids, w, window, groups, y, clip);
  }
}

/// Writes dx; adds to dw and db. dy is the gradient of the unclipped output. x is read for dw alone.
template <Platform P, RowsOn<P> X, WeightOn<P> W, RowsOn<P> Y, RowsSink<P> DX, WeightSink<P> DW, VectorSink DB = NoGrad>
void convolution_backward(Context<P>& ctx, const X& x, std::span<const Grid> grids, const W& w, const Window& window,
                          int groups, const Y& dy, const DX& dx, const DW& dw, const DB& db = {}) {
  detail::check_convolution<P>("convolution_backward", x, grids, w, window, groups, dy);
  if constexpr (wanted<DX>) {
    check(dx.shape() == x.shape(), "convolution_backward", "dx is ", dx.shape(), ", expected ", x.shape());
    kernels::Convolution<P>::backward_input(ctx, grids, any(w), dy, window, groups, any(dx));
  }
  if constexpr (wanted<DW>) {
    check(int(dw.rows) == int(w.rows) && int(dw.columns) == int(w.columns), "convolution_backward", "dw is (",
          int(dw.rows), ", ", int(dw.columns), "), expected (", int(w.rows), ", ", int(w.columns), ')');
    kernels::Convolution<P>::backward_weight(ctx, x, grids, dy, window, groups, any(dw));
  }
  if constexpr (wanted<DB>) {
    check(int(db.length) == int(w.rows), "convolution_backward", "db has ", int(db.length), " numbers, expected ",
          int(w.rows));
    kernels::Convolution<P>::backward_bias(ctx, dy, any(db));
  }
}

}  // namespace ops
}  // namespace flamingo
