/// What a form of the weights costs: the change of log-likelihoods on fixed documents, and the share of greedy tokens
/// that stay.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/infer/generate.hpp>

namespace flamingo::bench {

/// A document, where it begins to be written, and its media.
struct Judged {
  Sequence document, prompt;
  std::vector<CachedMedium> media{};
};

/// What a model makes of documents.
struct Judgement {
  double nats = 0;                    ///< of a token that they ask for, on the average
  std::vector<std::vector<int>> ids;  ///< the likeliest id at each place of what the reference wrote
};

/// What is written greedily after each prompt: `tokens` of them, whatever they are.
template <class Engine>
std::vector<std::vector<int>> write(Engine& engine, std::span<const Judged> all, int tokens) {
  std::vector<TextState> states;
  for (const Judged& one : all) states.push_back(engine.begin(one.prompt, one.media));
  std::vector<std::vector<int>> ids;
  for (const Generated& g : generate(engine, std::span(states), {.max_new_tokens = tokens})) ids.push_back(g.ids);
  return ids;
}

/// The same documents and, after each prompt, the tokens that the reference wrote (if any), read in one pass each.
template <class Engine>
Judgement judge(Engine& engine, std::span<const Judged> all, std::span<const std::vector<int>> written) {
  Judgement judgement;
  double sum = 0, count = 0;
  const auto read = [&](TextState& state, const auto& use) {
    const auto scope = engine.context().scope();
    TextState* const one[] = {&state};
    use(engine.read(one));
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Judged& one = all[i];
    std::vector<int> rows, targets;
    for (std::size_t t = 0; t < one.document.targets.size(); ++t)
      if (one.document.targets[t] >= 0) {
        rows.push_back(static_cast<int>(t));
        targets.push_back(one.document.targets[t]);
      }
    TextState document = engine.begin(one.document, one.media);
    read(document, [&](const auto& hidden) {
      for (const double log_p : engine.log_likelihoods(hidden, rows, targets)) sum -= log_p;
    });
    count += static_cast<double>(rows.size());

    if (written.empty()) continue;
    TextState forced = engine.begin(one.prompt, one.media);
    for (std::size_t t = 0; t + 1 < written[i].size(); ++t) forced.append(written[i][t]);
    rows.clear();
    for (std::size_t t = 0; t < written[i].size(); ++t) rows.push_back(static_cast<int>(one.prompt.ids.size() - 1 + t));
    read(forced, [&](const auto& hidden) {
      const auto logits = engine.logits(hidden, rows);
      std::vector<int>& ids = judgement.ids.emplace_back();
      for (std::size_t t = 0; t < rows.size(); ++t) {
        const auto row = logits.begin() + static_cast<std::ptrdiff_t>(t * std::size_t{Engine::V});
        ids.push_back(static_cast<int>(std::max_element(row, row + Engine::V) - row));
      }
    });
  }
  judgement.nats = sum / count;
  return judgement;
}

/// The share of what was written that is the likeliest here too.
inline double share_kept(const Judgement& a, std::span<const std::vector<int>> written) {
  double same = 0, all = 0;
  for (std::size_t i = 0; i < written.size(); ++i)
    for (std::size_t t = 0; t < written[i].size(); ++t, ++all) same += a.ids[i][t] == written[i][t];
  return same / all;
}

}  // namespace flamingo::bench
