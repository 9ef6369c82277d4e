/// Text that a model writes: greedy, or sampled by temperature, top-k and top-p; token by token, for any number of
/// sequences at once.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/infer/engine.hpp>
#include <flamingo/infer/logits.hpp>
#include <flamingo/infer/stop_text.hpp>

namespace flamingo {

struct GenerateOptions {
  int max_new_tokens = 64;
  float temperature = 0;   ///< 0: always the likeliest token, the first of equals
  int top_k = 0;           ///< sample among the k likeliest; 0: all
  float top_p = 1;         ///< ... among the fewest likeliest that reach this probability
  std::uint64_t seed = 0;  ///< a draw depends on seed, TextState::stream and the token's position alone
  std::vector<int> stop_ids{};
  std::vector<int> banned{};                   ///< ids never chosen
  float repetition_penalty = 1;                ///< above 1: tokens that are there already become less likely
  LogitsHook hook{};                           ///< a host's own change of the scores
  std::vector<std::string> stop_texts{};       ///< asks for bytes_of
  Function<std::string_view(int)> bytes_of{};  ///< the text of an id: a tokenizer's
  Function<void(std::string_view)> on_text{};  ///< the text of one sequence as it grows: whole characters, and nothing
                                               ///< that may turn out to be a stop text. Asks for bytes_of

  LogitsRules rules() const { return {static_cast<double>(repetition_penalty), banned, &hook}; }
};

enum class StopReason : std::uint8_t {
  length,
  context,
  stop_id,
  stop_text,
  cancelled,  ///< by the host
  failed,     ///< of a Server's request: Served::error says why
};

/// What was written after a prompt.
struct Generated {
  std::vector<int> ids;                 ///< without a stop id
  std::vector<double> log_likelihoods;  ///< of each id under the model, whatever the sampling
  std::string text;                     ///< up to a stop text; empty without bytes_of
  StopReason stopped = StopReason::length;
};

namespace detail {

inline void check_ids(std::span<const int> ids, int V, std::string_view what) {
  for (const int id : ids) check(id >= 0 && id < V, "generate", what, " has the id ", id, ", expected 0 to ", V - 1);
}

}  // namespace detail

/// The place among `count` scores, the highest first, that `uniform` in [0, 1) means in the distribution that
/// temperature and top-p make of them. score_at(place) is asked for one place after another, and no further than it
/// takes; `total` is the sum of all exp((score - highest) / temperature).
template <class ScoreAt>
std::size_t place_of(std::size_t count, const ScoreAt& score_at, double total, const GenerateOptions& o,
                     double uniform) {
  std::vector<double> p;
  const double highest = score_at(0);
  const auto p_at = [&](std::size_t i) {
    while (p.size() <= i) p.push_back(std::exp((score_at(p.size()) - highest) / static_cast<double>(o.temperature)));
    return p[i];
  };
  double mass = total;
  if (o.top_p < 1) {
    std::size_t among = 0;
    for (mass = 0; among < count && (among == 0 || (mass < static_cast<double>(o.top_p) * total && p_at(among) > 0));)
      mass += p_at(among++);
    count = among;
  }
  double rest = uniform * mass;
  for (std::size_t i = 0; i + 1 < count; ++i)
    if ((rest -= p_at(i)) < 0 || p_at(i + 1) == 0) return i;
  return count - 1;
}

/// The id at the place `uniform` in [0, 1) of the distribution that the options make of logits: temperature, then
/// top-k, then top-p.
template <class R>
int sample(std::span<const R> logits, const GenerateOptions& o, double uniform) {
  const auto at = [&](int id) { return static_cast<double>(logits[static_cast<std::size_t>(id)]); };
  if (o.temperature == 0) return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  std::vector<int> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  const auto kept = o.top_k > 0 ? std::min(order.size(), static_cast<std::size_t>(o.top_k)) : order.size();
  // Sorted as far as it is asked for: all of a vocabulary takes milliseconds, and few ids have most of the mass.
  std::size_t sorted = 0;
  const auto score_at = [&](std::size_t place) {
    if (place >= sorted) {
      const std::size_t next = std::min(kept, std::max(std::size_t{64}, 4 * sorted));
      const auto begin = order.begin();
      std::partial_sort(begin + static_cast<std::ptrdiff_t>(sorted), begin + static_cast<std::ptrdiff_t>(next),
                        order.end(), [&](int a, int b) { return at(a) != at(b) ? at(a) > at(b) : a < b; });
      sorted = next;
    }
    return at(order[place]);
  };
  const double highest = score_at(0);
  double total = 0;
  const auto add = [&](double score) { total += std::exp((score - highest) / static_cast<double>(o.temperature)); };
  if (o.top_k > 0)
    for (std::size_t i = 0; i < kept; ++i) add(score_at(i));
  else
    for (const R score : logits) add(static_cast<double>(score));
  return order[place_of(kept, score_at, total, o, uniform)];
}

/// Throws unless the options make sense for a vocabulary of V.
inline void check_options(const GenerateOptions& o, int V) {
  check(o.max_new_tokens > 0, "generate", "max_new_tokens is ", o.max_new_tokens, ", expected a positive number");
  check(o.temperature >= 0 && std::isfinite(o.temperature), "generate", "temperature is ", o.temperature,
        ", expected a number of at least 0");
  check(o.top_k >= 0, "generate", "top_k is ", o.top_k, ", expected at least 0");
  check(o.top_p > 0 && o.top_p <= 1, "generate", "top_p is ", o.top_p, ", expected above 0 and at most 1");
  check(o.stop_texts.empty() || o.bytes_of, "generate", "there are stop texts but no bytes_of to turn ids into text");
  check(!o.on_text || o.bytes_of, "generate", "there is an on_text but no bytes_of to turn ids into text");
  for (const std::string& stop : o.stop_texts) check(!stop.empty(), "generate", "a stop text is empty");
  detail::check_ids(o.stop_ids, V, "stop_ids");
  check_rules(o.rules(), V, "generate");
}

namespace detail {

/// How many of the likeliest ids of a row are enough to choose the next one; 0: the whole row is needed, because a rule
/// may change any score or any id may be drawn.
inline int enough_choices(const GenerateOptions& o, int V) {
  return o.rules().change() ? 0 : o.temperature == 0 ? 1 : std::min(o.top_k, V);
}
inline void check_possible(double score) {
  check(score > -std::numeric_limits<double>::infinity(), "generate", "every id is forbidden");
}
/// The next id of a state out of its likeliest ones.
inline Choice choose(std::span<const Choice> best, const GenerateOptions& o, double uniform) {
  check_possible(best[0].log_p);
  if (o.temperature == 0) return best[0];
  std::size_t possible = 0;
  double total = 0;
  for (; possible < best.size() && best[possible].id >= 0; ++possible)
    total += std::exp((best[possible].log_p - best[0].log_p) / static_cast<double>(o.temperature));
  return best[place_of(
      possible, [&](std::size_t i) { return best[i].log_p; }, total, o, uniform)];
}
/// The next id of a state out of its whole row, by the rules and the sampling of the options.
template <class R>
Choice choose(std::span<R> logits, const TextState& state, const GenerateOptions& o, double uniform) {
  const double total = log_sum_exp<R>(logits);
  const auto log_p = [&](int id) { return static_cast<double>(logits[static_cast<std::size_t>(id)]) - total; };
  const LogitsRules rules = o.rules();
  if (!rules.change()) {
    ban<R>(logits, o.banned);
    const int id = sample<R>(logits, o, uniform);
    check_possible(static_cast<double>(logits[static_cast<std::size_t>(id)]));
    return {id, log_p(id)};
  }
  std::vector<double> scores(logits.size());
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<double>(logits[i]);
  rules.apply(state, scores);
  const int id = sample<double>(scores, o, uniform);
  check_possible(scores[static_cast<std::size_t>(id)]);
  return {id, log_p(id)};
}

/// One sequence as it is written: what its options make of each token that is chosen for it.
class Writing {
 public:
  /// The state and the options must live as long as this.
  Writing(TextState& state, const GenerateOptions& o) : state_(&state), o_(&o) {}

  const Generated& written() const { return written_; }
  /// What the next token is drawn by.
  double uniform() const {
    const auto position = static_cast<std::uint64_t>(state_->length());
    return static_cast<double>(Random(o_->seed, state_->stream, position).uniform());
  }
  /// Takes the token that was chosen, tells `on_token` unless it is a stop id, and tells whether there is more to
  /// write.
  template <class OnToken>
  bool take(const Choice& chosen, int context, const OnToken& on_token) {
    state_->append(chosen.id);
    if (std::find(o_->stop_ids.begin(), o_->stop_ids.end(), chosen.id) != o_->stop_ids.end())
      return end(StopReason::stop_id);
    written_.ids.push_back(chosen.id);
    written_.log_likelihoods.push_back(chosen.log_p);
    bool goes_on = true;
    if constexpr (std::is_same_v<decltype(on_token(chosen.id)), bool>)
      goes_on = on_token(chosen.id);
    else
      on_token(chosen.id);
    if (o_->bytes_of) {
      const std::size_t before = written_.text.size();
      written_.text += o_->bytes_of(chosen.id);
      if (const std::size_t at = found_stop(written_.text, before, o_->stop_texts); at != std::string::npos) {
        written_.text.resize(at);
        return end(StopReason::stop_text);
      }
    }
    if (!goes_on) return end(StopReason::cancelled);
    if (state_->length() > context) return end(StopReason::context);
    if (written_.ids.size() >= static_cast<std::size_t>(o_->max_new_tokens)) return end(StopReason::length);
    stream(decided(written_.text, o_->stop_texts));
    return true;
  }
  /// No more is written: what is left of the text is streamed. False.
  bool end(StopReason why) {
    written_.stopped = why;
    stream(written_.text.size());
    return false;
  }

 private:
  void stream(std::size_t end) {
    if (!o_->on_text || end <= streamed_) return;
    o_->on_text(std::string_view(written_.text).substr(streamed_, end - streamed_));
    streamed_ = end;
  }

  TextState* state_;
  const GenerateOptions* o_;
  Generated written_;
  std::size_t streamed_ = 0;
};

}  // namespace detail

/// Writes after each state, all in one batch, and calls on_token(which state, id) as tokens are chosen; where it
/// returns false, that state ends. What was chosen, stop ids included, waits in the state: append to it to go on.
template <class E, class OnToken>
std::vector<Generated> generate(E& engine, std::span<TextState> states, const GenerateOptions& o,
                                const OnToken& on_token) {
  check_options(o, E::V);
  check(!o.on_text || states.size() == 1, "generate", "there is one on_text for the texts of ", states.size(),
        " sequences");
  const auto enough = static_cast<std::size_t>(detail::enough_choices(o, E::V));
  std::vector<detail::Writing> all;
  for (TextState& state : states) all.emplace_back(state, o);
  std::vector<std::size_t> running(states.size());
  for (std::size_t i = 0; i < running.size(); ++i) running[i] = i;
  while (!running.empty()) {
    std::vector<TextState*> batch;
    for (const std::size_t i : running) batch.push_back(&states[i]);
    typename E::Logits logits;
    std::vector<Choice> best;
    if (enough > 0)
      best = engine.likeliest_next(batch, static_cast<int>(enough), o.banned);
    else
      logits = engine.next_logits(batch);
    std::vector<std::size_t> still;
    for (std::size_t n = 0; n < running.size(); ++n) {
      const std::size_t i = running[n];
      const double uniform = all[i].uniform();
      const Choice chosen = enough > 0
                                ? detail::choose(std::span<const Choice>(best).subspan(n * enough, enough), o, uniform)
                                : detail::choose(std::span(logits).subspan(n * std::size_t{E::V}, std::size_t{E::V}),
                                                 states[i], o, uniform);
      if (all[i].take(chosen, E::context_size, [&](int id) { return on_token(i, id); })) still.push_back(i);
    }
    running = std::move(still);
  }
  std::vector<Generated> written;
  for (const detail::Writing& w : all) written.push_back(w.written());
  return written;
}
template <class E>
std::vector<Generated> generate(E& engine, std::span<TextState> states, const GenerateOptions& o = {}) {
  return generate(engine, states, o, [](std::size_t, int) {});
}
/// The same for one state; on_token(id).
template <class E, class OnToken>
Generated generate(E& engine, TextState& state, const GenerateOptions& o, const OnToken& on_token) {
  return generate(engine, std::span(&state, 1), o, [&](std::size_t, int id) { return on_token(id); })[0];
}
template <class E>
Generated generate(E& engine, TextState& state, const GenerateOptions& o = {}) {
  return generate(engine, std::span(&state, 1), o)[0];
}

}  // namespace flamingo
