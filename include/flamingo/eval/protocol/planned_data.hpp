/// The items of a planned task: read, labelled by the names that occur, or made into episodes.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/eval/protocol/episodes.hpp>
#include <flamingo/eval/protocol/evaluate.hpp>
#include <flamingo/eval/protocol/feature_index.hpp>
#include <flamingo/eval/protocol/task_plan.hpp>
#include <flamingo/eval/tasks/json_lines.hpp>

namespace flamingo {

/// What a planned task asks and shows.
class PlannedData {
 public:
  /// Reads the files of a task in a folder. `most_queries` bounds what a plan asks for; 0: it does not.
  PlannedData(const PlannedTask& task, const std::filesystem::path& folder, std::size_t most_queries = 0)
      : task_(task), items_(json_lines_items(folder / task.items, folder)) {
    check(!items_.empty(), "plan", (folder / task.items).string(), ": found no items");
    if (!task.support.empty()) support_ = json_lines_items(folder / task.support, folder);
    const auto bounded = [&](std::size_t queries, std::size_t all) {
      const std::size_t wanted = queries == 0 ? all : queries;
      return most_queries == 0 ? wanted : std::min(wanted, most_queries);
    };
    if (task.ways > 0) {
      task_.queries = bounded(task.queries, task.queries);
      bound_shots();
    } else {
      task_.queries = std::min(bounded(task.queries, items_.size()), items_.size());
      if (task_.queries == items_.size()) task_.queries = 0;  // all, in their order
      if (task.asking == Asking::choose) name_candidates();
      if (task.asking == Asking::likelihood)
        for (TaskItem& item : items_) {
          check(!item.answers.empty(), "plan", "item ", item.id, " of ", task.name, " has no answer to be likely");
          item.candidates = {item.answers[0]};
          item.label = 0;
        }
    }
  }

  /// The task, with its numbers of shots and queries bounded by what there is.
  const PlannedTask& task() const { return task_; }
  std::size_t queries() const { return task_.queries == 0 ? items_.size() : task_.queries; }
  std::span<const TaskItem> items() const { return items_; }
  /// What RICES searches: the support, or the episodes' own pictures.
  std::span<const TaskItem> searched() const { return task_.ways > 0 ? items_ : support_; }
  std::span<const std::string> candidates() const { return candidates_; }
  /// The score of who guesses, in per cent, where answers are chosen.
  std::optional<double> chance() const {
    if (task_.asking != Asking::choose) return {};
    if (task_.ways > 0) return 100.0 / task_.ways;
    double sum = 0;
    for (const TaskItem& item : items_)
      sum += 100.0 / static_cast<double>(item.candidates.empty() ? candidates_.size() : item.candidates.size());
    return sum / static_cast<double>(items_.size());
  }

  const Episodes& episodes(std::uint64_t seed) {
    auto& made = episodes_[seed];
    if (!made)
      made = std::make_unique<Episodes>(
          items_, EpisodeOptions{.ways = task_.ways,
                                 .most_shots = *std::max_element(task_.shots.begin(), task_.shots.end()),
                                 .episodes = task_.queries,
                                 .made_up_names = task_.made_up_names,
                                 .seed = seed});
    return *made;
  }

  /// What evaluate() needs. `index` is of searched().
  EvaluationData of(const EvaluationSettings& s, const FeatureIndex* index) {
    EvaluationData data{.queries = items_, .support = support_, .candidates = candidates_, .index = index};
    if (task_.ways > 0) {
      const Episodes& made = episodes(s.seed);
      data.queries = made.queries();
      data.shots = [&made, index](const TaskItem& query, const EvaluationSettings& settings) {
        return made.shots(query, settings.shots, settings.support, index);
      };
    }
    return data;
  }

 private:
  /// Candidates are the different first answers of the file, in order, unless the items bring their own.
  void name_candidates() {
    std::set<std::string> names;
    for (const TaskItem& item : items_)
      if (item.candidates.empty()) {
        check(!item.answers.empty(), "plan", "item ", item.id, " of ", task_.name, " has no answer to choose");
        names.insert(item.answers[0]);
      }
    candidates_.assign(names.begin(), names.end());
    const auto place = [&](const std::vector<std::string>& in, const TaskItem& item) {
      const auto at = std::find(in.begin(), in.end(), item.answers[0]);
      return at == in.end() ? -1 : static_cast<int>(at - in.begin());
    };
    for (TaskItem& item : items_)
      if (item.label < 0) item.label = place(item.candidates.empty() ? candidates_ : item.candidates, item);
  }
  /// Leaves out numbers of shots for which too few classes have pictures.
  void bound_shots() {
    std::map<std::string, int> pictures;
    for (const TaskItem& item : items_) ++pictures[item.type];
    std::erase_if(task_.shots, [&](int k) {
      return std::count_if(pictures.begin(), pictures.end(), [&](const auto& c) { return c.second > k; }) < task_.ways;
    });
    check(!task_.shots.empty(), "plan", "of ", task_.name, " fewer than ", task_.ways,
          " classes have pictures for the fewest shots");
    std::erase_if(task_.control_shots,
                  [&](int k) { return std::find(task_.shots.begin(), task_.shots.end(), k) == task_.shots.end(); });
  }

  PlannedTask task_;
  std::vector<TaskItem> items_, support_;
  std::vector<std::string> candidates_;
  std::map<std::uint64_t, std::unique_ptr<Episodes>> episodes_;
};

/// The class whose pictures' mean features are nearest to the query's by cosine: the score that features have by
/// themselves. `shown` are places in the index, with the class of each; -1 where nothing is shown.
inline int nearest_prototype(const FeatureIndex& index, std::span<const std::pair<std::size_t, int>> shown,
                             std::span<const float> query) {
  std::map<int, std::vector<double>> sums;
  for (const auto& [place, label] : shown) {
    std::vector<double>& sum = sums[label];
    const auto features = index.features_of(place);
    sum.resize(features.size(), 0.0);
    for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += static_cast<double>(features[d]);
  }
  int nearest = -1;
  double best = -2;
  for (const auto& [label, sum] : sums) {
    check(sum.size() == query.size(), "plan", "a query has ", query.size(), " features, the index ", sum.size());
    double product = 0, squares = 0, own = 0;
    for (std::size_t d = 0; d < sum.size(); ++d) {
      const double q = static_cast<double>(query[d]);
      product += sum[d] * q;
      squares += sum[d] * sum[d];
      own += q * q;
    }
    const double cosine = product / std::sqrt(std::max(squares * own, 1e-300));
    if (cosine > best) {
      best = cosine;
      nearest = label;
    }
  }
  return nearest;
}

}  // namespace flamingo
