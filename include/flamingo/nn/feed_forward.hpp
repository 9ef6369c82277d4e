/// FeedForward: y = down f(up x)      GatedFeedForward: y = down (f(gate x) * up x)
#pragma once
#include <cmath>

#include <flamingo/core/context.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/fused_linear.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/residual.hpp>
#include <flamingo/ops/split.hpp>

namespace flamingo {

struct FeedForwardConfig {
  int dim = 512;      ///< D
  int hidden = 2048;  ///< F
  Activation activation = Activation::gelu;
  bool bias = false;
  float deviation = 0.02f;  ///< of new weights
  int split = 1;            ///< processes that divide the hidden features between them
};

namespace nn {

/// x, y (N, D)   hidden, active (N, F)
template <FeedForwardConfig C, Platform P>
struct FeedForward {
  static constexpr int D = C.dim, F = C.hidden / C.split;
  static_assert(D > 0 && F > 0, "FeedForwardConfig: dim and hidden must be positive");
  static_assert(C.hidden % C.split == 0, "FeedForwardConfig: split must divide hidden");

  template <class S>
  struct Parameters {
    Matrix<S, F, D> up;
    Matrix<S, D, F> down;
    If<C.bias, Vector<S, F>> up_bias;
    If<C.bias, Vector<S, D>> down_bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("up", F, D, Init::normal(C.deviation), Split::rows), p.up...);
    visit(matrix_spec("down", D, F, Init::normal(C.deviation), Split::columns), p.down...);
    if constexpr (C.bias) {
      visit(vector_spec("up_bias", F, Init::zero(), Split::rows), p.up_bias...);
      visit(vector_spec("down_bias", D, Init::zero()), p.down_bias...);
    }
  }

  template <Need need>
  struct Saved {
    If<need.weights, Rows<P, D, const typename P::Real>> x;
    If<need.any(), Rows<P, F>> hidden;
    If<need.weights, Rows<P, F>> active;
  };

  /// y are rows, or where a branch ends (Onto).
  template <Need need, class W, RowsOn<P> X, class Y>
  static Saved<need> forward(Context<P>& ctx, const W& w, const X& x, const Y& y) {
    const auto scope = ctx.scope();
    const auto hidden = take<need.any(), F>(ctx, x.rows);
    const auto active = take<need.weights, F>(ctx, x.rows);
    ops::linear_activate<C.activation, need.any()>(ctx, x, w.up, w.up_bias, hidden, active);  // (N, F)
    ops::last_linear<C.split>(ctx, active, w.down, w.down_bias, y);                           // (N, D)
    return {x, hidden, active};
  }

  /// Writes dx and adds to g.
  template <Need need, class W, class G, RowsOn<P> Y, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Y& dy, const DX& dx, const G& g) {
    const auto scope = ctx.scope();
    const auto dhidden = scratch<F>(ctx, dy.rows);
    ops::linear_backward(ctx, s.active, w.down, dy, dhidden, g.down, g.down_bias);
    ops::activate_backward<C.activation>(ctx, s.hidden, dhidden, dhidden);
    ops::linear_backward(ctx, s.x, w.up, dhidden, dx, g.up, g.up_bias);
    ops::enter<C.split>(ctx, dx);
  }
};

/// x, y (N, D)   gate, up, active (N, F)
template <FeedForwardConfig C, Platform P>
struct GatedFeedForward {
  static constexpr int D = C.dim, F = C.hidden / C.split;
  static_assert(D > 0 && F > 0, "FeedForwardConfig: dim and hidden must be positive");
  static_assert(C.hidden % C.split == 0, "FeedForwardConfig: split must divide hidden");
  static_assert(!C.bias, "FeedForwardConfig: a gated feed-forward has no biases");

  template <class S>
  struct Parameters {
    Matrix<S, F, D> gate, up;
    Matrix<S, D, F> down;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("gate", F, D, Init::normal(C.deviation), Split::rows), p.gate...);
    visit(matrix_spec("up", F, D, Init::normal(C.deviation), Split::rows), p.up...);
    visit(matrix_spec("down", D, F, Init::normal(C.deviation), Split::columns), p.down...);
  }

  template <Need need>
  struct Saved {
    If<need.weights, Rows<P, D, const typename P::Real>> x;
    If<need.any(), Rows<P, F>> gate, up;
    If<need.weights, Rows<P, F>> active;
  };

  /// y are rows, or where a branch ends (Onto).
  template <Need need, class W, RowsOn<P> X, class Y>
  static Saved<need> forward(Context<P>& ctx, const W& w, const X& x, const Y& y) {
    const auto scope = ctx.scope();
    const auto gate = take<need.any(), F>(ctx, x.rows), up = take<need.any(), F>(ctx, x.rows);
    const auto active = take<need.weights, F>(ctx, x.rows);
    ops::linear_gate_activate<C.activation, need.any()>(ctx, x, w.gate, w.up, gate, up, active);  // (N, F)
    ops::last_linear<C.split>(ctx, active, w.down, Nothing{}, y);                                 // (N, D)
    return {x, gate, up, active};
  }

  /// Writes dx and adds to g.
  template <Need need, class W, class G, RowsOn<P> Y, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Y& dy, const DX& dx, const G& g) {
    const auto scope = ctx.scope();
    const auto dactive = scratch<F>(ctx, dy.rows), dgate = scratch<F>(ctx, dy.rows), dup = scratch<F>(ctx, dy.rows);
    ops::linear_backward(ctx, s.active, w.down, dy, dactive, g.down);
    ops::gate_activate_backward<C.activation>(ctx, s.gate, s.up, dactive, dgate, dup);
    ops::linear_backward(ctx, s.x, w.gate, dgate, dx, g.gate);
    if constexpr (wanted<DX>) {
      const auto dx_up = scratch<D>(ctx, dy.rows);
      ops::linear_backward(ctx, s.x, w.up, dup, dx_up, g.up);
      ops::accumulate(ctx, dx_up, dx);
    } else {
      ops::linear_backward(ctx, s.x, w.up, dup, dx, g.up);
    }
    ops::enter<C.split>(ctx, dx);
  }
};

}  // namespace nn
}  // namespace flamingo
