/// What all decoders share: an embedding table, blocks, a last norm, and an output layer over the vocabulary.
#pragma once
#include <array>
#include <vector>

#include <flamingo/config/decoder.hpp>
#include <flamingo/nn/transformer_block.hpp>
#include <flamingo/ops/cross_entropy.hpp>
#include <flamingo/ops/embedding.hpp>

namespace flamingo::model {

/// Ids (N) below V + A -> hidden rows (N, D) -> logits over V + B entries: B is A, or 0 where the added rows are read
/// alone. C names dim, layers, vocabulary, added, tied and epsilon.
template <auto C, class BlockLayer, NormKind FinalNorm, Platform P>
struct DecoderStack {
  static_assert(C.dim > 0 && C.layers > 0 && C.vocabulary > 0, "decoder: dim, layers and vocabulary must be positive");

  static constexpr int D = C.dim, V = C.vocabulary, A = C.added, B = written_ids(C) - V;
  static_assert(A == B || !C.tied,
                "decoder: where input and output are one table, added rows are both read and written");
  static constexpr auto layers = static_cast<std::size_t>(C.layers);
  static constexpr auto config = C;
  using Block = BlockLayer;
  using NormLayer = nn::Norm<FinalNorm, D, P>;

  template <class S>
  struct Parameters {
    Table<S, V, D> embedding;
    Added<S, A, D> added;  ///< rows after the table
    std::array<typename Block::template Parameters<S>, layers> blocks;
    typename NormLayer::template Parameters<S> norm;
    If<!C.tied, Table<S, V, D>> output;
    If<!C.tied, Added<S, B, D>> added_output;
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
      if constexpr (B > 0) visit(added_spec("added_output", B, D, Init::normal(0.02f)), p.added_output...);
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

  /// logits (N, V + B) of rows x (N, D) that have passed all blocks.
  template <class W>
  static void logits(Context<P>& ctx, const W& w, const Rows<P, D>& x, const Rows<P, V + B>& y) {
    const auto scope = ctx.scope();
    const auto normed = scratch<D>(ctx, x.rows);
    NormLayer::template forward<no_gradients>(ctx, w.norm, C.epsilon, x, normed);
    if constexpr (B == 0) {
      ops::linear(ctx, normed, output_of(w), y);
    } else {
      const auto known = scratch<V>(ctx, x.rows);
      const auto more = scratch<B>(ctx, x.rows);
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
  /// What ops::log_likelihoods says of rows x (N, D).
  template <class W>
  static void log_likelihoods(Context<P>& ctx, const W& w, const Rows<P, D>& x, const std::vector<ops::Target>& targets,
                              int chunk, const Rows<P, 1>& at, View<P, 1, AccumulateOf<P>> lse) {
    const auto scope = ctx.scope();
    const auto normed = scratch<D>(ctx, x.rows);
    NormLayer::template forward<no_gradients>(ctx, w.norm, C.epsilon, x, normed);
    ops::log_likelihoods(ctx, normed, output_of(w), added_output_of(w), targets, chunk, at, lse);
  }
  /// For a loss of Σ weights · (nll + z_loss · lse²): writes dx and adds to g.
  template <Need need, class W, class G>
  static void loss_backward(Context<P>& ctx, const W& w, const SavedLoss<need>& s, View<P, 1, const int> targets,
                            int chunk, View<P, 1, const AccumulateOf<P>> weights, const Rows<P, D>& dx, const G& g,
                            float z_loss = 0) {
    const auto scope = ctx.scope();
    const auto dnormed = scratch<D>(ctx, dx.rows);
    ops::cross_entropy_backward(ctx, s.normed, output_of(w), added_output_of(w), targets, chunk, s.lse, weights,
                                dnormed, output_of(g), added_output_of(g), 0, z_loss);
    NormLayer::backward(ctx, w.norm, s.norm, dnormed, dx, g.norm);
  }
};

}  // namespace flamingo::model
