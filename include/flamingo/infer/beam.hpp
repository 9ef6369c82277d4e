/// Beam search by the rules of transformers' BeamSearchScorer (4.49): twice as many candidates as beams a step, scores
/// of Σ log p / length^penalty.
///
/// Beams are copies of one TextState, so they share the prompt's keys and values and its media.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/infer/generate.hpp>

namespace flamingo {

/// When a search ends before its last step. Always asked once as many hypotheses as beams have ended.
enum class EarlyStopping : std::uint8_t {
  no,     ///< when the best running beam, at its present length, can no longer beat the worst hypothesis
  yes,    ///< at once
  never,  ///< when it cannot beat it at any length
};

struct BeamOptions {
  int beams = 3;
  int max_new_tokens = 64;
  int returned = 1;           ///< hypotheses of each prompt, at most `beams`
  double length_penalty = 1;  ///< above 0 favours long answers
  EarlyStopping early_stopping = EarlyStopping::no;
  std::vector<int> end_ids{};
  std::vector<int> banned{};      ///< ids never chosen
  double repetition_penalty = 1;  ///< as in GenerateOptions; it acts on log-probabilities, and counts in the scores
  LogitsHook hook{};              ///< a host's own change of the log-probabilities

  LogitsRules rules() const { return {repetition_penalty, banned, &hook}; }
};

/// One answer.
struct Hypothesis {
  std::vector<int> ids;  ///< without the end id
  double score = 0;      ///< Σ log p / length^penalty; the end id counts in both
  bool ended = false;    ///< by an end id, rather than by max_new_tokens
};

namespace detail {

/// The best hypotheses of one prompt: as many as beams.
class BestHypotheses {
 public:
  BestHypotheses(int room, double length_penalty, EarlyStopping early, int most)
      : room_(static_cast<std::size_t>(room)), penalty_(length_penalty), early_(early), most_(most) {}

  /// length counts the generated tokens, an end id included.
  void add(std::vector<int> ids, double log_p, int length, bool ended) {
    const double score = log_p / std::pow(length, penalty_);
    if (all_.size() >= room_ && score <= all_.back().score) return;
    // Among equals the one that came last is first.
    const auto place = std::find_if(all_.begin(), all_.end(), [&](const Hypothesis& h) { return h.score <= score; });
    all_.insert(place, {std::move(ids), score, ended});
    if (all_.size() > room_) all_.pop_back();
  }
  /// Whether running beams, the best of them at best_log_p, cannot change anything any more.
  bool done(double best_log_p, int length) const {
    if (all_.size() < room_) return false;
    if (early_ == EarlyStopping::yes) return true;
    const int at = early_ == EarlyStopping::never && penalty_ > 0 ? most_ : length;
    return all_.back().score >= best_log_p / std::pow(at, penalty_);
  }
  std::vector<Hypothesis> best(int n) const {
    return {all_.begin(), all_.begin() + std::min(n, static_cast<int>(all_.size()))};
  }

 private:
  std::size_t room_;
  double penalty_;
  EarlyStopping early_;
  int most_;
  std::vector<Hypothesis> all_;  ///< the best first
};

struct Beam {
  TextState state;
  std::vector<int> ids;
  double log_p = 0;
};
struct Candidate {
  std::size_t beam;
  int id;
  double log_p;
};

/// The `count` best of all, the best first.
inline std::vector<Candidate> best_of(std::vector<Candidate> all, std::size_t count) {
  count = std::min(count, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                    [](const Candidate& a, const Candidate& b) {
                      return a.log_p != b.log_p ? a.log_p > b.log_p : a.beam != b.beam ? a.beam < b.beam : a.id < b.id;
                    });
  all.resize(count);
  return all;
}
/// The `count` best continuations by one token of beams, out of as many for each: what is best of all is among them.
inline std::vector<Candidate> best_candidates(std::span<const Beam> beams, std::span<const Choice> best,
                                              std::size_t count) {
  const std::size_t each = best.size() / beams.size();
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < best.size(); ++i)
    if (best[i].id >= 0) all.push_back({i / each, best[i].id, beams[i / each].log_p + best[i].log_p});
  return best_of(std::move(all), count);
}
/// The same by rules that may change any score: logits, V a beam.
template <class R>
std::vector<Candidate> best_candidates(std::span<const Beam> beams, std::span<const R> logits, int V,
                                       const LogitsRules& rules, std::size_t count) {
  std::vector<Candidate> all;
  for (std::size_t b = 0; b < beams.size(); ++b) {
    const auto row = logits.subspan(b * static_cast<std::size_t>(V), static_cast<std::size_t>(V));
    const double total = log_sum_exp<R>(row);
    std::vector<double> scores(row.size());
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<double>(row[i]) - total;
    rules.apply(beams[b].state, scores);
    for (int id = 0; id < V; ++id)
      if (const double x = scores[static_cast<std::size_t>(id)]; x > -std::numeric_limits<double>::infinity())
        all.push_back({b, id, beams[b].log_p + x});
  }
  return best_of(std::move(all), count);
}

}  // namespace detail

inline void check_options(const BeamOptions& o, int V) {
  check(o.beams > 0, "beam_search", "beams is ", o.beams, ", expected a positive number");
  check(o.returned > 0 && o.returned <= o.beams, "beam_search", "returned is ", o.returned,
        ", expected 1 to beams = ", o.beams);
  check(o.max_new_tokens > 0, "beam_search", "max_new_tokens is ", o.max_new_tokens, ", expected a positive number");
  check_rules(o.rules(), V, "beam_search");
}

/// The best continuations of each prompt, the best first; all beams of all prompts are read in one batch. The states
/// keep waiting for their own tokens. Fewer hypotheses than asked for come back where the vocabulary allows no more.
template <class E>
std::vector<std::vector<Hypothesis>> beam_search(E& engine, std::span<const TextState> prompts, const BeamOptions& o) {
  using Logit = typename E::Logit;
  check_options(o, E::V);
  struct Search {
    std::vector<detail::Beam> beams;
    detail::BestHypotheses best;
    int steps;
    bool done = false;
  };
  std::vector<Search> searches;
  for (const TextState& prompt : prompts) {
    const int steps = std::min(o.max_new_tokens, E::context_size - prompt.length() + 1);
    searches.push_back({{{prompt, {}, 0}}, {o.beams, o.length_penalty, o.early_stopping, steps}, steps});
  }
  const auto ends = [&](int id) { return std::find(o.end_ids.begin(), o.end_ids.end(), id) != o.end_ids.end(); };
  // Each beam may lose its best candidates to end ids, which make no beam.
  const std::size_t candidates = std::max(std::size_t{2}, 1 + o.end_ids.size()) * static_cast<std::size_t>(o.beams);
  const bool by_rows = o.rules().change();
  const std::size_t each = std::min(candidates, std::size_t{E::V});  // of one beam

  for (int length = 1;; ++length) {
    std::vector<TextState*> batch;
    for (Search& search : searches)
      if (!search.done)
        for (detail::Beam& beam : search.beams) batch.push_back(&beam.state);
    if (batch.empty()) break;
    typename E::Logits logits;
    std::vector<Choice> likeliest;
    if (by_rows)
      logits = engine.next_logits(batch);
    else
      likeliest = engine.likeliest_next(batch, static_cast<int>(each), o.banned);
    std::size_t row = 0;
    for (Search& search : searches) {
      if (search.done) continue;
      const auto own = [&](const auto& rows, std::size_t width) {
        return std::span(rows).subspan(row * width, search.beams.size() * width);
      };
      const auto best = by_rows
                            ? detail::best_candidates<Logit>(search.beams, own(std::as_const(logits), E::V), E::V,
                                                             o.rules(), candidates)
                            : detail::best_candidates(search.beams, own(std::as_const(likeliest), each), candidates);
      row += search.beams.size();
      std::vector<detail::Beam> next;
      for (std::size_t rank = 0; rank < best.size() && next.size() < static_cast<std::size_t>(o.beams); ++rank) {
        const detail::Candidate& c = best[rank];
        const detail::Beam& from = search.beams[c.beam];
        if (ends(c.id)) {  // an end that the best `beams` candidates do not hold is no hypothesis
          if (rank < static_cast<std::size_t>(o.beams)) search.best.add(from.ids, c.log_p, length, true);
          continue;
        }
        next.push_back({from.state, from.ids, c.log_p});
        next.back().state.append(c.id);
        next.back().ids.push_back(c.id);
      }
      search.beams = std::move(next);
      search.done = best.empty() || search.best.done(best[0].log_p, length);
      if (search.done || length < search.steps) {
        search.done = search.done || search.beams.empty();
        continue;
      }
      for (detail::Beam& beam : search.beams) search.best.add(std::move(beam.ids), beam.log_p, length, false);
      search.done = true;
    }
  }
  std::vector<std::vector<Hypothesis>> all;
  for (const Search& search : searches) all.push_back(search.best.best(o.returned));
  return all;
}
template <class E>
std::vector<Hypothesis> beam_search(E& engine, const TextState& prompt, const BeamOptions& o) {
  return beam_search(engine, std::span(&prompt, 1), o)[0];
}

/// Hypotheses as rows of one length, as transformers returns them: the end id after each shorter one, then padding.
inline std::vector<std::vector<int>> padded(std::span<const Hypothesis> hypotheses, int end_id, int pad_id,
                                            int max_new_tokens) {
  std::size_t longest = 0;
  for (const Hypothesis& h : hypotheses) longest = std::max(longest, h.ids.size());
  const std::size_t length = std::min(longest + 1, static_cast<std::size_t>(max_new_tokens));
  std::vector<std::vector<int>> rows;
  for (const Hypothesis& h : hypotheses) {
    rows.push_back(h.ids);
    if (rows.back().size() < length) rows.back().push_back(end_id);
    rows.back().resize(length, pad_id);
  }
  return rows;
}

}  // namespace flamingo
