/// What a metric returns: the score of each item, and the score of all.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

struct Scores {
  double all = 0;             ///< the mean over items, or a corpus's own score
  std::vector<double> items;  ///< in their order
};

/// The mean of numbers; 0 of none.
inline double mean(const std::vector<double>& numbers) {
  double sum = 0;
  for (const double x : numbers) sum += x;
  return numbers.empty() ? 0 : sum / static_cast<double>(numbers.size());
}

/// Scores whose whole is their mean.
inline Scores mean_of(std::vector<double> items) { return {mean(items), std::move(items)}; }

/// Captions to be scored, tokenised (caption_tokens): one candidate an item and at least one reference.
struct CaptionSets {
  std::vector<std::string> candidates;
  std::vector<std::vector<std::string>> references;

  void check_sizes(std::string_view metric) const {
    check(!candidates.empty() && candidates.size() == references.size(), metric, "there are ", candidates.size(),
          " candidates and references of ", references.size(), " items, expected one candidate an item, at least one");
    for (std::size_t i = 0; i < references.size(); ++i)
      check(!references[i].empty(), metric, "item ", i, " has no reference");
  }
};

}  // namespace flamingo
