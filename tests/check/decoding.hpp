/// The decoding runs of a golden file, through an engine.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <flamingo/infer/beam.hpp>
#include <flamingo/infer/generate.hpp>

#include "check/golden.hpp"

namespace flamingo::test {

namespace detail {

inline double option(const io::Json& run, std::string_view name, double missing) {
  const io::Json* found = run.find(name);
  return found ? found->as_double() : missing;
}

/// One row of gen.<run>.tokens, without its prompt.
inline std::vector<int> written(const std::vector<int>& tokens, std::size_t row, std::size_t width,
                                std::size_t prompt) {
  const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(row * width);
  return {from + static_cast<std::ptrdiff_t>(prompt), from + static_cast<std::ptrdiff_t>(width)};
}

}  // namespace detail

/// Every run of the file's `generation` after these prompts, which are `length` tokens long in the padded batch. Tokens
/// must be the same, scores within 1e-4, and the logits of each greedy step, read from caches, are outputs. What the
/// checked model never writes is `banned`.
template <class E>
void check_decoding(Golden& golden, E& engine, const std::vector<TextState>& prompts, std::size_t length,
                    const std::vector<int>& banned = {}) {
  using Real = typename E::Real;
  const io::Json runs = golden.meta("generation");
  for (const io::JsonMember& member : runs.as_object()) {
    const io::Json& run = member.value;
    const std::string name = "gen." + member.name;
    const int end = static_cast<int>(detail::option(run, "eos_token_id", -1)),
              pad = static_cast<int>(detail::option(run, "pad_token_id", 0)),
              most = static_cast<int>(detail::option(run, "max_new_tokens", 0));
    const std::vector<int> ends = end >= 0 && end < E::V ? std::vector<int>{end} : std::vector<int>{};
    const auto expected = golden.ids(name + ".tokens");
    const auto width = static_cast<std::size_t>(golden.file.at(name + ".tokens").shape[1]);
    const auto wrong = [&](std::size_t row) {
      golden.report.tokens = false;
      golden.report.note(name + ".tokens: row " + std::to_string(row) + " differs");
    };
    golden.report.skip(name + ".tokens");

    if (!run.find("num_beams")) {
      auto states = prompts;
      const auto all =
          generate(engine, std::span(states), {.max_new_tokens = most, .stop_ids = ends, .banned = banned});
      for (std::size_t b = 0; b < all.size(); ++b) {
        const auto row = detail::written(expected, b, width, length);
        std::vector<int> ours = all[b].ids;
        if (all[b].stopped == StopReason::stop_id) ours.push_back(end);
        ours.resize(std::max(ours.size(), row.size()), pad);
        if (ours != row) wrong(b);
      }
      if (!golden.has(name + ".step_logits")) continue;
      // Each step again, along the reference's tokens: the logits of rows that have not ended.
      states = prompts;
      const auto theirs = golden.at(name + ".step_logits");
      const auto steps = static_cast<std::size_t>(golden.file.at(name + ".step_logits").shape[1]);
      std::vector<float> ours_running, theirs_running;
      std::vector<bool> ended(states.size(), false);
      for (std::size_t step = 0; step < steps; ++step) {
        std::vector<TextState*> running;
        std::vector<std::size_t> which;
        for (std::size_t b = 0; b < states.size(); ++b)
          if (!ended[b]) {
            running.push_back(&states[b]);
            which.push_back(b);
          }
        if (running.empty()) break;
        const auto logits = engine.next_logits(running);
        for (std::size_t n = 0; n < which.size(); ++n) {
          const std::size_t b = which[n];
          for (std::size_t v = 0; v < std::size_t{E::V}; ++v) {
            const float one = theirs[(b * steps + step) * std::size_t{E::V} + v];
            if (!std::isfinite(one)) continue;  // a token that the reference forbids
            theirs_running.push_back(one);
            ours_running.push_back(static_cast<float>(static_cast<Real>(logits[n * std::size_t{E::V} + v])));
          }
          const int id = expected[b * width + length + step];
          ended[b] = std::find(ends.begin(), ends.end(), id) != ends.end();
          states[b].append(id);
        }
      }
      golden.report.output(name + ".step_logits", ours_running, theirs_running);
      continue;
    }

    BeamOptions o{.beams = static_cast<int>(detail::option(run, "num_beams", 0)),
                  .max_new_tokens = most,
                  .returned = static_cast<int>(detail::option(run, "num_return_sequences", 1)),
                  .length_penalty = detail::option(run, "length_penalty", 1),
                  .end_ids = ends,
                  .banned = banned};
    if (const io::Json* early = run.find("early_stopping"))
      o.early_stopping = early->is_string() ? EarlyStopping::never
                         : early->as_bool() ? EarlyStopping::yes
                                            : EarlyStopping::no;
    std::vector<Hypothesis> all;
    for (const auto& hypotheses : beam_search(engine, std::span(prompts), o))
      all.insert(all.end(), hypotheses.begin(), hypotheses.end());
    const auto rows = padded(all, end, pad, most);
    const auto scores = golden.at(name + ".scores");
    golden.report.skip(name + ".scores");
    if (rows.size() != scores.size()) {
      golden.report.note(name + " returned " + std::to_string(rows.size()) + " hypotheses, expected " +
                         std::to_string(scores.size()));
      golden.report.tokens = false;
      continue;
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] != detail::written(expected, i, width, length)) wrong(i);
      const double score = static_cast<double>(scores[i]);
      if (!(std::abs(all[i].score - score) <= 1e-4 * std::max(1.0, std::abs(score)))) {
        golden.report.note(name + ".scores: " + std::to_string(all[i].score) + ", expected " + std::to_string(score));
        golden.report.tokens = false;
      }
    }
  }
}

}  // namespace flamingo::test
