/// A linear map with what follows it, and several of the same rows: one kernel where a platform has one
/// (kernels::FusedLinear), else one after the other.
///
///   linears:               y = x wᵀ + b, of each of several w
///   linear_activate:       y = f(x wᵀ + b)
///   linear_gate_activate:  y = f(x w_gateᵀ) * (x w_upᵀ)
///   last_linear:           a branch's last map, summed over the processes that divide it: y = x wᵀ + b, or
///                          y = stream + [tanh(gate)] (x wᵀ + b)
///
/// What stands between the map and y is stored where somebody reads it later (Kept), or where nothing is fused.
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/core/kinds.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/residual.hpp>
#include <flamingo/ops/split.hpp>

namespace flamingo {
namespace kernels {
/// Maps with what follows them; a platform specialises it for what it has. Each function returns whether it did it: it
/// may depend on sizes.
template <Platform P>
struct FusedLinear {};
}  // namespace kernels

/// One of several maps of the same rows: y = x wᵀ + b.
template <class W, class B, class Y>
struct MapTo {
  const W& w;
  const B& b;
  Y y;
};
template <class W, class B, class Y>
MapTo<W, B, Y> map_to(const W& w, const B& b, const Y& y) {
  return {w, b, y};
}

/// Where a branch of a stream of rows ends, in place of rows that it is written to: sum = stream + branch, or stream +
/// tanh(gate) branch. Kept: the branch is read later, for the gradient of its gate.
template <bool Kept, Platform P, int D, class Gate>
struct Onto {
  static constexpr bool kept = Kept;
  Rows<P, D> stream;
  Gate gate;
  Rows<P, D> branch, sum;

  void check_shapes() const {
    check(stream.shape() == sum.shape(), "linear", "the stream is ", stream.shape(), " and its sum is ", sum.shape());
    if constexpr (wanted<Gate>) ops::detail::check_gate("linear", "gate", gate, sum.width);
  }
  /// Adds the branch, which is there.
  void add(Context<P>& ctx) const {
    if constexpr (wanted<Gate>)
      ops::gated_add(ctx, stream, gate, branch, sum);
    else
      ops::add(ctx, stream, branch, sum);
  }
};
template <bool Kept, Platform P, int D, class Gate>
Onto<Kept, P, D, Gate> onto(const Rows<P, D>& stream, const Gate& gate, const Rows<P, D>& branch,
                            const Rows<P, D>& sum) {
  return {stream, gate, branch, sum};
}

/// sum = stream + branch
template <Platform P, int D>
Onto<false, P, D, Nothing> onto(const Rows<P, D>& stream, const Rows<P, D>& branch, const Rows<P, D>& sum) {
  return {stream, {}, branch, sum};
}

namespace ops {

template <Platform P, RowsOn<P> X, class... W, class... B, class... Y>
void linears(Context<P>& ctx, const X& x, const MapTo<W, B, Y>&... map) {
  if constexpr (sizeof...(W) > 1 && (WeightOn<W, P> && ...) && requires {
                  kernels::FusedLinear<P>::several(ctx, In<P>(x), map_to(any(map.w), map.b, any(map.y))...);
                }) {
    (check_linear<P>(x, map.w, map.b, map.y), ...);
    if (kernels::FusedLinear<P>::several(ctx, x, map_to(any(map.w), map.b, any(map.y))...)) return;
  }
  (linear(ctx, x, map.w, map.b, map.y), ...);
}

/// y = f(x wᵀ + b); `hidden` holds x wᵀ + b where it is Kept.
template <Activation A, bool Kept, Platform P, RowsOn<P> X, class W, class B, RowsOn<P> H, RowsOn<P> Y>
void linear_activate(Context<P>& ctx, const X& x, const W& w, const B& b, const H& hidden, const Y& y) {
  if constexpr (!Kept && WeightOn<W, P> &&
                requires { kernels::FusedLinear<P>::template activate<A>(ctx, In<P>(x), any(w), b, any(y)); }) {
    check_linear<P>(x, w, b, y);
    if (kernels::FusedLinear<P>::template activate<A>(ctx, x, any(w), b, any(y))) return;
  }
  linear(ctx, x, w, b, hidden);
  activate<A>(ctx, hidden, y);
}

/// y = f(x w_gateᵀ) * (x w_upᵀ); `gate` and `up` hold the two products where they are Kept.
template <Activation A, bool Kept, Platform P, RowsOn<P> X, class W, class U, RowsOn<P> H, RowsOn<P> Y>
void linear_gate_activate(Context<P>& ctx, const X& x, const W& w_gate, const U& w_up, const H& gate, const H& up,
                          const Y& y) {
  if constexpr (!Kept && WeightOn<W, P> && WeightOn<U, P> && requires {
                  kernels::FusedLinear<P>::template gate_activate<A>(ctx, In<P>(x), any(w_gate), any(w_up), any(y));
                }) {
    check_linear<P>(x, w_gate, y);
    check_linear<P>(x, w_up, y);
    if (kernels::FusedLinear<P>::template gate_activate<A>(ctx, x, any(w_gate), any(w_up), any(y))) return;
  }
  linear(ctx, x, w_gate, gate);
  linear(ctx, x, w_up, up);
  gate_activate<A>(ctx, gate, up, y);
}

/// y = x wᵀ + b. Split processes have their part of w each, and b is added once.
template <int Split, Platform P, RowsOn<P> X, class W, class B, RowsOn<P> Y>
void last_linear(Context<P>& ctx, const X& x, const W& w, const B& b, const Y& y) {
  if constexpr (Split == 1) {
    linear(ctx, x, w, b, y);
  } else {
    linear(ctx, x, w, y);
    leave<Split>(ctx, y);
    if constexpr (wanted<B>) add_bias(ctx, b, y);
  }
}
/// The same onto a stream.
template <int Split, Platform P, RowsOn<P> X, class W, class B, bool Kept, int D, class Gate>
void last_linear(Context<P>& ctx, const X& x, const W& w, const B& b, const Onto<Kept, P, D, Gate>& end) {
  if constexpr (Split == 1 && !Kept && WeightOn<W, P> && requires {
                  kernels::FusedLinear<P>::onto(ctx, In<P>(x), any(w), b, In<P>(end.stream), end.gate, any(end.sum));
                }) {
    check_linear<P>(x, w, b, end.sum);
    end.check_shapes();
    if (kernels::FusedLinear<P>::onto(ctx, x, any(w), b, end.stream, end.gate, any(end.sum))) return;
  }
  last_linear<Split>(ctx, x, w, b, end.branch);
  end.add(ctx);
}

}  // namespace ops
}  // namespace flamingo
