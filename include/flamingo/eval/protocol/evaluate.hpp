/// A few-shot evaluation: for each query demonstrations are chosen, a prompt is made, a model answers, and all of it is
/// recorded.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/eval/protocol/feature_index.hpp>
#include <flamingo/eval/protocol/plan.hpp>
#include <flamingo/eval/protocol/run_file.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

/// The path of the picture that the control `blank` shows: whoever opens media makes a uniform one of it.
inline constexpr std::string_view blank_medium = "blank:";

/// In front of a video's path: of the sampled frames the first alone, or all in another order.
inline constexpr std::string_view first_frame_of = "first frame of:", shuffled_frames_of = "shuffled frames of:";

/// Tokens that a language model reads.
struct TokenCount {
  std::int64_t read = 0;        ///< as the answer was made
  std::int64_t one_by_one = 0;  ///< were each candidate read behind a prompt of its own

  TokenCount& operator+=(const TokenCount& more) {
    read += more.read;
    one_by_one += more.one_by_one;
    return *this;
  }
};

/// What a model makes of a prompt.
struct Answer {
  std::string text{};            ///< open-ended
  std::vector<double> scores{};  ///< closed-ended, of each candidate
  TokenCount tokens{};
};

/// How far a run is.
struct EvaluationProgress {
  std::size_t done = 0, all = 0, resumed = 0;
  double seconds = 0, seconds_left = 0;
};

/// All that a run needs besides its settings. An item of `support` that is the query itself (by its id) is never shown.
struct EvaluationData {
  std::span<const TaskItem> queries, support;
  std::span<const std::string> candidates{};  ///< of all items; empty: open-ended, or each item has its own
  const FeatureIndex* index = nullptr;        ///< of the support, in its order, for RICES
  Function<std::vector<float>(const TaskItem&)> features{};  ///< of a query, likewise
  /// A query's own demonstrations, instead of those of the support: episodes have them.
  Function<std::vector<TaskItem>(const TaskItem&, const EvaluationSettings&)> shots{};
  const PromptSet* prompts = nullptr;  ///< null: those that the settings name
};

struct Evaluation {
  std::vector<TaskItem> queries;        ///< those that were drawn
  std::vector<Prediction> predictions;  ///< of each
  TokenCount tokens;
};

namespace detail {

inline std::vector<TaskItem> chosen_shots(const EvaluationSettings& s, const EvaluationData& data,
                                          const TaskItem& query) {
  if (data.shots) return data.shots(query, s);
  const auto k = static_cast<std::size_t>(s.shown());
  std::vector<TaskItem> shots;
  if (k == 0) return shots;
  if (s.support == Support::rices) {
    check(data.index && data.features, "evaluate", "RICES needs an index of the support and features of queries");
    check(data.index->ids().size() == data.support.size(), "evaluate", "the index has ", data.index->ids().size(),
          " items, the support ", data.support.size());
    for (const std::size_t i : data.index->nearest(data.features(query), k, query.id)) {
      check(data.index->ids()[i] == data.support[i].id, "evaluate", "place ", i, " of the index is item ",
            data.index->ids()[i], ", of the support ", data.support[i].id);
      shots.push_back(data.support[i]);
    }
    return shots;
  }
  // One more is drawn, in case the query is among them.
  check(k < data.support.size() || (k == data.support.size() && k > 0), "evaluate", "there are ", data.support.size(),
        " items of support, expected at least ", k);
  const std::size_t some = std::min(k + 1, data.support.size());
  for (const std::size_t i : drawn(draw_for(s.seed, "shots of " + query.id), some, data.support.size()))
    if (data.support[i].id != query.id && shots.size() < k) shots.push_back(data.support[i]);
  check(shots.size() == k, "evaluate", "there are too few items of support besides ", query.id);
  return shots;
}

/// The demonstrations with their answers dealt out anew among them, so that each answer is shown as often as before.
inline void deal_answers(Random random, std::vector<TaskItem>& shots) {
  const std::vector<TaskItem> before = shots;
  const std::vector<std::size_t> from = drawn(random, shots.size(), shots.size());
  for (std::size_t i = 0; i < shots.size(); ++i) {
    shots[i].answers = before[from[i]].answers;
    shots[i].candidates = before[from[i]].candidates;
    shots[i].label = before[from[i]].label;
  }
}

/// As many media of another item as the query has tags for: its own number, the other's again and again.
inline void take_media(TaskItem& query, const TaskItem& other) {
  check(query.media.empty() || !other.media.empty(), "evaluate", "item ", other.id,
        " has no media that another could be shown with");
  for (std::size_t i = 0; i < query.media.size(); ++i) query.media[i] = other.media[i % other.media.size()];
}

/// A query with what a control leaves of its media.
inline void apply(Control control, TaskItem& query) {
  for (TaskMedium& medium : query.media) {
    if (control == Control::blank) medium = {std::string(blank_medium), medium.video};
    if (control == Control::single_frame) medium.path.insert(0, first_frame_of);
    if (control == Control::shuffled_frames) medium.path.insert(0, shuffled_frames_of);
  }
}

inline io::Json record_of(const TaskItem& query, std::span<const TaskItem> shots, std::span<const Prompt> prompts,
                          const Answer& answer, std::string_view trimmed) {
  io::Json::Array ids, texts, media;
  for (const TaskItem& shot : shots) ids.push_back(shot.id);
  for (const Prompt& prompt : prompts) texts.push_back(prompt.text);
  for (const TaskMedium& medium : prompts[0].media) media.push_back(medium.path);
  io::Json::Object record{
      {"item", query.id}, {"shots", std::move(ids)}, {"prompts", std::move(texts)}, {"media", std::move(media)}};
  if (answer.scores.empty()) {
    record.push_back({"written", answer.text});
    record.push_back({"answer", std::string(trimmed)});
  } else {
    record.push_back({"scores", io::Json::Array(answer.scores.begin(), answer.scores.end())});
  }
  record.push_back({"tokens_read", answer.tokens.read});
  record.push_back({"tokens_one_by_one", answer.tokens.one_by_one});
  return io::Json(std::move(record));
}

/// What a record says of an item of so many candidates (0: its answer is a text). Throws where it says the other, or
/// has scores of another number of candidates: it answers another question.
inline Prediction prediction_of(const io::Json& record, const std::string& id, std::size_t candidates) {
  Prediction prediction{id, {}};
  const io::Json* scores = record.find("scores");
  if (scores)
    for (const io::Json& score : scores->as_array()) prediction.scores.push_back(score.as_double());
  check_scores_of(prediction, candidates);
  if (candidates > 0) return prediction;
  const io::Json* answer = record.find("answer");
  check(answer && answer->is_string(), "results", "item ", id, " has no answer, expected a text");
  prediction.text = answer->as_string();
  return prediction;
}

}  // namespace detail

/// The queries that settings name: all, or as many as are drawn.
inline std::vector<TaskItem> drawn_queries(const EvaluationSettings& s, std::span<const TaskItem> all) {
  if (s.queries == 0) return {all.begin(), all.end()};
  std::vector<TaskItem> queries;
  for (const std::size_t i : drawn(draw_for(s.seed, "queries"), s.queries, all.size())) queries.push_back(all[i]);
  return queries;
}

/// Runs the evaluation, or what is left of it, and records it in `file`.
///
/// `model.write(prompt, settings)` and `model.score(prompt, candidates, settings)` answer (EngineAnswerer).
/// Closed-ended items are those with candidates. `progress` is called after each query.
template <class Model, class OnProgress>
Evaluation evaluate(Model& model, const EvaluationSettings& s, const EvaluationData& data, RunFile& file,
                    const OnProgress& progress) {
  const PromptSet set = data.prompts ? *data.prompts : prompts_named(s.prompts);
  Evaluation run{.queries = drawn_queries(s, data.queries), .predictions = {}, .tokens = {}};
  check(!run.queries.empty(), "evaluate", "there are no queries");
  std::vector<std::size_t> others;
  if (s.control == Control::shuffled) others = deranged(draw_for(s.seed, "shuffled"), run.queries.size());
  const auto began = std::chrono::steady_clock::now();
  EvaluationProgress at{.all = run.queries.size()};
  for (std::size_t q = 0; q < run.queries.size(); ++q) {
    TaskItem query = run.queries[q];
    if (s.control == Control::shuffled) detail::take_media(query, run.queries[others[q]]);
    detail::apply(s.control, query);
    const std::span<const std::string> candidates = query.candidates.empty() ? data.candidates : query.candidates;
    if (const io::Json* known = file.find(query.id)) {
      run.predictions.push_back(detail::prediction_of(*known, query.id, candidates.size()));
      run.tokens += {known->at("tokens_read").as_integer(), known->at("tokens_one_by_one").as_integer()};
      ++at.resumed;
    } else {
      std::vector<TaskItem> shots = detail::chosen_shots(s, data, query);
      if (s.control == Control::shuffled_labels) detail::deal_answers(draw_for(s.seed, "labels of " + query.id), shots);
      const PromptMedia media = s.control == Control::text_only ? PromptMedia::none
                                : s.shots == 0                  ? PromptMedia::query_only
                                                                : PromptMedia::all;
      const std::size_t most = candidates.empty() ? 1 : s.permutations;
      check(s.best == 0 || (most <= 1 && !s.normalise_length), "evaluate", "the likeliest ", s.best,
            " alone are scored to their end: expected one order of the demonstrations, and sums");
      std::vector<Prompt> prompts;
      Answer answer;
      for (const auto& order : orders(draw_for(s.seed, "orders of " + query.id), shots.size(), most)) {
        std::vector<const TaskItem*> ordered;
        for (const std::size_t i : order) ordered.push_back(&shots[i]);
        prompts.push_back(few_shot_prompt(set, s.kind, ordered, query, media, data.candidates));
        if (candidates.empty()) {
          answer = model.write(prompts.back(), s);
          continue;
        }
        const Answer one = model.score(prompts.back(), candidates, s);
        check(one.scores.size() == candidates.size(), "evaluate", "a model gave ", one.scores.size(), " scores of ",
              candidates.size(), " candidates");
        answer.scores.resize(candidates.size(), 0.0);
        for (std::size_t c = 0; c < candidates.size(); ++c) answer.scores[c] += one.scores[c];
        answer.tokens += one.tokens;
      }
      for (double& score : answer.scores) score /= static_cast<double>(prompts.size());
      const std::string text = trimmed_answer(set.of(s.kind), answer.text);
      file.record(detail::record_of(query, shots, prompts, answer, text));
      run.tokens += answer.tokens;
      run.predictions.push_back({query.id, answer.scores.empty() ? text : std::string(), answer.scores});
    }
    at.done = q + 1;
    at.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (const std::size_t made = at.done - at.resumed; made > 0)
      at.seconds_left = at.seconds / static_cast<double>(made) * static_cast<double>(at.all - at.done);
    progress(at);
  }
  return run;
}

}  // namespace flamingo
