/// A tiny Chinchilla to train on a text in which a token is told by the second before it.
#pragma once
#include <utility>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/train/language_model.hpp>

namespace flamingo::test {

inline constexpr Chinchilla tiny_chinchilla{
    .dim = 8, .layers = 2, .heads = 2, .head_dim = 6, .hidden = 11, .vocabulary = 7, .added = 1, .context = 16};

template <Platform P>
struct LanguageModelCase {
  using Trains = LanguageModelTrainer<tiny_chinchilla, P>;
  using Decoder = typename Trains::Decoder;

  Context<P> ctx{1, std::size_t{1} << 26};
  Trains trainer;
  std::vector<int> text = written(400);

  explicit LanguageModelCase(OptimizerOptions options = Trains::default_options())
      : trainer(ctx, 43, {.peak = 0.02, .warmup = 5}, std::move(options)) {}

  /// Each token is 3 more than the second before it, or now and then any: 8 ids, the added row's among them.
  static std::vector<int> written(int tokens) {
    Random draw(47);
    std::vector<int> ids{1, 2};
    while (static_cast<int>(ids.size()) < tokens)
      ids.push_back(draw.below(10) == 0 ? draw.below(8) : (ids[ids.size() - 2] + 3) % 8);
    return ids;
  }
  TextWindows windows() const { return {text, 12}; }
  std::vector<Sequence> batch(long step) const { return windows().drawn(53, step, 6); }
  /// The first windows of the text.
  std::vector<Sequence> first(std::size_t count) const {
    std::vector<Sequence> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(windows().at(12 * i));
    return all;
  }
};

}  // namespace flamingo::test
