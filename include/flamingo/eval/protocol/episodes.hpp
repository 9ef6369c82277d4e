/// N-way episodes: a handful of classes that a model was never trained on, K pictures of each shown with a name, one
/// more to be named.
///
/// All numbers of shots ask the same queries about the same classes, and what K shots show is among what more show, so
/// that scores compare in pairs.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/protocol/draws.hpp>
#include <flamingo/eval/protocol/feature_index.hpp>
#include <flamingo/eval/protocol/plan.hpp>
#include <flamingo/eval/tasks/item.hpp>

namespace flamingo {

struct EpisodeOptions {
  int ways = 5;
  int most_shots = 8;  ///< of each class: classes of fewer pictures, and the one that is asked, are not drawn
  std::size_t episodes = 200;
  bool made_up_names = false;  ///< words that mean nothing instead of the classes' names: what is known must be read
  std::uint64_t seed = 0;
};

/// A word of two or three syllables that no language has; another one for each draw.
inline std::string made_up_word(Random& random) {
  constexpr std::string_view first = "bdfgklmnprstvz", vowels = "aeiou", last = "bdgklmnprstx";
  const auto one = [&](std::string_view of) {
    return of[static_cast<std::size_t>(random.below(static_cast<int>(of.size())))];
  };
  std::string word;
  for (int syllables = 1 + random.below(2); syllables > 0; --syllables) {
    word += one(first);
    word += one(vowels);
  }
  word += one(first);
  word += one(vowels);
  return word + one(last);
}

/// Episodes out of items of classes: an item's `type` is its class, its first answer the class's name.
class Episodes {
 public:
  Episodes(std::span<const TaskItem> items, const EpisodeOptions& options) : items_(items), options_(options) {
    check(options.ways > 1 && options.most_shots >= 0, "episodes", "there are ", options.ways, " ways and ",
          options.most_shots, " shots, expected at least 2 ways and 0 shots");
    std::map<std::string, std::vector<std::size_t>> of_class;
    for (std::size_t i = 0; i < items.size(); ++i) {
      check(!items[i].type.empty() && !items[i].answers.empty(), "episodes", "item ", items[i].id,
            " has no type, which tells its class, or no answer, which names it");
      of_class[items[i].type].push_back(i);
    }
    for (auto& [name, members] : of_class)
      if (members.size() > static_cast<std::size_t>(options.most_shots)) classes_.push_back(std::move(members));
    check(classes_.size() >= static_cast<std::size_t>(options.ways), "episodes", classes_.size(), " classes of ",
          of_class.size(), " have more than ", options.most_shots, " pictures, expected at least ", options.ways);
    for (std::size_t e = 0; e < options.episodes; ++e) draw(e);
  }

  /// One item for each episode, with the names of its classes as candidates, to be asked for EvaluationData::queries.
  const std::vector<TaskItem>& queries() const { return queries_; }
  std::size_t classes() const { return classes_.size(); }

  /// The demonstrations of an episode: `k` of each class, named. Random: in a random order; RICES: of each class those
  /// most like the query, the most similar last. `index` has the features of all items, in their order.
  std::vector<TaskItem> shots(const TaskItem& query, int k, Support support,
                              const FeatureIndex* index = nullptr) const {
    check(k >= 0 && k <= options_.most_shots, "episodes", k, " shots of each class, the episodes are made for up to ",
          options_.most_shots);
    const Episode& episode = of(query);
    std::vector<std::pair<std::size_t, std::size_t>> chosen;  // way, item
    if (support == Support::rices) {
      check(index && index->ids().size() == items_.size(), "episodes", "RICES needs the features of all ",
            items_.size(), " items");
      const std::vector<std::size_t> nearest =
          index->nearest(index->features_of(episode.query), items_.size() - 1, items_[episode.query].id);
      std::vector<int> taken(episode.members.size(), 0);
      for (auto i = nearest.rbegin(); i != nearest.rend(); ++i)
        for (std::size_t way = 0; way < episode.members.size(); ++way)
          if (taken[way] < k && items_[*i].type == items_[episode.members[way][0]].type) {
            ++taken[way];
            chosen.insert(chosen.begin(), {way, *i});
          }
    } else {
      for (std::size_t way = 0; way < episode.members.size(); ++way)
        for (std::size_t n = 0; n < static_cast<std::size_t>(k); ++n) chosen.push_back({way, episode.members[way][n]});
      const auto order = drawn(draw_for(options_.seed, "order of " + query.id), chosen.size(), chosen.size());
      auto ordered = chosen;
      for (std::size_t i = 0; i < order.size(); ++i) ordered[i] = chosen[order[i]];
      chosen = std::move(ordered);
    }
    std::vector<TaskItem> shown;
    for (const auto& [way, i] : chosen) {
      TaskItem shot = items_[i];
      shot.candidates = query.candidates;
      shot.label = static_cast<int>(way);
      shown.push_back(std::move(shot));
    }
    return shown;
  }

  /// The item that an episode asks about.
  const TaskItem& asked(const TaskItem& query) const { return items_[of(query).query]; }

 private:
  struct Episode {
    std::size_t query;
    std::vector<std::vector<std::size_t>> members;  ///< of each way, without the query, in the order they are shown
  };

  void draw(std::size_t e) {
    const std::string id = "episode " + std::to_string(e);
    Episode episode{};
    TaskItem query{.id = id};
    const auto ways = static_cast<std::size_t>(options_.ways);
    Random random = draw_for(options_.seed, id);
    const auto asked = static_cast<std::size_t>(random.below(options_.ways));
    // Classes of one name cannot be told apart by it.
    for (const std::size_t c : drawn(draw_for(options_.seed, "classes of " + id), classes_.size(), classes_.size())) {
      const std::vector<std::size_t>& members = classes_[c];
      std::string name = items_[members[0]].answers[0];
      if (options_.made_up_names) name = made_up_word(random);
      if (std::find(query.candidates.begin(), query.candidates.end(), name) != query.candidates.end()) continue;
      const std::size_t way = query.candidates.size();
      query.candidates.push_back(name);
      auto& shown = episode.members.emplace_back();
      for (const std::size_t m : drawn(draw_for(options_.seed, "pictures of " + id + " " + items_[members[0]].type),
                                       members.size(), members.size()))
        shown.push_back(members[m]);
      if (way == asked) {
        episode.query = shown.back();
        shown.pop_back();
      }
      if (query.candidates.size() == ways) break;
    }
    check(query.candidates.size() == ways, "episodes", "the classes have fewer than ", ways, " different names");
    query.label = static_cast<int>(asked);
    query.media = items_[episode.query].media;
    query.type = items_[episode.query].type;
    query.answers = {query.candidates[asked]};
    places_[id] = episodes_.size();
    episodes_.push_back(std::move(episode));
    queries_.push_back(std::move(query));
  }
  const Episode& of(const TaskItem& query) const {
    const auto found = places_.find(query.id);
    check(found != places_.end(), "episodes", "there is no ", query.id);
    return episodes_[found->second];
  }

  std::span<const TaskItem> items_;
  EpisodeOptions options_;
  std::vector<std::vector<std::size_t>> classes_;
  std::vector<Episode> episodes_;
  std::vector<TaskItem> queries_;
  std::map<std::string, std::size_t> places_;
};

}  // namespace flamingo
