/// add: y = a + b      subtract: y = a - b      accumulate: sum += x      gated_add: y = x + tanh(gate) branch
/// exp_scale: y = exp(s) x
///
/// A gate is one number for the whole layer (the paper) or one a feature (an Idefics option).
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>

namespace flamingo {
namespace kernels {
/// Sums of rows; defined once per platform.
template <Platform P>
struct Residual;
}  // namespace kernels

namespace ops {

/// y = a + b; y may be a or b.
template <Platform P, RowsOn<P> A, RowsOn<P> B, RowsOn<P> Y>
void add(Context<P>& ctx, const A& a, const B& b, const Y& y) {
  check(a.shape() == b.shape() && b.shape() == y.shape(), "add", "a is ", a.shape(), ", b is ", b.shape(), " and y is ",
        y.shape(), ": their shapes differ");
  kernels::Residual<P>::add(ctx, a, b, any(y));
}
/// y = a - b; y may be a or b.
template <Platform P, RowsOn<P> A, RowsOn<P> B, RowsOn<P> Y>
void subtract(Context<P>& ctx, const A& a, const B& b, const Y& y) {
  check(a.shape() == b.shape() && b.shape() == y.shape(), "subtract", "a is ", a.shape(), ", b is ", b.shape(),
        " and y is ", y.shape(), ": their shapes differ");
  kernels::Residual<P>::subtract(ctx, a, b, any(y));
}
/// sum += x: the only way in which gradients of activations are added up.
template <Platform P, RowsOn<P> X, RowsSink<P> S>
void accumulate(Context<P>& ctx, const X& x, const S& sum) {
  if constexpr (wanted<S>) add(ctx, x, sum, sum);
}
/// y = x
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void copy(Context<P>& ctx, const X& x, const Y& y) {
  check(x.shape() == y.shape(), "copy", "x is ", x.shape(), " and y is ", y.shape(), ": their shapes differ");
  kernels::Residual<P>::copy(ctx, any(x), any(y));
}

namespace detail {
/// One number, or one a feature.
template <class Gate>
void check_gate(const char* op, const char* name, const Gate& gate, int width) {
  check(Gate::extent == 1 || int(gate.length) == width, op, name, " has ", int(gate.length), " numbers, expected ",
        width, ", or 1 in its type");
}
}  // namespace detail

template <Platform P, RowsOn<P> X, class Gate, RowsOn<P> Branch, RowsOn<P> Y>
void gated_add(Context<P>& ctx, const X& x, const Gate& gate, const Branch& branch, const Y& y) {
  static_assert(Gate::extent == 1 || agree(Gate::extent, width_of<X>),
                "gated_add: a gate has one number, or one for each feature of x");
  check(x.shape() == branch.shape() && x.shape() == y.shape(), "gated_add", "x is ", x.shape(), ", branch is ",
        branch.shape(), " and y is ", y.shape(), ": their shapes differ");
  detail::check_gate("gated_add", "gate", gate, x.width);
  kernels::Residual<P>::gated_add(ctx, x, gate, branch, any(y));
}
/// Writes dbranch = tanh(gate) dy; adds (1 - tanh²(gate)) <dy, branch> to dgate. dx is dy itself.
template <Platform P, class Gate, class Branch, RowsOn<P> Y, RowsSink<P> DBranch, VectorSink DGate>
void gated_add_backward(Context<P>& ctx, const Gate& gate, const Branch& branch, const Y& dy, const DBranch& dbranch,
                        const DGate& dgate) {
  detail::check_gate("gated_add_backward", "gate", gate, dy.width);
  if constexpr (wanted<DGate>) {
    static_assert(DGate::extent == Gate::extent, "gated_add_backward: gate and dgate differ in length");
    detail::check_gate("gated_add_backward", "dgate", dgate, dy.width);
    check(branch.shape() == dy.shape(), "gated_add_backward", "branch is ", branch.shape(), " and dy is ", dy.shape(),
          ": their shapes differ");
    kernels::Residual<P>::gate_backward(ctx, gate, branch, dy, dgate);
  }
  if constexpr (wanted<DBranch>) {
    check(dbranch.shape() == dy.shape(), "gated_add_backward", "dbranch is ", dbranch.shape(), " and dy is ",
          dy.shape(), ": their shapes differ");
    kernels::Residual<P>::gated_backward(ctx, gate, dy, any(dbranch));
  }
}

/// y = exp(s) x, s one number: a learned temperature kept as its logarithm. y may be x.
template <Platform P, RowsOn<P> X, class S, RowsOn<P> Y>
void exp_scale(Context<P>& ctx, const X& x, const S& s, const Y& y) {
  static_assert(S::extent == 1, "exp_scale: s has one number");
  check(x.shape() == y.shape(), "exp_scale", "x is ", x.shape(), " and y is ", y.shape(), ": their shapes differ");
  kernels::Residual<P>::exp_scale(ctx, x, s, any(y));
}
/// Adds exp(s) dy to dx and <dy, y> to ds.
template <Platform P, class S, RowsOn<P> Y, RowsOn<P> DY, RowsSink<P> DX, VectorSink DS>
void exp_scale_backward(Context<P>& ctx, const S& s, const Y& y, const DY& dy, const DX& dx, const DS& ds) {
  if constexpr (wanted<DS>) {
    static_assert(DS::extent == 1, "exp_scale_backward: ds has one number");
    check(y.shape() == dy.shape(), "exp_scale_backward", "y is ", y.shape(), " and dy is ", dy.shape(),
          ": their shapes differ");
    kernels::Residual<P>::exp_scale_backward_scale(ctx, y, dy, ds);
  }
  if constexpr (wanted<DX>) {
    check(dx.shape() == dy.shape(), "exp_scale_backward", "dx is ", dx.shape(), " and dy is ", dy.shape(),
          ": their shapes differ");
    kernels::Residual<P>::exp_scale_backward_input(ctx, s, dy, any(dx));
  }
}

}  // namespace ops
}  // namespace flamingo
