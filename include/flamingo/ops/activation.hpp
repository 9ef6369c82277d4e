/// activate: y = f(x), element by element      scaled_activate: y = s f(x), s a number      gate_activate: y = f(gate)
/// * up, the product of a gated feed-forward clamp: x = max(-limit, min(x, limit)), in place
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/core/kinds.hpp>

namespace flamingo {
namespace kernels {
/// Element-wise non-linearities; defined once per platform.
template <Platform P>
struct Activate;
}  // namespace kernels

namespace ops {

/// x, y of one shape; y may be x.
template <Activation A, Platform P, RowsOn<P> X, RowsOn<P> Y>
void activate(Context<P>& ctx, const X& x, const Y& y) {
  check(x.shape() == y.shape(), "activate", "x is ", x.shape(), " and y is ", y.shape(), ": their shapes differ");
  kernels::Activate<P>::template forward<A>(ctx, x, any(y));
}
/// Writes dx = f'(x) dy; dx may be dy.
template <Activation A, Platform P, RowsOn<P> X, RowsOn<P> Y, RowsSink<P> DX>
void activate_backward(Context<P>& ctx, const X& x, const Y& dy, const DX& dx) {
  check(x.shape() == dy.shape(), "activate_backward", "x is ", x.shape(), " and dy is ", dy.shape(),
        ": their shapes differ");
  if constexpr (wanted<DX>) {
    check(x.shape() == dx.shape(), "activate_backward", "x is ", x.shape(), " and dx is ", dx.shape(),
          ": their shapes differ");
    kernels::Activate<P>::template backward<A>(ctx, x, dy, any(dx));
  }
}

/// y = scale f(x); y may be x.
template <Activation A, Platform P, RowsOn<P> X, RowsOn<P> Y>
void scaled_activate(Context<P>& ctx, double scale, const X& x, const Y& y) {
  check(x.shape() == y.shape(), "scaled_activate", "x is ", x.shape(), " and y is ", y.shape(),
        ": their shapes differ");
  kernels::Activate<P>::template scaled<A>(ctx, scale, x, any(y));
}
/// Writes dx = scale f'(x) dy; dx may be dy.
template <Activation A, Platform P, RowsOn<P> X, RowsOn<P> Y, RowsOn<P> DX>
void scaled_activate_backward(Context<P>& ctx, double scale, const X& x, const Y& dy, const DX& dx) {
  check(x.shape() == dy.shape() && x.shape() == dx.shape(), "scaled_activate_backward", "x is ", x.shape(), ", dy is ",
        dy.shape(), " and dx is ", dx.shape(), ": their shapes differ");
  kernels::Activate<P>::template scaled_backward<A>(ctx, scale, x, dy, any(dx));
}

/// x becomes max(-limit, min(x, limit)).
template <Platform P, RowsOn<P> X>
void clamp(Context<P>& ctx, float limit, const X& x) {
  check(limit > 0, "clamp", "limit is ", limit, ", expected a positive number");
  kernels::Activate<P>::clamp(ctx, limit, any(x));
}
/// dx becomes zero where the clamped x lies at a limit.
template <Platform P, RowsOn<P> X, RowsOn<P> DX>
void clamp_backward(Context<P>& ctx, float limit, const X& x, const DX& dx) {
  check(x.shape() == dx.shape(), "clamp_backward", "x is ", x.shape(), " and dx is ", dx.shape(),
        ": their shapes differ");
  kernels::Activate<P>::clamp_backward(ctx, limit, x, any(dx));
}

/// gate, up, y of one shape.
template <Activation A, Platform P, RowsOn<P> G, RowsOn<P> U, RowsOn<P> Y>
void gate_activate(Context<P>& ctx, const G& gate, const U& up, const Y& y) {
  check(gate.shape() == up.shape() && up.shape() == y.shape(), "gate_activate", "gate is ", gate.shape(), ", up is ",
        up.shape(), " and y is ", y.shape(), ": their shapes differ");
  kernels::Activate<P>::template gated<A>(ctx, gate, up, any(y));
}
/// Writes dgate = f'(gate) up dy and dup = f(gate) dy.
template <Activation A, Platform P, RowsOn<P> G, RowsOn<P> U, RowsOn<P> Y, RowsOn<P> DG, RowsOn<P> DU>
void gate_activate_backward(Context<P>& ctx, const G& gate, const U& up, const Y& dy, const DG& dgate, const DU& dup) {
  check(gate.shape() == up.shape() && up.shape() == dy.shape(), "gate_activate_backward", "gate is ", gate.shape(),
        ", up is ", up.shape(), " and dy is ", dy.shape(), ": their shapes differ");
  check(gate.shape() == dgate.shape() && gate.shape() == dup.shape(), "gate_activate_backward", "gate is ",
        gate.shape(), ", dgate is ", dgate.shape(), " and dup is ", dup.shape(), ": their shapes differ");
  kernels::Activate<P>::template gated_backward<A>(ctx, gate, up, dy, any(dgate), any(dup));
}

}  // namespace ops
}  // namespace flamingo
