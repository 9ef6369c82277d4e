/// BERT's text transformer (Devlin et al. 2019) with the mean of a text's rows as what stands for it.
#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/config/contrastive.hpp>
#include <flamingo/nn/post_norm_block.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/embedding.hpp>
#include <flamingo/ops/pooling.hpp>

namespace flamingo {

/// The tables of one run over texts, one after another without padding.
struct BertPlan {
  std::vector<int> ids;
  std::vector<int> places;    ///< of each token, in its text
  std::vector<int> segments;  ///< zeros: every token is in the first segment
  std::vector<Grid> lines;    ///< each text, as a picture one row high
  SpanList spans;             ///< each text's rows over all of its own

  int rows() const { return static_cast<int>(ids.size()); }
  int texts() const { return static_cast<int>(lines.size()); }

  /// An empty text and one of more tokens than the context are refused.
  static BertPlan of(const BertText& c, std::span<const std::vector<int>> texts) {
    BertPlan plan;
    for (std::size_t n = 0; n < texts.size(); ++n) {
      const std::vector<int>& text = texts[n];
      const int from = plan.rows(), tokens = static_cast<int>(text.size());
      check(tokens > 0 && tokens <= c.context, "bert", "text ", n, " has ", tokens, " tokens, expected 1 to ",
            c.context);
      plan.ids.insert(plan.ids.end(), text.begin(), text.end());
      for (int t = 0; t < tokens; ++t) plan.places.push_back(t);
      plan.lines.push_back({from, 1, tokens});
      plan.spans.begin(from, tokens);
      plan.spans.add({.pool = 0, .first = from, .count = tokens});
    }
    plan.segments.assign(plan.ids.size(), 0);
    return plan;
  }
};

namespace model {

template <BertText C>
inline constexpr TransformerBlockConfig bert_block{
    .attention = {.dim = C.dim,
                  .source_dim = C.dim,
                  .heads = C.heads,
                  .kv_heads = C.heads,
                  .head_dim = C.dim / C.heads,
                  .bias = true},
    .dense = {.dim = C.dim, .hidden = C.hidden_size(), .activation = C.activation, .bias = true},
    .epsilon = C.epsilon};

/// ids (N) -> rows (N, E); their means are (B, E) for B texts.
template <BertText C, Platform P>
struct Bert {
  static_assert(C.dim > 0 && C.layers > 0 && C.heads > 0 && C.context > 0 && C.vocabulary > 0 && C.segments >= 0,
                "BertText: dim, layers, heads, context and vocabulary must be positive, segments not negative");
  static_assert(C.dim % C.heads == 0, "BertText: heads must divide dim");

  static constexpr int E = C.dim, V = C.vocabulary, T = C.context;
  static constexpr bool has_segments = C.segments > 0;
  static constexpr auto layers = static_cast<std::size_t>(C.layers);
  using Block = nn::PostNormBlock<bert_block<C>, P>;
  using NormLayer = nn::LayerNorm<E, P>;
  using Plan = BertPlan;

  template <class S>
  struct Parameters {
    Table<S, V, E> embedding;
    Learned<S, T, E> positions;
    If<has_segments, Learned<S, C.segments, E>> segments;
    typename NormLayer::template Parameters<S> norm;  ///< of the sum of the three
    std::array<typename Block::template Parameters<S>, layers> blocks;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(table_spec("embedding", V, E, Init::normal(0.02f)), p.embedding...);
    visit(table_spec("positions", T, E, Init::normal(0.02f)), p.positions...);
    if constexpr (has_segments) visit(table_spec("segments", C.segments, E, Init::normal(0.02f)), p.segments...);
    auto norm = within(visit, "norm");
    NormLayer::each(norm, p.norm...);
    for (std::size_t i = 0; i < layers; ++i) {
      auto block = within(visit, "blocks", static_cast<int>(i));
      Block::each(block, p.blocks[i]...);
    }
  }

  template <Need need>
  struct Saved {
    typename NormLayer::template Saved<need> norm;
    std::array<typename Block::template Saved<need>, layers> blocks;
  };

  /// pooled (B, E)
  template <Need need = no_gradients, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const BertPlan& plan, const Rows<P, E>& pooled) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    const int N = plan.rows();
    Saved<need> saved{};
    const auto spans = table(ctx, plan.spans);
    auto x = take<kept, E>(ctx, N), next = take<kept, E>(ctx, N);
    embed(ctx, w, plan, next);
    saved.norm = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, next, x);
    for (std::size_t i = 0; i < layers; ++i) {
      if constexpr (kept) next = keep<E>(ctx, N);
      saved.blocks[i] = Block::template forward<need>(ctx, w.blocks[i], x, {}, spans, next);
      std::swap(x, next);
    }
    ops::picture_mean(ctx, x, plan.lines, pooled);  // (B, E)
    return saved;
  }

  /// Adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const BertPlan& plan,
                       const Rows<P, E>& dpooled, const G& g) {
    const auto scope = ctx.scope();
    const int N = plan.rows();
    const auto spans = table(ctx, plan.spans);
    auto dx = scratch<E>(ctx, N), dnext = scratch<E>(ctx, N);
    ops::picture_mean_backward(ctx, plan.lines, dpooled, dx);
    for (std::size_t i = layers; i-- > 0;) {
      Block::template backward<need>(ctx, w.blocks[i], s.blocks[i], {}, spans, dx, dnext, g.blocks[i]);
      std::swap(dx, dnext);
    }
    NormLayer::backward(ctx, w.norm, s.norm, dx, dnext, g.norm);
    ops::embed_backward(ctx, table(ctx, plan.ids), V, dnext, g.embedding, NoGrad{});
    ops::scatter_add(ctx, dnext, table(ctx, plan.places), ops::rows_of(g.positions));
    if constexpr (has_segments) ops::scatter_add(ctx, dnext, table(ctx, plan.segments), ops::rows_of(g.segments));
  }

 private:
  /// x = embedding + positions [+ segments]
  template <class W>
  static void embed(Context<P>& ctx, const W& w, const BertPlan& plan, const Rows<P, E>& x) {
    const auto scope = ctx.scope();
    const auto more = scratch<E>(ctx, x.rows);
    ops::embed(ctx, table(ctx, plan.ids), w.embedding, x);
    ops::gather(ctx, ops::rows_of(w.positions), table(ctx, plan.places), more);
    ops::accumulate(ctx, more, x);
    if constexpr (has_segments) {
      ops::gather(ctx, ops::rows_of(w.segments), table(ctx, plan.segments), more);
      ops::accumulate(ctx, more, x);
    }
  }
};

}  // namespace model
}  // namespace flamingo
