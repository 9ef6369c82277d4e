/// A pre-norm transformer block: self-attention and a feed-forward layer, each with a norm before it and added to what
/// it reads.
///
///   y = x + attend(norm(x))      z = y + feed_forward(norm_dense(y))
///   parallel: z = x + attend(norm(x)) + feed_forward(norm_dense(x))
///   gated:    y = x + tanh(α) attend(norm(x))      z = y + tanh(β) feed_forward(norm_dense(y))
#pragma once
#include <type_traits>

#include <flamingo/nn/attention.hpp>
#include <flamingo/nn/feed_forward.hpp>
#include <flamingo/nn/norm.hpp>

namespace flamingo {

struct TransformerBlockConfig {
  AttentionConfig attention{};
  FeedForwardConfig dense{};
  bool gated_dense = false;  ///< SwiGLU and its like: down (f(gate x) * up x)
  NormKind norm = NormKind::layer;
  float epsilon = 1e-5f;
  bool parallel = false;  ///< both branches read x (GPT-NeoX)
  bool gated = false;     ///< each branch has a gate (Llama 3.2's vision transformer)
};

namespace nn {

/// Stands where nothing is between the halves of a block.
struct Straight {
  template <class X>
  constexpr X operator()(const X& x) const {
    return x;
  }
};

/// All rows (N, D); k, v (N, G K).
template <TransformerBlockConfig C, Platform P>
struct TransformerBlock {
  static_assert(C.attention.dim == C.attention.source_dim && C.attention.dim == C.dense.dim,
                "TransformerBlockConfig: attention and feed-forward differ in width");
  static_assert(!C.parallel || !C.gated, "TransformerBlockConfig: parallel branches have no gates");

  static constexpr int D = C.attention.dim;
  using NormLayer = Norm<C.norm, D, P>;
  using Attend = Attention<C.attention, P>;
  using Dense = std::conditional_t<C.gated_dense, GatedFeedForward<C.dense, P>, FeedForward<C.dense, P>>;
  static constexpr int KV = Attend::KV;
  static constexpr bool relative = C.attention.relative;

  template <class S>
  struct Parameters {
    typename NormLayer::template Parameters<S> norm, norm_dense;
    typename Attend::template Parameters<S> attention;
    typename Dense::template Parameters<S> dense;
    If<C.gated, Vector<S, 1>> attention_gate, dense_gate;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto norm = within(visit, "norm"), attention = within(visit, "attention"), second = within(visit, "norm_dense"),
         dense = within(visit, "dense");
    NormLayer::each(norm, p.norm...);
    Attend::each(attention, p.attention...);
    NormLayer::each(second, p.norm_dense...);
    Dense::each(dense, p.dense...);
    if constexpr (C.gated) {
      visit(vector_spec("attention_gate", 1, Init::zero()), p.attention_gate...);
      visit(vector_spec("dense_gate", 1, Init::zero()), p.dense_gate...);
    }
  }

  static constexpr bool keeps_normed(Need need) { return need.weights || (need.any() && Attend::projects_again); }

  template <Need need>
  struct Saved {
    typename NormLayer::template Saved<need> norm, norm_dense;
    If<keeps_normed(need), Rows<P, D>> normed;
    typename Attend::template Saved<need> attention;
    typename Dense::template Saved<need> dense;
    If<C.gated && need.weights, Rows<P, D>> attended, widened;  ///< the branches before their gates
  };

  /// Pool 0 holds the rows' own keys and values, which are written to `own` first: rows of a cache, or of the arena.
  /// Spans say what else of pool 0 and of further pools is seen. A cache that holds keys and values in another form
  /// gives a function in place of its pools, which moves `own` there and returns them. z may not be x. `between` gets
  /// the rows between the halves and returns those that the second half reads: where a layer of another kind stands
  /// there (VANILLA XATTN).
  template <Need need, class W, class Seen, class Between = Straight>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>& x, const Positions<P>& positions,
                             const Rows<P, KV>& own_k, const Rows<P, KV>& own_v, const Seen& pools,
                             const Spans<P>& spans, const Rows<P, D>& z, const Between& between = {}) {
    static_assert(!C.parallel || std::is_same_v<Between, Straight>,
                  "TransformerBlock: nothing is between halves that are parallel");
    const auto scope = ctx.scope();
    const int N = x.rows;
    constexpr bool branches_kept = C.gated && need.weights;
    Saved<need> s;
    const auto normed = take<keeps_normed(need), D>(ctx, N), branch = take<branches_kept, D>(ctx, N);
    s.norm = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, x, normed);
    s.normed = normed;
    const auto sum = take < need.any() && !C.parallel, D > (ctx, N);
    s.attention = Attend::template attend_self<need>(ctx, w.attention, normed, positions, own_k, own_v, pools, spans,
                                                     onto<branches_kept>(x, w.attention_gate, branch, sum));  // (N, D)
    const Rows<P, D> y = between(sum);

    const auto normed_y = take<need.weights, D>(ctx, N), widened = C.gated ? take<branches_kept, D>(ctx, N) : branch;
    s.norm_dense = NormLayer::template forward<need>(ctx, w.norm_dense, C.epsilon, C.parallel ? x : y, normed_y);
    s.dense = Dense::template forward<need>(ctx, w.dense, normed_y,
                                            onto<branches_kept>(y, w.dense_gate, widened, z));  // (N, D)
    s.attended = branch;
    s.widened = widened;
    return s;
  }

  /// Writes dx and adds to g. Only the rows' own keys and values carry gradients; a cached prefix has none. `between`
  /// makes the gradient of what it read of that of what it returned.
  template <Need need, class W, class G, class Between = Straight>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Positions<P>& positions,
                       const Spans<P>& spans, const Rows<P, D>& dz, const Rows<P, D>& dx, const G& g,
                       const Between& between = {}) {
    const auto scope = ctx.scope();
    const int N = dz.rows;
    const auto dnormed = scratch<D>(ctx, N), dmiddle = scratch<D>(ctx, N), dsource = scratch<D>(ctx, N);
    const auto dgated = scratch<D>(ctx, C.gated ? N : 0);
    Dense::backward(ctx, w.dense, s.dense, through_gate(ctx, w.dense_gate, s.widened, dz, dgated, g.dense_gate),
                    dnormed, g.dense);
    NormLayer::backward(ctx, w.norm_dense, s.norm_dense, dnormed, dmiddle, g.norm_dense);
    ops::accumulate(ctx, dz, dmiddle);  // the residual path
    const Rows<P, D> dy = between(dmiddle);

    const auto dk = scratch<KV>(ctx, N), dv = scratch<KV>(ctx, N);
    const PoolGradients<P> dpools{{{dk, dv}}};
    const auto dbranch =
        through_gate(ctx, w.attention_gate, s.attended, C.parallel ? dz : dy, dgated, g.attention_gate);
    Attend::attend_backward(ctx, w.attention, s.attention, positions, spans, dbranch, dnormed, dpools, g.attention);
    Attend::project_backward(ctx, w.attention, s.normed, positions, dk, dv, dsource, g.attention);
    ops::accumulate(ctx, dsource, dnormed);  // the rows ask and are asked
    NormLayer::backward(ctx, w.norm, s.norm, dnormed, dx, g.norm);
    ops::accumulate(ctx, dy, dx);  // the residual path
  }

 private:
  /// The gradient of a branch: dy itself, or what its gate lets through, written to dgated.
  template <class Gate, class Branch, class DGate>
  static Rows<P, D> through_gate(Context<P>& ctx, const Gate& gate, const Branch& branch, const Rows<P, D>& dy,
                                 const Rows<P, D>& dgated, const DGate& dgate) {
    if constexpr (C.gated) {
      ops::gated_add_backward(ctx, gate, branch, dy, dgated, dgate);
      return dgated;
    } else {
      return dy;
    }
  }
};

}  // namespace nn
}  // namespace flamingo
