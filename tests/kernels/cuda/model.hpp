/// A whole Flamingo, trained by the library's trainer and asked by its engine, run once on a platform.
#pragma once
#include <string>
#include <vector>

#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/train/trainer.hpp>

#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

struct Features {};  ///< of pictures are given: there is no encoder

inline constexpr FlamingoConfig<Features, Llama> mini_config{
    .resampler = {.vision_dim = 6, .dim = 5, .latents = 2, .layers = 1, .heads = 2, .head_dim = 3, .frames = 2},
    .xattn = {.every = 2, .heads = 2, .head_dim = 3, .widening = 2},
    .lm = {.dim = 12,
           .layers = 3,
           .heads = 4,
           .kv_heads = 2,
           .head_dim = 4,
           .hidden = 13,
           .vocabulary = 11,
           .added = 2,
           .context = 32}};

/// What training and generation gave.
struct ModelReport {
  std::vector<double> losses, norms;  ///< of each update
  std::vector<double> weights;        ///< after the last
  std::vector<std::vector<int>> ids;  ///< that were written after each prompt
  std::vector<double> log_p;          ///< of them
  std::vector<double> answers;        ///< log p of given ones
};

/// Documents [tag, word, what the picture shows, ...]; the third has no picture, the second two.
template <class R>
TrainingBatch<R> mini_batch(std::uint64_t stream) {
  Random draw(7, stream);
  TrainingBatch<R> batch;
  int rows = 0;
  for (const int pictures : {1, 2, 0}) {
    Sequence s{
        .ids = {}, .phi = {}, .targets = {}, .first_medium = static_cast<int>(batch.media.size()), .media = pictures};
    for (int word = 0; word < 5; ++word) s.ids.push_back(draw.below(11)), s.phi.push_back(0);
    for (int i = 0; i < pictures; ++i) {
      const int frames = 1 + draw.below(2), shown = draw.below(6);
      batch.media.push_back({rows, 3 * frames, frames, 0});
      rows += 3 * frames;
      for (int at = 0; at < 3 * frames * 6; ++at)
        batch.features.push_back(R(static_cast<float>(at % 6 == shown) + 0.1f * (2 * draw.uniform() - 1)));
      for (const int id : {12, 3, shown, 11}) s.ids.push_back(id), s.phi.push_back(i + 1);
    }
    for (std::size_t t = 0; t < s.ids.size(); ++t) s.targets.push_back(t + 1 < s.ids.size() ? s.ids[t + 1] : -1);
    batch.sequences.push_back(std::move(s));
  }
  return batch;
}

/// What the engine says of three prompts: the words that it writes, and how likely given answers are.
template <class Model, Platform P, class Connect, class Lm>
void ask(Context<P>& ctx, const Connect& connector, const Lm& lm, ModelReport& report) {
  using R = typename P::Real;
  auto engine = make_engine<Model>(ctx, connector, lm, {.text_rows = 128, .media = 4});
  const std::size_t kept = ctx.arena().kept();
  const TrainingBatch<R> batch = mini_batch<R>(5000);
  std::vector<TextState> states;
  for (const Sequence& s : batch.sequences) {
    std::vector<CachedMedium> media;
    for (int i = 0; i < s.media; ++i) {
      const auto& m = batch.media[static_cast<std::size_t>(s.first_medium + i)];
      const auto scope = ctx.scope();
      const auto features = scratch<6>(ctx, m.rows);
      upload(ctx, batch.features.data() + m.first * 6, features.size(), features.data);
      media.push_back(engine.add_medium(features, m.frames));
    }
    states.push_back(engine.begin(s, media));
  }
  TextState scored = states[1];
  for (const Generated& g : generate(engine, std::span(states), {.max_new_tokens = 8})) {
    report.ids.push_back(g.ids);
    report.log_p.insert(report.log_p.end(), g.log_likelihoods.begin(), g.log_likelihoods.end());
  }
  const std::vector<std::vector<int>> answers{{1, 2, 3}, {1, 5}, {12}};
  for (const Score& s : score(engine, scored, answers)) report.answers.push_back(s.sum);
  check(ctx.arena().kept() == kept && ctx.arena().scratched() == 0, "test", "generation left memory in use");
}

template <Platform P, TrainedParts parts>
ModelReport mini_model(int updates) {
  using R = typename P::Real;
  using Model = model::Flamingo<mini_config, P>;
  using Decoder = typename Model::Decoder;
  using Lm = typename Store<Decoder, P>::Views;
  ModelReport report;
  Context<P> ctx = small_context<P>();
  const Store<Decoder, P> frozen_lm(drawn<Decoder, HostOf<P>>(41).flat);
  Trainer<mini_config, P, Lm, parts> trainer(ctx, frozen_lm.views, 43, {.peak = 0.02, .warmup = 5});
  const std::vector<DatasetStream<R>> mixture{
      {"a", 0.75, [](long step) { return mini_batch<R>(static_cast<std::uint64_t>(step)); }},
      {"b", 1.5, [](long step) { return mini_batch<R>(1000 + static_cast<std::uint64_t>(step)); }}};
  for (int i = 0; i < updates; ++i) {
    const UpdateReport update = trainer.update(mixture);
    for (const LossReport& dataset : update.datasets) report.losses.push_back(dataset.loss);
    report.norms.push_back(update.gradient_norm);
  }
  const auto weights = host_copy(ctx, trainer.weights.flat.data(), trainer.weights.flat.size());
  report.weights.assign(weights.begin(), weights.end());
  check(ctx.arena().kept() == 0 && ctx.arena().scratched() == 0, "test", "training left memory in use");

  if constexpr (parts.lm)
    ask<Model>(ctx, trainer.weights.views, trainer.weights.views.lm, report);
  else
    ask<Model>(ctx, trainer.weights.views, frozen_lm.views, report);
  return report;
}

/// The same questions to weights that nobody trained, in P's own number type.
template <Platform P>
ModelReport drawn_model() {
  using Model = model::Flamingo<mini_config, P>;
  using A = AccumulateOf<P>;
  const auto weights = []<class Layer>(std::type_identity<Layer>) {
    auto numbers = drawn<Layer, Cpu<double, Isa::portable>>(41);
    return RoundedStore<Layer, P>(Store<Layer, HostOf<P>, A>(std::vector<A>(numbers.flat.begin(), numbers.flat.end())));
  };
  Context<P> ctx = small_context<P>();
  const auto connector = weights(std::type_identity<typename Model::Connect>{});
  const auto lm = weights(std::type_identity<typename Model::Decoder>{});
  ModelReport report;
  ask<Model>(ctx, connector.views, lm.views, report);
  return report;
}

/// The connector alone, as the paper trains it, and every parameter.
inline constexpr TrainedParts connector_alone{}, every_part{.lm = true};

}  // namespace flamingo::test
