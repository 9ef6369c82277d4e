/// The first transformer block (Vaswani et al. 2017), as BERT has it: a norm after each sum, so that what leaves a
/// block is normed.
///
///   y = norm(x + attend(x))      z = norm_dense(y + feed_forward(y))
#pragma once
#include <flamingo/nn/transformer_block.hpp>

namespace flamingo::nn {

/// x, z (N, D); parameters are called as those of TransformerBlock.
template <TransformerBlockConfig C, Platform P>
struct PostNormBlock {
  static_assert(C.attention.dim == C.attention.source_dim && C.attention.dim == C.dense.dim,
                "TransformerBlockConfig: attention and feed-forward differ in width");
  static_assert(!C.parallel && !C.gated && !C.gated_dense,
                "TransformerBlockConfig: with norms after the sums a block has no gates and no parallel branches");

  static constexpr int D = C.attention.dim;
  using NormLayer = Norm<C.norm, D, P>;
  using Attend = Attention<C.attention, P>;
  using Dense = FeedForward<C.dense, P>;
  static constexpr int KV = Attend::KV;

  template <class S>
  struct Parameters {
    typename NormLayer::template Parameters<S> norm, norm_dense;
    typename Attend::template Parameters<S> attention;
    typename Dense::template Parameters<S> dense;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto norm = within(visit, "norm"), attention = within(visit, "attention"), second = within(visit, "norm_dense"),
         dense = within(visit, "dense");
    Attend::each(attention, p.attention...);
    NormLayer::each(norm, p.norm...);
    Dense::each(dense, p.dense...);
    NormLayer::each(second, p.norm_dense...);
  }

  template <Need need>
  struct Saved {
    If<need.any(), Rows<P, D>> x;
    typename Attend::template Saved<need> attention;
    typename Dense::template Saved<need> dense;
    typename NormLayer::template Saved<need> norm, norm_dense;
  };

  /// Spans are over the rows' own keys and values, pool 0. Where a gradient is wanted x must live until backward. z may
  /// not be x.
  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>& x, View<P, 1, const int> positions,
                             const Spans<P>& spans, const Rows<P, D>& z) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    const int N = x.rows;
    const auto k = take<kept, KV>(ctx, N), v = take<kept, KV>(ctx, N);
    const auto sum = take<kept, D>(ctx, N), y = take<kept, D>(ctx, N), sum_dense = take<kept, D>(ctx, N);
    const auto branch = scratch<D>(ctx, N);
    Pools<P> pools;
    pools.add({k, v});
    Saved<need> s;
    s.attention = Attend::template attend_self<need>(ctx, w.attention, x, positions, k, v, pools, spans,
                                                     onto(x, branch, sum));  // (N, D)
    s.norm = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, sum, y);

    s.dense = Dense::template forward<need>(ctx, w.dense, y, onto(y, branch, sum_dense));  // (N, D)
    s.norm_dense = NormLayer::template forward<need>(ctx, w.norm_dense, C.epsilon, sum_dense, z);
    s.x = x;
    return s;
  }

  /// Writes dx and adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, View<P, 1, const int> positions,
                       const Spans<P>& spans, const Rows<P, D>& dz, const Rows<P, D>& dx, const G& g) {
    const auto scope = ctx.scope();
    const int N = dz.rows;
    const auto dsum = scratch<D>(ctx, N), dy = scratch<D>(ctx, N), dsource = scratch<D>(ctx, N);
    NormLayer::backward(ctx, w.norm_dense, s.norm_dense, dz, dsum, g.norm_dense);
    Dense::backward(ctx, w.dense, s.dense, dsum, dy, g.dense);
    ops::accumulate(ctx, dsum, dy);  // the residual path

    const auto dk = scratch<KV>(ctx, N), dv = scratch<KV>(ctx, N);
    const PoolGradients<P> dpools{{{dk, dv}}};
    NormLayer::backward(ctx, w.norm, s.norm, dy, dsum, g.norm);
    Attend::attend_backward(ctx, w.attention, s.attention, positions, spans, dsum, dx, dpools, g.attention);
    Attend::project_backward(ctx, w.attention, s.x, positions, dk, dv, dsource, g.attention);
    ops::accumulate(ctx, dsource, dx);  // the rows ask and are asked
    ops::accumulate(ctx, dsum, dx);     // the residual path
  }
};

}  // namespace flamingo::nn
