/// A whole model over a small ragged batch, forward and backward.
#pragma once
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/flamingo.hpp>

#include "support/layer.hpp"

namespace flamingo::test {

/// Stands for an encoder where a test makes the features itself.
struct NoVision {};

template <auto C, Platform P>
struct FlamingoCase {
  using Model = model::Flamingo<C, P>;
  using Connect = typename Model::Connect;
  using Decoder = typename Model::Decoder;
  using Resampler = typename Model::ResamplerLayer;
  using R = typename P::Real;
  static constexpr int D = Model::D, V = Model::V, E = Resampler::E, chunk = 5;
  static constexpr typename Model::Trained frozen_lm{}, trained_lm{.connector = true, .lm = true};

  Context<P> ctx{1, std::size_t{1} << 28};
  Store<Connect, P> connector = drawn<Connect, P>(29), connector_gradients;
  Store<Decoder, P> lm = drawn<Decoder, P>(31), lm_gradients;
  /// An image and a video in one document; an image in one with a tag too many; text alone.
  std::vector<Medium> media{{0, 6, 1, 0}, {6, 8, 2, 1}, {14, 4, 1, 0}};
  std::vector<Sequence> sequences{
      {.ids = {1, 12, 2, 3, 5, 12, 7},
       .phi = {0, 0, 1, 1, 1, 2, 2},
       .targets = {12, -1, 3, 5, -1, 7, 11},
       .first_medium = 0,
       .media = 2},
      {.ids = {11, 4, 4, 11, 0}, .phi = {1, 1, 1, 2, 2}, .targets = {4, 4, -1, 0, 10}, .first_medium = 2, .media = 1},
      {.ids = {6, 8, 9}, .phi = {0, 0, 0}, .targets = {8, -1, 6}, .first_medium = 3, .media = 0}};
  Tensor<R> features = drawn_rows<R>(18, E, 1);

  Tensor<R> hidden{0, D}, dfeatures{0, E};
  std::vector<AccumulateOf<P>> nll;

  /// The document `s` by itself, with the same weights.
  FlamingoCase alone(std::size_t s) const {
    FlamingoCase one;
    Sequence sequence = sequences[s];
    one.media.clear();
    int first = 0, rows = 0;
    for (int m = 0; m < sequence.media; ++m) {
      Medium medium = media[static_cast<std::size_t>(sequence.first_medium + m)];
      if (m == 0) first = medium.first;
      medium.first = rows;
      rows += medium.rows;
      one.media.push_back(medium);
    }
    sequence.first_medium = 0;
    one.sequences = {sequence};
    one.features = rows_of(features, first, rows);
    one.connector.flat = connector.flat;
    one.connector.views = {};
    place<Connect>(one.connector.flat.data(), one.connector.views);
    one.lm.flat = lm.flat;
    one.lm.views = {};
    place<Decoder>(one.lm.flat.data(), one.lm.views);
    return one;
  }
  int first_row(std::size_t s) const {
    int row = 0;
    for (std::size_t i = 0; i < s; ++i) row += static_cast<int>(sequences[i].ids.size());
    return row;
  }

  /// Calls read(what the decoder saved, plan), if asked, after the forward pass; then runs backward, if asked. Returns
  /// Σ (1 + t mod 3) nll[t]: weights that differ.
  template <auto trained, class Read>
  double run(bool backward, const Read& read) {
    const auto latents_plan = ResamplerPlan::of(C.resampler, media);
    const auto plan = DecoderPlan::of(sequences, C.xattn, Model::R);
    const int N = plan.rows(), asked = static_cast<int>(plan.targets.size()), MR = latents_plan.media * Model::R;
    hidden = Tensor<R>(N, D, R(7));
    nll.assign(static_cast<std::size_t>(asked), 0);
    std::vector<AccumulateOf<P>> share(nll.size());
    for (std::size_t i = 0; i < share.size(); ++i) share[i] = static_cast<AccumulateOf<P>>(1 + i % 3);

    const std::size_t mark = ctx.arena().kept();
    const auto scope = ctx.scope();
    const Tensor<R>& in = features;
    const auto latents = keep<Model::E>(ctx, MR);
    const auto asked_rows = keep<D>(ctx, asked);
    const auto targets = table(ctx, plan.targets), loss_rows = table(ctx, plan.loss_rows);
    const auto resampled = Resampler::template forward<all_gradients>(
        ctx, connector.views.resampler, in.template rows_on<P, E>(), latents_plan, latents);
    const auto decoded = Model::template forward<trained>(ctx, connector.views, lm.views, plan, latents,
                                                          hidden.template rows_on<P, D>());
    read(decoded, plan);
    ops::gather(ctx, hidden.template rows_on<P, D>(), loss_rows, asked_rows);
    const auto lost = Decoder::template loss<Model::need_of_lm(trained)>(ctx, lm.views, asked_rows, targets, chunk,
                                                                         {nll.data(), {asked}});
    if (backward) {
      connector_gradients.clear();
      lm_gradients.clear();
      dfeatures = Tensor<R>(in.rows(), E, R(7));
      const auto dasked = scratch<D>(ctx, asked), dhidden = scratch<D>(ctx, N);
      const auto dlatents = scratch<Model::E>(ctx, MR);
      const auto through = [&](const auto& glm) {
        Decoder::loss_backward(ctx, lm.views, lost, targets, chunk, table(ctx, share), dasked, glm);
        ops::clear(ctx, dhidden);
        ops::scatter_add(ctx, dasked, loss_rows, dhidden);
        Model::backward(ctx, connector.views, lm.views, decoded, plan, dhidden, dlatents, connector_gradients.views,
                        glm);
      };
      if constexpr (trained.lm)
        through(lm_gradients.views);
      else
        through(frozen<Decoder>);
      Resampler::backward(ctx, connector.views.resampler, resampled, latents_plan, dlatents,
                          dfeatures.template rows_on<P, E>(), connector_gradients.views.resampler);
    }
    ctx.arena().release(mark);
    double loss = 0;
    for (std::size_t i = 0; i < nll.size(); ++i) loss += static_cast<double>(share[i] * nll[i]);
    return loss;
  }
  template <auto trained = frozen_lm>
  double run(bool backward = false) {
    return run<trained>(backward, [](const auto&, const auto&) {});
  }

  Tensor<R> logits() {
    Tensor<R> y(hidden.rows(), V, R(7));
    Decoder::logits(ctx, lm.views, hidden.template rows_on<P, D>(), y.template rows_on<P, V>());
    return y;
  }

  /// hidden by the decoder's own blocks alone.
  Tensor<R> bare_hidden() {
    const auto plan = DecoderPlan::of(sequences, C.xattn, Model::R);
    const int N = plan.rows();
    Tensor<R> x(N, D), y(N, D);
    const Positions<P> positions{table(ctx, plan.positions), plan.distances()};
    Decoder::embed(ctx, lm.views, table(ctx, plan.ids), x.template rows_on<P, D>());
    for (const auto& block : lm.views.blocks) {
      const auto scope = ctx.scope();
      const auto k = scratch<Model::Block::KV>(ctx, N), v = scratch<Model::Block::KV>(ctx, N);
      Pools<P> own;
      own.add({k, v});
      Model::Block::template forward<no_gradients>(ctx, block, x.template rows_on<P, D>(), positions, k, v, own,
                                                   table(ctx, plan.self), y.template rows_on<P, D>());
      std::swap(x, y);
    }
    return x;
  }
};

}  // namespace flamingo::test
