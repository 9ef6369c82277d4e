/// A decoder of the LLaMA type (Touvron et al. 2023): RMSNorm, rotary positions, grouped queries, SwiGLU.
#pragma once
#include <array>

#include <flamingo/config/decoder.hpp>
#include <flamingo/nn/attention.hpp>
#include <flamingo/nn/feed_forward.hpp>
#include <flamingo/nn/norm.hpp>
#include <flamingo/ops/cross_entropy.hpp>
#include <flamingo/ops/embedding.hpp>

namespace flamingo::model {

/// y = x + attend(norm(x))      z = y + feed_forward(norm(y))
template <Llama C, Platform P>
struct LlamaBlock {
  static constexpr int D = C.dim;
  using NormLayer = nn::RmsNorm<D, P>;
  using Attend = nn::Attention<AttentionConfig{.dim = D,
                                               .source_dim = D,
                                               .heads = C.heads,
                                               .kv_heads = C.kv_heads,
                                               .head_dim = C.head_size(),
                                               .rotary = true,
                                               .rotary_base = C.rotary_base,
                                               .rotary_pairs = C.rotary_pairs},
                               P>;
  using Dense =
      nn::GatedFeedForward<FeedForwardConfig{.dim = D, .hidden = C.hidden, .activation = Activation::silu}, P>;
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
    NormLayer::each(norm, p.norm...);
    Attend::each(attention, p.attention...);
    NormLayer::each(second, p.norm_dense...);
    Dense::each(dense, p.dense...);
  }

  template <Need need>
  struct Saved {
    typename NormLayer::template Saved<need> norm, norm_dense;
    If<need.weights, Rows<P, D>> normed;
    typename Attend::template Saved<need> attention;
    typename Dense::template Saved<need> dense;
  };

  /// Pool 0 holds the rows' own keys and values, which are written to `own` first: rows of a cache, or of the arena.
  /// Spans say what else of pool 0 and of further pools is seen.
  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>& x, View<P, 1, const int> positions,
                             const Rows<P, KV>& own_k, const Rows<P, KV>& own_v, const Pools<P>& pools,
                             const Spans<P>& spans, const Rows<P, D>& z) {
    const auto scope = ctx.scope();
    const int N = x.rows;
    const auto normed = take<need.weights, D>(ctx, N), branch = scratch<D>(ctx, N);
    const auto n = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, x, normed);
    Attend::project(ctx, w.attention, normed, positions, own_k, own_v);  // (N, G K)
    const auto a = Attend::template attend<need>(ctx, w.attention, normed, positions, pools, spans, branch);  // (N, D)
    const auto y = take<need.any(), D>(ctx, N);
    ops::add(ctx, x, branch, y);

    const auto normed_y = take<need.weights, D>(ctx, N);
    const auto nd = NormLayer::template forward<need>(ctx, w.norm_dense, C.epsilon, y, normed_y);
    const auto d = Dense::template forward<need>(ctx, w.dense, normed_y, branch);  // (N, D)
    ops::add(ctx, y, branch, z);
    return {n, nd, normed, a, d};
  }

  /// Writes dx and adds to g. Only the rows' own keys and values carry gradients; a cached prefix has none.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, View<P, 1, const int> positions,
                       const Spans<P>& spans, const Rows<P, D>& dz, const Rows<P, D>& dx, const G& g) {
    const auto scope = ctx.scope();
    const int N = dz.rows;
    const auto dnormed = scratch<D>(ctx, N), dy = scratch<D>(ctx, N), dsource = scratch<D>(ctx, N);
    Dense::backward(ctx, w.dense, s.dense, dz, dnormed, g.dense);
    NormLayer::backward(ctx, w.norm_dense, s.norm_dense, dnormed, dy, g.norm_dense);
    ops::accumulate(ctx, dz, dy);  // the residual path

    const auto dk = scratch<KV>(ctx, N), dv = scratch<KV>(ctx, N);
    const PoolGradients<P> dpools{{{dk, dv}}};
    Attend::attend_backward(ctx, w.attention, s.attention, positions, spans, dy, dnormed, dpools, g.attention);
    Attend::project_backward(ctx, w.attention, s.normed, positions, dk, dv, dsource, g.attention);
    ops::accumulate(ctx, dsource, dnormed);  // the rows ask and are asked
    NormLayer::backward(ctx, w.norm, s.norm, dnormed, dx, g.norm);
    ops::accumulate(ctx, dy, dx);  // the residual path
  }
};

/// Ids (N) -> hidden rows (N, D) -> logits over V + A entries.
template <Llama C, Platform P>
struct LlamaDecoder {
  static_assert(C.dim > 0 && C.layers > 0 && C.vocabulary > 0, "Llama: dim, layers and vocabulary must be positive");
  static_assert(C.head_dim > 0 || C.dim % C.heads == 0, "Llama: heads must divide dim, or head_dim must be given");

  static constexpr int D = C.dim, V = C.vocabulary, A = C.added;
  static constexpr auto layers = static_cast<std::size_t>(C.layers);
  static constexpr Llama config = C;
  using Block = LlamaBlock<C, P>;
  using NormLayer = nn::RmsNorm<D, P>;

  template <class S>
  struct Parameters {
    Table<S, V, D> embedding;
    Added<S, A, D> added;  ///< rows after the table, in and out
    std::array<typename Block::template Parameters<S>, layers> blocks;
    typename NormLayer::template Parameters<S> norm;
    If<!C.tied, Table<S, V, D>> output;
    If<!C.tied, Added<S, A, D>> added_output;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(table_spec("embedding", V, D, Init::normal(0.02f), Split::rows), p.embedding...);
    if constexpr (A > 0) visit(added_spec("added", A, D, Init::normal(0.02f)), p.added...);
    for (std::size_t i = 0; i < layers; ++i) {
      auto block = within(visit, "blocks", static_cast<int>(i));
      Block::each(block, p.blocks[i]...);
    }
    auto norm = within(visit, "norm");
    NormLayer::each(norm, p.norm...);
    if constexpr (!C.tied) {
      visit(table_spec("output", V, D, Init::normal(0.02f), Split::rows), p.output...);
      if constexpr (A > 0) visit(added_spec("added_output", A, D, Init::normal(0.02f)), p.added_output...);
    }
  }

  template <class W>
  static const auto& output_of(const W& w) {
    if constexpr (C.tied)
      return w.embedding;
    else
      return w.output;
  }
  template <class W>
  static const auto& added_output_of(const W& w) {
    if constexpr (C.tied)
      return w.added;
    else
      return w.added_output;
  }

  template <class W>
  static void embed(Context<P>& ctx, const W& w, View<P, 1, const int> ids, const Rows<P, D>& x) {
    ops::embed(ctx, ids, w.embedding, w.added, x);
  }
  template <class G>
  static void embed_backward(Context<P>& ctx, View<P, 1, const int> ids, const Rows<P, D>& dx, const G& g) {
    ops::embed_backward(ctx, ids, V, dx, g.embedding, g.added);
  }

  /// logits (N, V + A) of rows x (N, D) that have passed all blocks.
  template <class W>
  static void logits(Context<P>& ctx, const W& w, const Rows<P, D>& x, const Rows<P, V + A>& y) {
    const auto scope = ctx.scope();
    const auto normed = scratch<D>(ctx, x.rows);
    NormLayer::template forward<no_gradients>(ctx, w.norm, C.epsilon, x, normed);
    if constexpr (A == 0) {
      ops::linear(ctx, normed, output_of(w), y);
    } else {
      const auto known = scratch<V>(ctx, x.rows);
      const auto more = scratch<A>(ctx, x.rows);
      ops::linear(ctx, normed, output_of(w), known);
      ops::linear(ctx, normed, added_output_of(w), more);
      ops::join(ctx, known, more, y);
    }
  }

  /// Negative log-likelihoods of targets (N), the vocabulary taken in chunks.
  template <Need need>
  struct SavedLoss {
    typename NormLayer::template Saved<need> norm;
    If<need.any(), Rows<P, D>> normed;
    If<need.any(), View<P, 1, AccumulateOf<P>>> lse;
  };
  template <Need need, class W>
  static SavedLoss<need> loss(Context<P>& ctx, const W& w, const Rows<P, D>& x, View<P, 1, const int> targets,
                              int chunk, View<P, 1, AccumulateOf<P>> nll) {
    const auto scope = ctx.scope();
    const auto normed = take<need.any(), D>(ctx, x.rows);
    const auto lse = take_vector<AccumulateOf<P>, need.any()>(ctx, x.rows);
    const auto n = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, x, normed);
    ops::cross_entropy(ctx, normed, output_of(w), added_output_of(w), targets, chunk, nll, lse);
    return {n, normed, lse};
  }
  /// For a loss of Σ weights · nll: writes dx and adds to g.
  template <Need need, class W, class G>
  static void loss_backward(Context<P>& ctx, const W& w, const SavedLoss<need>& s, View<P, 1, const int> targets,
                            int chunk, View<P, 1, const AccumulateOf<P>> weights, const Rows<P, D>& dx, const G& g) {
    const auto scope = ctx.scope();
    const auto dnormed = scratch<D>(ctx, dx.rows);
    ops::cross_entropy_backward(ctx, s.normed, output_of(w), added_output_of(w), targets, chunk, s.lse, weights,
                                dnormed, output_of(g), added_output_of(g));
    NormLayer::backward(ctx, w.norm, s.norm, dnormed, dx, g.norm);
  }
};

}  // namespace flamingo::model
