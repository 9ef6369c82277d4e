/// CLIP's text transformer (Radford et al. 2021): tokens, learned positions, causal pre-norm blocks, one row a text.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/config/clip.hpp>
#include <flamingo/model/vision/vit.hpp>
#include <flamingo/ops/embedding.hpp>

namespace flamingo {

/// The tables of one run over texts, one after another without padding.
struct ClipTextPlan {
  std::vector<int> ids;
  std::vector<int> places;  ///< of each token, in its text
  std::vector<int> pooled;  ///< the row that stands for each text
  SpanList spans;           ///< each text's rows over themselves and those before

  int rows() const { return static_cast<int>(ids.size()); }
  int texts() const { return static_cast<int>(pooled.size()); }

  /// Each text has its begin and end tokens. One that is empty, too long, or lacks the end token is refused.
  static ClipTextPlan of(const ClipText& c, std::span<const std::vector<int>> texts) {
    ClipTextPlan plan;
    for (std::size_t n = 0; n < texts.size(); ++n) {
      const std::vector<int>& text = texts[n];
      const int from = plan.rows(), tokens = static_cast<int>(text.size());
      check(tokens > 0 && tokens <= c.context, "clip", "text ", n, " has ", tokens, " tokens, expected 1 to ",
            c.context);
      const auto at = c.pooling == TextPooling::highest_id ? std::max_element(text.begin(), text.end())
                                                           : std::find(text.begin(), text.end(), c.end);
      check(at != text.end(), "clip", "text ", n, " has no end token, id ", c.end);
      plan.pooled.push_back(from + static_cast<int>(at - text.begin()));
      plan.ids.insert(plan.ids.end(), text.begin(), text.end());
      for (int t = 0; t < tokens; ++t) plan.places.push_back(t);
      plan.spans.begin(from, tokens);
      plan.spans.add({.pool = 0, .first = from, .count = tokens, .position = 0, .causal = 1});
    }
    return plan;
  }
};

namespace model {

/// ids (N) -> rows (N, E); the pooled ones, normed, are (B, E) for B texts.
template <ClipText C, Platform P>
struct ClipTextTower {
  static_assert(C.dim > 0 && C.layers > 0 && C.heads > 0 && C.context > 0 && C.vocabulary > 0,
                "ClipText: dim, layers, heads, context and vocabulary must be positive");
  static_assert(C.dim % C.heads == 0, "ClipText: heads must divide dim");

  static constexpr int E = C.dim, V = C.vocabulary, T = C.context;
  static constexpr auto layers = static_cast<std::size_t>(C.layers);
  using Block = VitBlock<C, P>;
  using NormLayer = nn::LayerNorm<E, P>;

  template <class S>
  struct Parameters {
    Table<S, V, E> embedding;
    Learned<S, T, E> positions;
    std::array<typename Block::template Parameters<S>, layers> blocks;
    typename NormLayer::template Parameters<S> norm;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(table_spec("embedding", V, E, Init::normal(0.02f)), p.embedding...);
    visit(table_spec("positions", T, E, Init::normal(0.01f)), p.positions...);
    for (std::size_t i = 0; i < layers; ++i) {
      auto block = within(visit, "blocks", static_cast<int>(i));
      Block::each(block, p.blocks[i]...);
    }
    auto norm = within(visit, "norm");
    NormLayer::each(norm, p.norm...);
  }

  template <Need need>
  struct Saved {
    std::array<typename Block::template Saved<need>, layers> blocks;
    If<need.any(), Rows<P, E>> hidden;  ///< (N, E), all rows after the last block
    typename NormLayer::template Saved<need> norm;
  };

  /// pooled (B, E)
  template <Need need = no_gradients, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const ClipTextPlan& plan, const Rows<P, E>& pooled) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    const int N = plan.rows();
    Saved<need> saved{};
    const auto spans = table(ctx, plan.spans);
    auto x = take<kept, E>(ctx, N), next = scratch<E>(ctx, kept ? 0 : N);
    embed(ctx, w, plan, x);
    for (std::size_t i = 0; i < layers; ++i) {
      if constexpr (kept) next = keep<E>(ctx, N);
      saved.blocks[i] = Block::template forward<need>(ctx, w.blocks[i], x, spans, next);
      std::swap(x, next);
    }
    saved.hidden = x;
    const auto selected = take<kept, E>(ctx, plan.texts());
    ops::gather(ctx, x, table(ctx, plan.pooled), selected);  // (B, E)
    saved.norm = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, selected, pooled);
    return saved;
  }

  /// Adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const ClipTextPlan& plan,
                       const Rows<P, E>& dpooled, const G& g) {
    const auto scope = ctx.scope();
    const int N = plan.rows();
    const auto spans = table(ctx, plan.spans);
    auto dx = scratch<E>(ctx, N), dnext = scratch<E>(ctx, N);
    const auto dselected = scratch<E>(ctx, plan.texts());
    NormLayer::backward(ctx, w.norm, s.norm, dpooled, dselected, g.norm);
    ops::clear(ctx, dx);
    ops::scatter_add(ctx, dselected, table(ctx, plan.pooled), dx);
    for (std::size_t i = layers; i-- > 0;) {
      Block::template backward<need>(ctx, w.blocks[i], s.blocks[i], spans, dx, dnext, g.blocks[i]);
      std::swap(dx, dnext);
    }
    ops::embed_backward(ctx, table(ctx, plan.ids), V, dx, g.embedding, NoGrad{});
    ops::scatter_add(ctx, dx, table(ctx, plan.places), ops::rows_of(g.positions));
  }

 private:
  /// x = embedding + positions
  template <class W>
  static void embed(Context<P>& ctx, const W& w, const ClipTextPlan& plan, const Rows<P, E>& x) {
    const auto scope = ctx.scope();
    const auto positions = scratch<E>(ctx, x.rows);
    ops::embed(ctx, table(ctx, plan.ids), w.embedding, x);
    ops::gather(ctx, ops::rows_of(w.positions), table(ctx, plan.places), positions);
    ops::accumulate(ctx, positions, x);
  }
};

}  // namespace model
}  // namespace flamingo
