/// Nearest prototypes: what the features of pictures score by themselves, on the very same queries.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/eval/protocol/episodes.hpp>
#include <flamingo/eval/protocol/evaluate.hpp>
#include <flamingo/eval/protocol/feature_index.hpp>
#include <flamingo/eval/protocol/planned_data.hpp>
#include <flamingo/eval/protocol/task_score.hpp>

namespace flamingo {

/// Whether a task has prototypes: pictures are told apart by names that all items share, or by those of an episode.
inline bool has_prototypes(const PlannedData& data) {
  const PlannedTask& task = data.task();
  if (task.asking != Asking::choose || task.kind != TaskKind::classification || data.searched().empty()) return false;
  return std::all_of(data.items().begin(), data.items().end(), [&](const TaskItem& item) {
    return item.media.size() == 1 && !item.media[0].video && (task.ways > 0 || item.candidates.empty());
  });
}

struct PrototypeScore {
  int shots = -1;  ///< of each class; -1: the whole support
  TaskScores scores{};
};

/// Of each number of shots of episodes, or of the whole support, over all seeds. `features(item)` are a query's;
/// `index` is of data.searched(). Where nothing is shown the answer is wrong.
template <class Features>
std::vector<PrototypeScore> prototype_scores(PlannedData& data, const FeatureIndex& index, const Features& features) {
  using Shown = std::vector<std::pair<std::size_t, int>>;
  const PlannedTask& task = data.task();
  std::vector<PrototypeScore> all;
  const auto ask = [&](TaskScores& scores, const Shown& shown, const TaskItem& query, std::uint64_t seed) {
    const int found = nearest_prototype(index, shown, features(query));
    scores.items.push_back(found >= 0 && found == query.label ? 100 : 0);
    scores.ids.push_back(task.ways > 0 ? query.id + " of seed " + std::to_string(seed) : query.id);
  };
  if (task.ways == 0) {
    Shown shown;
    for (std::size_t i = 0; i < data.searched().size(); ++i) {
      const TaskItem& item = data.searched()[i];
      if (item.answers.empty()) continue;
      const auto at = std::find(data.candidates().begin(), data.candidates().end(), item.answers[0]);
      if (at != data.candidates().end()) shown.push_back({i, static_cast<int>(at - data.candidates().begin())});
    }
    PrototypeScore& of_all = all.emplace_back();
    for (const std::uint64_t seed : task.seeds)
      for (const TaskItem& query : drawn_queries(task.settings(0, Support::random, Control::none, seed), data.items()))
        ask(of_all.scores, shown, query, seed);
    return all;
  }
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < index.ids().size(); ++i) places[index.ids()[i]] = i;
  for (const int k : task.shots) {
    if (k == 0) continue;
    PrototypeScore& of_shots = all.emplace_back(PrototypeScore{.shots = k});
    for (const std::uint64_t seed : task.seeds) {
      const Episodes& episodes = data.episodes(seed);
      for (const TaskItem& query : episodes.queries()) {
        Shown shown;
        for (const TaskItem& shot : episodes.shots(query, k, Support::random))
          shown.push_back({places.at(shot.id), shot.label});
        ask(of_shots.scores, shown, query, seed);
      }
    }
  }
  return all;
}

}  // namespace flamingo
