/// The way into the space where pictures and texts meet: a projection without a bias, to length 1.
#pragma once
#include <flamingo/core/need.hpp>
#include <flamingo/nn/norm.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo::model {

/// embedding = unit(projection pooled)      pooled (N, E)   projection (J, E)   embeddings (N, J)
template <int E, int J, Platform P>
struct JointSpace {
  using Unit = nn::UnitNorm<J, P>;

  template <Need need>
  struct Saved {
    If<need.weights, Rows<P, E>> pooled;
    typename Unit::template Saved<need> unit;
  };

  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& projection, const Rows<P, E>& pooled,
                             const Rows<P, J>& embeddings) {
    const auto scope = ctx.scope();
    const auto projected = take<need.any(), J>(ctx, pooled.rows);
    ops::linear(ctx, pooled, projection, projected);  // (N, J)
    return {pooled, Unit::template forward<need>(ctx, projected, embeddings)};
  }
  /// Writes dpooled and adds to dprojection.
  template <Need need, class W, class DW>
  static void backward(Context<P>& ctx, const W& projection, const Saved<need>& s, const Rows<P, J>& dembeddings,
                       const Rows<P, E>& dpooled, const DW& dprojection) {
    const auto scope = ctx.scope();
    const auto dprojected = scratch<J>(ctx, dembeddings.rows);
    Unit::backward(ctx, s.unit, dembeddings, dprojected);
    ops::linear_backward(ctx, s.pooled, projection, dprojected, dpooled, dprojection);
  }
};

}  // namespace flamingo::model
