/// A small model and the work that its memory is planned for.
#pragma once
#include <numeric>
#include <vector>

#include <flamingo/memory_plan.hpp>

namespace flamingo::test {

inline constexpr FlamingoConfig<Vit, Llama> planned{
    .vision = {.image = 24, .patch = 6, .dim = 24, .layers = 2, .heads = 2},
    .resampler =
        {.vision_dim = 24, .dim = 20, .latents = 5, .layers = 2, .heads = 2, .head_dim = 8, .frames = 3, .out_dim = 32},
    .xattn = {.every = 2, .heads = 4, .head_dim = 8, .norm_media = true},
    .lm = {
        .dim = 32, .layers = 4, .heads = 4, .kv_heads = 2, .hidden = 64, .vocabulary = 100, .added = 1, .context = 64}};
inline constexpr Workload work{.sequences = 2, .tokens = 37, .media = 3, .frames = 2};

/// Features of the workload's media, all of them different.
inline std::vector<float> planned_features(int media) {
  std::vector<float> all(static_cast<std::size_t>(media * 2 * 16 * 24));
  std::iota(all.begin(), all.end(), 0.0f);
  return all;
}

/// A batch of training as large as the workload.
inline TrainingBatch<float> planned_batch() {
  TrainingBatch<float> batch;
  batch.features = planned_features(6);
  for (int m = 0; m < 6; ++m) batch.media.push_back({m * 32, 32, 2, m % 3});
  for (int s = 0; s < 2; ++s) {
    batch.sequences.push_back(flamingo::detail::spread_media(work));
    batch.sequences.back().first_medium = 3 * s;
  }
  return batch;
}

}  // namespace flamingo::test
