/// Decoders of other types by themselves, trained and asked, run once on a platform.
#pragma once
#include <vector>

#include <flamingo/train/language_model.hpp>

#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

/// Linear biases of distance, clamped and normed queries, heads that are no power of two.
inline constexpr Mpt text_mpt{
    .dim = 12, .layers = 2, .heads = 3, .vocabulary = 17, .context = 32, .clamp = 0.5f, .qk_norm = true};
/// Parallel halves, rotary positions of a part of each head, biases.
inline constexpr GptNeox text_neox{.dim = 16, .layers = 2, .heads = 2, .hidden = 20, .vocabulary = 17, .context = 32};

/// Losses and norms of three updates, and the loss of another text.
template <auto C, Platform P>
std::vector<double> trained_text(LanguageModelTrainer<C, P>& trainer, int updates) {
  std::vector<int> text;
  for (int i = 0; i < 200; ++i) text.push_back(i * i % 17);
  const TextWindows windows{text, 9};
  std::vector<double> all;
  for (int i = 0; i < updates; ++i) {
    const auto update = trainer.update(windows.drawn(3, trainer.optimizer.steps() + 1, 4), 2);
    all.insert(all.end(), {update.loss, update.gradient_norm});
  }
  all.push_back(trainer.loss(std::vector{windows.at(20), windows.at(90)}, 2).loss);
  return all;
}
template <auto C, Platform P>
std::vector<double> text_model() {
  Context<P> ctx = small_context<P>();
  LanguageModelTrainer<C, P> trainer(ctx, 5, {.peak = 0.02});
  return trained_text(trainer, 3);
}

}  // namespace flamingo::test
