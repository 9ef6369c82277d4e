/// Mean weighted average precision of RareAct (Miech et al. 2020): each action retrieves its clips.
#pragma once
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/eval/metrics/ranking.hpp>

namespace flamingo {

/// A clip that was shown for an action. Annotation 1: it is that action; 0: neither verb nor noun fit; 2 to 4: one of
/// them does, or both but not together.
struct RareActClip {
  std::string video, verb, noun;
  int action = 0;  ///< the column of the scores
  int annotation = 0;
};

/// scores[clip * actions + action] -> the mean over actions with positives of their average precision. A clip of an
/// action is also a negative of every other: a hard one where verb or noun is the same. Within positives, negatives and
/// hard negatives each video weighs 1, divided among its clips.
inline double rare_act_mwap(std::span<const RareActClip> clips, std::span<const double> scores, int actions) {
  const auto width = static_cast<std::size_t>(actions);
  check(actions > 0 && scores.size() == clips.size() * width, "rare_act", "there are ", scores.size(),
        " scores, expected ", actions, " for each of ", clips.size(), " clips");
  enum Kind : std::size_t { positive, negative, hard };
  using Action = std::pair<std::string, std::string>;
  std::map<Action, std::array<std::vector<std::size_t>, 3>> groups;
  std::map<Action, std::size_t> columns;
  for (const RareActClip& clip : clips) {
    check(clip.action >= 0 && clip.action < actions && clip.annotation >= 0 && clip.annotation <= 4, "rare_act",
          "a clip of video ", clip.video, " has action ", clip.action, " and annotation ", clip.annotation,
          ", expected actions below ", actions, " and annotations 0 to 4");
    columns[{clip.verb, clip.noun}] = static_cast<std::size_t>(clip.action);
    groups[{clip.verb, clip.noun}];
  }
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const RareActClip& clip = clips[i];
    auto& own = groups[{clip.verb, clip.noun}];
    if (clip.annotation != 1) {
      own[clip.annotation == 0 ? negative : hard].push_back(i);
      continue;
    }
    own[positive].push_back(i);
    for (auto& [action, group] : groups) {
      const bool verb = action.first == clip.verb, noun = action.second == clip.noun;
      if (!(verb && noun)) group[verb || noun ? hard : negative].push_back(i);
    }
  }
  double sum = 0;
  int counted = 0;
  for (const auto& [action, group] : groups) {
    if (group[positive].empty()) continue;
    std::vector<int> labels;
    std::vector<double> values, weights;
    for (const Kind kind : {positive, negative, hard}) {
      std::map<std::string, int> clips_of;
      for (const std::size_t i : group[kind]) ++clips_of[clips[i].video];
      for (const std::size_t i : group[kind]) {
        labels.push_back(kind == positive);
        values.push_back(scores[i * width + columns[action]]);
        weights.push_back(1.0 / clips_of[clips[i].video]);
      }
    }
    sum += average_precision(labels, values, weights);
    ++counted;
  }
  check(counted > 0, "rare_act", "no clip is positive");
  return sum / counted;
}

}  // namespace flamingo
