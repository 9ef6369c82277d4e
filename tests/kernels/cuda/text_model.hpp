/// Decoders of other types by themselves, trained and asked, run once on a platform.
#pragma once
#include <cmath>
#include <vector>

#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/infer/serve.hpp>
#include <flamingo/train/language_model.hpp>

#include "kernels/cuda/alike.hpp"
#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

/// Linear biases of distance, clamped and normed queries, heads that are no power of two.
inline constexpr Mpt text_mpt{
    .dim = 12, .layers = 2, .heads = 3, .vocabulary = 17, .context = 32, .clamp = 0.5f, .qk_norm = true};
/// Parallel halves, rotary positions of a part of each head, biases.
inline constexpr GptNeox text_neox{.dim = 16, .layers = 2, .heads = 2, .hidden = 20, .vocabulary = 17, .context = 32};

/// Relative positions with biases; the input table is the output's.
inline constexpr Chinchilla text_chinchilla{
    .dim = 16, .layers = 2, .heads = 2, .head_dim = 6, .hidden = 20, .vocabulary = 17, .context = 32};

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

/// What an engine writes after two prompts, how likely each word was, and how likely given answers are.
template <auto C, Platform P>
std::vector<double> asked_text() {
  using Decoder = DecoderOf<C, P>;
  Context<P> ctx = small_context<P>();
  const Store<Decoder, P> lm(drawn<Decoder, HostOf<P>>(41).flat);
  auto engine = make_engine<LanguageModel<C, P>>(ctx, lm.views, {.text_rows = 64, .media = 0});
  std::vector<TextState> states{engine.begin({.ids = {3, 1, 4, 1, 5}, .phi = {0, 0, 0, 0, 0}}, {}),
                                engine.begin({.ids = {16, 2}, .phi = {0, 0}}, {})};
  TextState scored = states[0];
  std::vector<double> all;
  const auto add = [&](const Generated& g) {
    all.insert(all.end(), g.ids.begin(), g.ids.end());
    all.insert(all.end(), g.log_likelihoods.begin(), g.log_likelihoods.end());
  };
  Server server(engine, {.running = 2, .tokens_a_pass = 3});  // the first prompt is read in pieces
  for (const TextState& state : states)
    server.submit(
        {.state = state, .options = {.max_new_tokens = 9}, .on_end = [&](Served& served) { add(served.written); }});
  while (server.step()) {
  }
  for (const Generated& g : generate(engine, std::span(states), {.max_new_tokens = 9})) add(g);
  const std::vector<std::vector<int>> answers{{1, 2, 3}, {1, 5}, {12}};
  for (const Score& s : score(engine, scored, answers)) all.push_back(s.sum);
  return all;
}

/// Logits of two sequences that are read token by token, and how many of these steps Cuda had captured.
struct SteppedText {
  std::vector<double> logits;
  int captured = 0;
};
template <auto C, Platform P>
SteppedText stepped_text() {
  using Decoder = DecoderOf<C, P>;
  Context<P> ctx = small_context<P>();
  const Store<Decoder, P> lm(drawn<Decoder, HostOf<P>>(41).flat);
  auto engine = make_engine<LanguageModel<C, P>>(ctx, lm.views, {.text_rows = 256, .media = 0});
  std::vector<TextState> states{engine.begin({.ids = {3, 1, 4, 1, 5}, .phi = {}}),
                                engine.begin({.ids = {16, 2}, .phi = {}})};
  std::vector<TextState*> both{&states[0], &states[1]};
  SteppedText report;
  const auto add = [&](const auto& logits) { report.logits.insert(report.logits.end(), logits.begin(), logits.end()); };
  add(engine.next_logits(both));
  for (int step = 0; step < 12; ++step) {
    {  // others overwrite where the step before had its tables
      const auto kept = ctx.kept_scope();
      table(ctx, std::vector<double>(512, 7.0));
    }
    states[0].append((5 * step + 2) % 17);
    states[1].append((3 * step + 1) % 17);
    add(engine.next_logits(both));
    if constexpr (requires { engine.replay().captured(); }) report.captured += engine.replay().captured();
  }
  return report;
}

}  // namespace flamingo::test
