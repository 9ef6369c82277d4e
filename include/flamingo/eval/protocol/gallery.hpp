/// Right and wrong answers for a reader: which are shown, with their prompts, and where their words looked.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/eval/metrics/ranking.hpp>
#include <flamingo/eval/prompts.hpp>
#include <flamingo/eval/protocol/evaluate.hpp>
#include <flamingo/eval/protocol/run_file.hpp>
#include <flamingo/eval/protocol/task_score.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// A word of an answer and where it looked: numbers of the grid's cells, line by line.
struct LookedWord {
  std::string word;
  std::vector<double> heat;
  int columns = 0, rows = 0;
};

namespace detail {

/// Text and pictures of a prompt as they follow one another.
inline io::Json prompt_parts(const PromptSet& set, std::string_view text, const io::Json::Array& media) {
  io::Json::Array parts;
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = used < media.size() ? text.find(set.image, at) : text.npos;
    if (const std::string_view piece = text.substr(at, next - at); !piece.empty())
      parts.push_back(io::Json::Object{{"text", piece}});
    if (next == text.npos) break;
    parts.push_back(io::Json::Object{{"image", media[used++]}});
    at = next + set.image.size();
  }
  return io::Json(std::move(parts));
}

/// The places of up to `count` right and wrong answers: spread over the items where answers are right or wrong, else
/// the best and the worst.
inline std::pair<std::vector<std::size_t>, std::vector<std::size_t>> gallery_places(TaskMetric metric,
                                                                                    const TaskScores& scores,
                                                                                    std::size_t count) {
  std::vector<std::size_t> right, wrong, order(scores.items.size());
  const bool graded = metric == TaskMetric::nats || metric == TaskMetric::cider || metric == TaskMetric::keyword_f1;
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (graded) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return more_is_better(metric) ? scores.items[a] > scores.items[b] : scores.items[a] < scores.items[b];
    });
    count = std::min(count, order.size() / 2);
    right.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
    wrong.assign(order.rbegin(), order.rbegin() + static_cast<std::ptrdiff_t>(count));
    return {right, wrong};
  }
  for (const std::size_t i : order) (scores.items[i] >= 50 ? right : wrong).push_back(i);
  const auto spread = [&](std::vector<std::size_t>& all) {
    std::vector<std::size_t> some;
    const std::size_t most = std::min(count, all.size());
    for (std::size_t n = 0; n < most; ++n) some.push_back(all[n * all.size() / most]);
    all = std::move(some);
  };
  spread(right);
  spread(wrong);
  return {right, wrong};
}

}  // namespace detail

struct GalleryPlace {
  std::size_t item;
  bool right;
  double score;
  bool look;  ///< ask the model where the answer's words looked
};

/// A query as a page shows it: {"item", "right", "score", "prompt", "answer", "truth", "choices", "looked"}.
template <class Model>
io::Json gallery_example(Model& model, const EvaluationData& given, const Evaluation& run, const RunFile& file,
                         const GalleryPlace& place) {
  const TaskItem& query = run.queries[place.item];
  const Prediction& p = run.predictions[place.item];
  const io::Json& record = *file.find(query.id);
  const std::span<const std::string> candidates =
      query.candidates.empty() ? given.candidates : std::span<const std::string>(query.candidates);
  std::string answer = p.text, truth = query.answers.empty() ? "" : query.answers[0];
  io::Json::Array choices;
  if (p.scores.size() > 1) {
    answer = candidates[static_cast<std::size_t>(chosen_candidate(p))];
    truth = query.label >= 0 ? candidates[static_cast<std::size_t>(query.label)] : truth;
    for (const std::size_t c : detail::best_first(p.scores)) {
      if (choices.size() == 5) break;
      choices.push_back(io::Json::Object{{"text", candidates[c]}, {"score", p.scores[c]}});
    }
  } else if (p.scores.size() == 1) {
    answer = truth;
  }
  const std::string& text = record.at("prompts").as_array()[0].as_string();
  const io::Json::Array& media = record.at("media").as_array();
  io::Json::Object shown{{"item", query.id},
                         {"right", place.right},
                         {"score", place.score},
                         {"prompt", detail::prompt_parts(model.prompts(), text, media)},
                         {"answer", answer},
                         {"truth", truth},
                         {"choices", std::move(choices)}};
  io::Json::Array looked;
  if (place.look && !query.media.empty() && media.size() <= 12) {
    Prompt prompt{text, {}};
    for (const io::Json& path : media) prompt.media.push_back({path.as_string(), query.media[0].video});
    for (const LookedWord& word : model.look(prompt, answer))
      looked.push_back(io::Json::Object{{"word", word.word},
                                        {"columns", word.columns},
                                        {"rows", word.rows},
                                        {"heat", io::Json::Array(word.heat.begin(), word.heat.end())}});
  }
  shown.push_back({"looked", std::move(looked)});
  return io::Json(std::move(shown));
}

}  // namespace flamingo
