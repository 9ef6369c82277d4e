/// linear: y = x wᵀ + b      x (N, D)   w (O, D)   b (O)   y (N, O)
/// with an addition of low rank: y = x wᵀ + (x aᵀ) bᵀ      a (r, D)   b (O, r)
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo {
namespace kernels {
/// Dense products with a stored or packed weight; defined once per platform.
template <Platform P>
struct Linear;
}  // namespace kernels

namespace ops {

template <Platform P, RowsOn<P> X, WeightOn<P> W, RowsOn<P> Y>
void check_linear(const X& x, const W& w, const Y& y) {
  static_assert(agree(width_of<X>, W::in), "linear: the width of x differs from the columns of w");
  static_assert(agree(width_of<Y>, W::out), "linear: the width of y differs from the rows of w");
  check(int(x.width) == int(w.columns), "linear", "x is ", x.shape(), " and w is (", int(w.rows), ", ", int(w.columns),
        "): their last axes differ");
  check(y.rows == x.rows && int(y.width) == int(w.rows), "linear", "y is ", y.shape(), ", expected (", x.rows, ", ",
        int(w.rows), ')');
}

template <Platform P, RowsOn<P> X, WeightOn<P> W, class B, RowsOn<P> Y>
void check_linear(const X& x, const W& w, const B& b, const Y& y) {
  check_linear<P>(x, w, y);
  if constexpr (wanted<B>) {
    static_assert(agree(B::extent, W::out), "linear: the length of b differs from the rows of w");
    check(int(b.length) == int(w.rows), "linear", "b has ", int(b.length), " numbers, expected ", int(w.rows));
  }
}

/// y = x wᵀ. A row's bits do not depend on the other rows.
template <Platform P, RowsOn<P> X, WeightOn<P> W, RowsOn<P> Y>
void linear(Context<P>& ctx, const X& x, const W& w, const Y& y) {
  check_linear<P>(x, w, y);
  kernels::Linear<P>::forward(ctx, x, any(w), any(y));
}

/// y = x wᵀ + b, or without b where a config has none (Nothing).
template <Platform P, RowsOn<P> X, WeightOn<P> W, class B, RowsOn<P> Y>
void linear(Context<P>& ctx, const X& x, const W& w, const B& b, const Y& y) {
  check_linear<P>(x, w, b, y);
  constexpr bool fused = requires { kernels::Linear<P>::forward(ctx, In<P>(x), any(w), any(b), any(y)); };
  if constexpr (wanted<B> && fused) {
    kernels::Linear<P>::forward(ctx, x, any(w), any(b), any(y));
  } else {
    linear(ctx, x, w, y);
    if constexpr (wanted<B>) kernels::Linear<P>::add_bias(ctx, any(b), any(y));
  }
}

/// y += b, each row.
template <Platform P, class B, RowsOn<P> Y>
void add_bias(Context<P>& ctx, const B& b, const Y& y) {
  static_assert(agree(B::extent, width_of<Y>), "add_bias: the length of b differs from the width of y");
  kernels::Linear<P>::add_bias(ctx, any(b), any(y));
}
/// Adds the column sums of dy to db.
template <Platform P, RowsOn<P> Y, VectorSink DB>
void add_bias_backward(Context<P>& ctx, const Y& dy, const DB& db) {
  if constexpr (wanted<DB>) {
    check(int(db.length) == int(dy.width), "add_bias_backward", "db has ", int(db.length), " numbers, expected ",
          int(dy.width));
    kernels::Linear<P>::backward_bias(ctx, dy, db);
  }
}

/// Writes dx = dy w; adds dyᵀ x to dw. x is read for dw alone.
template <Platform P, class X, WeightOn<P> W, RowsOn<P> Y, RowsSink<P> DX, WeightSink<P> DW>
void linear_backward(Context<P>& ctx, const X& x, const W& w, const Y& dy, const DX& dx, const DW& dw) {
  static_assert(agree(width_of<Y>, W::out), "linear_backward: the width of dy differs from the rows of w");
  check(int(dy.width) == int(w.rows), "linear_backward", "dy is ", dy.shape(), " and w is (", int(w.rows), ", ",
        int(w.columns), ')');
  if constexpr (wanted<DX>) {
    static_assert(agree(width_of<DX>, W::in), "linear_backward: the width of dx differs from the columns of w");
    check(dx.rows == dy.rows && int(dx.width) == int(w.columns), "linear_backward", "dx is ", dx.shape(),
          ", expected (", dy.rows, ", ", int(w.columns), ')');
    kernels::Linear<P>::backward_input(ctx, any(w), dy, any(dx));
  }
  if constexpr (wanted<DW>) {
    static_assert(agree(width_of<X>, DW::in) && agree(width_of<Y>, DW::out),
                  "linear_backward: dw has the shape of neither dy nor x");
    check(x.rows == dy.rows && int(x.width) == int(w.columns), "linear_backward", "x is ", x.shape(), " and dy is ",
          dy.shape(), ": their rows differ");
    check(int(dw.rows) == int(w.rows) && int(dw.columns) == int(w.columns), "linear_backward", "dw is (", int(dw.rows),
          ", ", int(dw.columns), "), expected (", int(w.rows), ", ", int(w.columns), ')');
    kernels::Linear<P>::backward_weight(ctx, x, dy, any(dw));
  }
}

/// As above, and adds the column sums of dy to db.
template <Platform P, class X, WeightOn<P> W, RowsOn<P> Y, RowsSink<P> DX, WeightSink<P> DW, VectorSink DB>
void linear_backward(Context<P>& ctx, const X& x, const W& w, const Y& dy, const DX& dx, const DW& dw, const DB& db) {
  linear_backward(ctx, x, w, dy, dx, dw);
  if constexpr (wanted<DB>) {
    check(int(db.length) == int(w.rows), "linear_backward", "db has ", int(db.length), " numbers, expected ",
          int(w.rows));
    kernels::Linear<P>::backward_bias(ctx, dy, any(db));
  }
}

/// y = x wᵀ + (x aᵀ) bᵀ; where b is 0 the numbers of the frozen matrix.
template <Platform P, RowsOn<P> X, LowRankOn<P> W, class Bias, RowsOn<P> Y>
void linear(Context<P>& ctx, const X& x, const W& w, const Bias& bias, const Y& y) {
  const auto scope = ctx.scope();
  const auto inner = scratch<W::rank>(ctx, x.rows);
  const auto more = scratch<W::out>(ctx, x.rows);
  linear(ctx, x, w.base, bias, y);
  linear(ctx, x, w.lora_a, inner);     // (N, r)
  linear(ctx, inner, w.lora_b, more);  // (N, O)
  accumulate(ctx, more, y);
}
template <Platform P, RowsOn<P> X, LowRankOn<P> W, RowsOn<P> Y>
void linear(Context<P>& ctx, const X& x, const W& w, const Y& y) {
  linear(ctx, x, w, NoGrad{}, y);
}
/// Writes dx = dy w + (dy b) a; adds dyᵀ (x aᵀ) to db and (dy b)ᵀ x to da. The frozen matrix has no gradient.
template <Platform P, class X, LowRankOn<P> W, RowsOn<P> Y, RowsSink<P> DX, class DW>
void linear_backward(Context<P>& ctx, const X& x, const W& w, const Y& dy, const DX& dx, const DW& dw) {
  const auto scope = ctx.scope();
  const auto dinner = scratch<W::rank>(ctx, dy.rows);
  linear_backward(ctx, x, w.base, dy, dx, NoGrad{});
  const auto factors = [&](const auto& da, const auto& db, const auto& inner) {
    linear_backward(ctx, inner, w.lora_b, dy, dinner, db);
    if constexpr (wanted<DX>) {
      const auto more = scratch<W::in>(ctx, dy.rows);
      linear_backward(ctx, x, w.lora_a, dinner, more, da);
      accumulate(ctx, more, dx);
    } else {
      linear_backward(ctx, x, w.lora_a, dinner, NoGrad{}, da);
    }
  };
  if constexpr (wanted<DW>) {
    const auto inner = scratch<W::rank>(ctx, dy.rows);
    linear(ctx, x, w.lora_a, inner);
    factors(dw.lora_a, dw.lora_b, inner);
  } else {
    factors(NoGrad{}, NoGrad{}, NoGrad{});
  }
}
template <Platform P, class X, LowRankOn<P> W, RowsOn<P> Y, RowsSink<P> DX, class DW, VectorSink DB>
void linear_backward(Context<P>& ctx, const X& x, const W& w, const Y& dy, const DX& dx, const DW& dw, const DB& db) {
  linear_backward(ctx, x, w, dy, dx, dw);
  if constexpr (wanted<DB>) kernels::Linear<P>::backward_bias(ctx, dy, any(db));
}

}  // namespace ops
}  // namespace flamingo
