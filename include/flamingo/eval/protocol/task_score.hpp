/// The score of a run by a named metric, of each item and in all, and how sure it is.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/metrics/answers.hpp>
#include <flamingo/eval/metrics/cider.hpp>
#include <flamingo/eval/metrics/keywords.hpp>
#include <flamingo/eval/metrics/ptb_tokenizer.hpp>
#include <flamingo/eval/metrics/ranking.hpp>
#include <flamingo/eval/metrics/scores.hpp>
#include <flamingo/eval/metrics/vqa.hpp>
#include <flamingo/eval/protocol/intervals.hpp>
#include <flamingo/eval/tasks/item.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

/// Accuracies are in per cent, CIDEr-D is times 100 as papers print it, nats are of a token and less is better.
enum class TaskMetric : std::uint8_t { accuracy, top_5, balanced_accuracy, keyword_f1, cider, vqa_accuracy, nats };
inline constexpr TaskMetric task_metrics[] = {TaskMetric::accuracy,   TaskMetric::top_5, TaskMetric::balanced_accuracy,
                                              TaskMetric::keyword_f1, TaskMetric::cider, TaskMetric::vqa_accuracy,
                                              TaskMetric::nats};
constexpr std::string_view name_of(TaskMetric m) {
  constexpr std::string_view names[] = {"accuracy", "top-5",        "balanced accuracy", "keyword F1",
                                        "CIDEr-D",  "VQA accuracy", "nats a token"};
  return names[static_cast<std::size_t>(m)];
}
constexpr bool more_is_better(TaskMetric m) { return m != TaskMetric::nats; }

/// The place of the likeliest candidate.
inline int chosen_candidate(const Prediction& prediction) {
  check(!prediction.scores.empty(), "score", "item ", prediction.id, " has no scores of candidates");
  return static_cast<int>(std::max_element(prediction.scores.begin(), prediction.scores.end()) -
                          prediction.scores.begin());
}

/// Scores of each item. Their mean is the score of all, but for balanced accuracy: there `groups` tells the class of
/// each, and the score is the mean over classes of the means in them.
struct TaskScores {
  std::vector<double> items;
  std::vector<int> groups{};
  std::vector<std::string> ids{};  ///< of each; the same id: the same item, asked again; none: all are different

  /// Of some of the items (a place may be there several times).
  double of(std::span<const std::size_t> places) const {
    std::map<int, std::pair<double, double>> sums;
    for (const std::size_t i : places) {
      auto& [sum, count] = sums[groups.empty() ? 0 : groups[i]];
      sum += items[i];
      count += 1;
    }
    double total = 0;
    for (const auto& [group, sum] : sums) total += sum.first / sum.second;
    return sums.empty() ? 0 : total / static_cast<double>(sums.size());
  }
  /// Over different items: asking one again with other demonstrations tells nothing of others, so an item that is drawn
  /// comes with all of its scores.
  Interval interval(int draws = 1000) const {
    std::vector<std::vector<std::size_t>> places_of;
    std::map<std::string_view, std::size_t> known;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::size_t at = ids.empty() ? i : known.try_emplace(ids[i], places_of.size()).first->second;
      if (at == places_of.size()) places_of.emplace_back();
      places_of[at].push_back(i);
    }
    const auto score = [&](const std::vector<std::size_t>& drawn) {
      std::vector<std::size_t> places;
      for (const std::size_t i : drawn) places.insert(places.end(), places_of[i].begin(), places_of[i].end());
      return of(places);
    };
    return bootstrap_interval(places_of.size(), score, draws);
  }
  void add(const TaskScores& more) {
    check(items.empty() || ids.empty() == more.ids.empty(), "score", "some items have ids and others none");
    ids.insert(ids.end(), more.ids.begin(), more.ids.end());
    items.insert(items.end(), more.items.begin(), more.items.end());
    groups.insert(groups.end(), more.groups.begin(), more.groups.end());
  }
};

/// Throws where a prediction has not what the metric asks for, or an item no answer.
inline TaskScores task_scores(TaskMetric metric, std::span<const TaskItem> items,
                              std::span<const Prediction> predictions) {
  check_predictions(items, predictions);
  TaskScores scores;
  for (const TaskItem& item : items) scores.ids.push_back(item.id);
  if (metric == TaskMetric::cider) {
    CaptionSets sets;
    for (std::size_t i = 0; i < items.size(); ++i) {
      sets.candidates.push_back(predictions[i].text);
      sets.references.push_back(caption_tokens(items[i].answers));
    }
    sets.candidates = caption_tokens(sets.candidates);
    scores.items = cider_d(sets).items;
    for (double& x : scores.items) x *= 100;
    return scores;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    const TaskItem& item = items[i];
    const Prediction& p = predictions[i];
    const bool closed = !p.scores.empty();
    check(!closed || metric == TaskMetric::nats || item.label >= 0, "score", "item ", item.id,
          " has candidates and no label");
    switch (metric) {
      case TaskMetric::accuracy:
      case TaskMetric::balanced_accuracy:
        scores.items.push_back(
            100 * (closed ? (chosen_candidate(p) == item.label ? 1.0 : 0.0) : exact_match(p.text, item.answers)));
        if (metric == TaskMetric::balanced_accuracy) {
          check(item.label >= 0, "score", "item ", item.id, " has no label: balanced accuracy is a mean over them");
          scores.groups.push_back(item.label);
        }
        break;
      case TaskMetric::top_5:
        check(closed, "score", "item ", item.id, " has no scores of candidates: top-5 needs them");
        scores.items.push_back(in_top(5, p.scores, static_cast<std::size_t>(item.label)) ? 100 : 0);
        break;
      case TaskMetric::keyword_f1:
        scores.items.push_back(100 * keyword_f1(p.text, item.answers));
        break;
      case TaskMetric::vqa_accuracy:
        scores.items.push_back(100 * vqa_accuracy(p.text, item.answers));
        break;
      default:
        check(p.scores.size() == 1, "score", "item ", item.id, " has ", p.scores.size(),
              " scores: nats are of one text");
        scores.items.push_back(-p.scores[0]);
    }
  }
  return scores;
}

}  // namespace flamingo
