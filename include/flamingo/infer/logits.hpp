/// What changes the scores of the next token before one is chosen: penalties, forbidden ids, a host's own rules. The
/// same for greedy, sampled and beam decoding, in the order of transformers' processors.
#pragma once
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/infer/engine.hpp>

namespace flamingo {

/// A host's own change. `ids`: all tokens of the sequence, prompt included; `scores`: one for each id of the
/// vocabulary, logits in greedy and sampled decoding (before the temperature), log-probabilities in beam search. -∞
/// forbids an id.
using LogitsHook = Function<void(std::span<const int> ids, std::span<double> scores)>;

/// The rules of one call, as its options give them.
struct LogitsRules {
  double repetition_penalty = 1;
  std::span<const int> banned{};
  const LogitsHook* hook = nullptr;

  /// Whether scores must be copied and changed; forbidden ids alone are a matter of the row as it is.
  bool change() const { return repetition_penalty != 1 || (hook != nullptr && *hook); }

  /// Changes the scores of what follows `state`: the penalty, then forbidden ids, then the hook.
  void apply(const TextState& state, std::span<double> scores) const {
    std::vector<int> ids(state.read_ids);
    ids.insert(ids.end(), state.ids.begin(), state.ids.end());
    if (repetition_penalty != 1) {
      // Of each token that is there already, once however often: a positive score is divided, a negative one multiplied
      // (Keskar et al. 2019, as transformers' RepetitionPenaltyLogitsProcessor does it). Some ids are read and never
      // written, such as Llama 3.2 Vision's image: they have no score.
      const std::vector<double> own(scores.begin(), scores.end());
      for (const int id : ids)
        if (const auto at = static_cast<std::size_t>(id); at < own.size())
          scores[at] = own[at] < 0 ? own[at] * repetition_penalty : own[at] / repetition_penalty;
    }
    for (const int id : banned) scores[static_cast<std::size_t>(id)] = -std::numeric_limits<double>::infinity();
    if (hook != nullptr && *hook) (*hook)(ids, scores);
    for (std::size_t id = 0; id < scores.size(); ++id)
      check(!(std::isnan(scores[id]) || scores[id] == std::numeric_limits<double>::infinity()), "logits",
            "the score of id ", id, " is ", scores[id], ", expected a number or -inf");
  }
};

/// Throws unless the rules make sense for a vocabulary of V.
inline void check_rules(const LogitsRules& rules, int V, std::string_view where) {
  check(rules.repetition_penalty > 0 && std::isfinite(rules.repetition_penalty), where, "repetition_penalty is ",
        rules.repetition_penalty, ", expected a positive number");
  for (const int id : rules.banned)
    check(id >= 0 && id < V, where, "banned has the id ", id, ", expected 0 to ", V - 1);
}

namespace detail {

template <class R>
void ban(std::span<R> logits, std::span<const int> ids) {
  for (const int id : ids) logits[static_cast<std::size_t>(id)] = R(-std::numeric_limits<float>::infinity());
}

}  // namespace detail

}  // namespace flamingo
