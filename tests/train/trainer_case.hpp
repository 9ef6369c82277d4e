/// A tiny model to train: what a picture shows is told by one number of its features, and asked for as a token.
#pragma once
#include <utility>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/train/trainer.hpp>

#include "support/layer.hpp"

namespace flamingo::test {

struct NoVision {};

inline constexpr FlamingoConfig<NoVision, Llama> trained_config{
    .vision = {},
    .resampler = {.dim = 5, .latents = 2, .layers = 1, .heads = 2, .head_dim = 3, .widening = 2, .frames = 2},
    .xattn = {.every = 1, .heads = 2, .head_dim = 3, .widening = 2},
    .lm = {
        .dim = 6, .layers = 2, .heads = 2, .kv_heads = 1, .head_dim = 4, .hidden = 7, .vocabulary = 11, .tied = true}};

/// The same without a Resampler: the gated blocks read the three cells of each picture.
inline constexpr auto bare_trained_config = [] {
  auto c = trained_config;
  c.resampler = {.dim = 5, .latents = 3, .layers = 0};
  return c;
}();

template <Platform P, auto C = trained_config>
struct TrainerCase {
  using R = typename P::Real;
  using Decoder = DecoderOf<C.lm, P>;
  using Lm = typename Store<Decoder, P>::Views;
  using Trains = Trainer<C, P, Lm>;
  static constexpr int width = 5, classes = 3;

  Context<P> ctx{1, std::size_t{1} << 26};
  Store<Decoder, P> lm = drawn<Decoder, P>(41);
  Trains trainer;

  explicit TrainerCase(Schedule schedule = {.peak = 0.02, .warmup = 5}, OptimizerOptions options = {},
                       TrainingOptions training = {})
      : trainer(ctx, lm.views, 43, schedule, std::move(options), training) {}

  /// Documents [tag, word, class] with pictures of 3 cells; `shown` classes differ from those told by `shift`.
  static TrainingBatch<R> batch(std::uint64_t stream, int documents = 5, int shift = 0) {
    Random draw(47, stream);
    TrainingBatch<R> b;
    for (int d = 0; d < documents; ++d) {
      const int told = draw.below(classes), shown = (told + shift) % classes, word = 4 + draw.below(3);
      b.media.push_back({3 * d, 3, 1, 0});
      for (int cell = 0; cell < 3; ++cell)
        for (int i = 0; i < width; ++i)
          b.features.push_back(R(static_cast<float>(i == shown) + 0.1f * (2 * draw.uniform() - 1)));
      b.sequences.push_back(
          {.ids = {10, word, told}, .phi = {1, 1, 1}, .targets = {-1, told, -1}, .first_medium = d, .media = 1});
    }
    return b;
  }
  static DatasetStream<R> dataset(std::string name, double weight, std::uint64_t seed) {
    return {std::move(name), weight, [seed](long step) { return batch(seed + static_cast<std::uint64_t>(step)); }};
  }
};

}  // namespace flamingo::test
