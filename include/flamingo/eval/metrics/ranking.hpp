/// Scores of rankings: ROC-AUC, NDCG of dialogues, weighted average precision, top-k accuracy.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

namespace detail {

inline void check_scores(std::string_view metric, std::span<const double> scores, std::size_t labels) {
  check(!scores.empty() && scores.size() == labels, metric, "there are ", scores.size(), " scores and ", labels,
        " labels, expected one of each, at least one");
  for (std::size_t i = 0; i < scores.size(); ++i)
    check(!std::isnan(scores[i]), metric, "score ", i, " is not a number");
}

/// Places from the best score to the worst; equal ones in their order.
inline std::vector<std::size_t> best_first(std::span<const double> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  return order;
}

}  // namespace detail

/// The area under the curve of true over false positives: the share of pairs (positive, negative) in their right order,
/// equal scores counting half. Throws where one of the labels (0 and 1) does not occur.
inline double roc_auc(std::span<const int> labels, std::span<const double> scores) {
  detail::check_scores("roc_auc", scores, labels.size());
  const std::vector<std::size_t> order = detail::best_first(scores);
  double positives = 0, negatives = 0, area = 0;
  for (std::size_t first = 0, end; first < order.size(); first = end) {
    double here[2] = {0, 0};  // of equal scores, how many are negative and positive
    for (end = first; end < order.size() && scores[order[end]] == scores[order[first]]; ++end) {
      const int label = labels[order[end]];
      check(label == 0 || label == 1, "roc_auc", "label ", order[end], " is ", label, ", expected 0 or 1");
      here[label] += 1;
    }
    area += here[0] * (positives + here[1] / 2);
    positives += here[1];
    negatives += here[0];
  }
  check(positives > 0 && negatives > 0, "roc_auc", "there are ", positives, " positives and ", negatives,
        " negatives, expected at least one of each");
  return area / (positives * negatives);
}

/// Of VisDial: among as many first places as candidates are relevant at all, Σ relevance / log2(place + 1), as a share
/// of the best ranking's. Throws where no candidate is relevant.
inline double ndcg(std::span<const double> relevance, std::span<const double> scores) {
  detail::check_scores("ndcg", scores, relevance.size());
  std::size_t relevant = 0;
  for (const double r : relevance) {
    check(r >= 0, "ndcg", "a relevance is ", r, ", expected 0 or more");
    relevant += r > 0;
  }
  check(relevant > 0, "ndcg", "no candidate is relevant");
  const auto gain = [&](const std::vector<std::size_t>& order) {
    double sum = 0;
    for (std::size_t place = 0; place < relevant; ++place)
      sum += relevance[order[place]] / std::log2(static_cast<double>(place) + 2);
    return sum;
  };
  return gain(detail::best_first(scores)) / gain(detail::best_first(relevance));
}

/// Average precision: the mean over positives of the share of positives among what stands no later; equal scores stand
/// together. Samples may weigh more or less than 1.
inline double average_precision(std::span<const int> labels, std::span<const double> scores,
                                std::span<const double> weights = {}) {
  detail::check_scores("average_precision", scores, labels.size());
  check(weights.empty() || weights.size() == scores.size(), "average_precision", "there are ", weights.size(),
        " weights, expected none or ", scores.size());
  const std::vector<std::size_t> order = detail::best_first(scores);
  double found = 0, seen = 0, sum = 0;
  for (std::size_t first = 0, end; first < order.size(); first = end) {
    double here = 0;
    for (end = first; end < order.size() && scores[order[end]] == scores[order[first]]; ++end) {
      const double weight = weights.empty() ? 1 : weights[order[end]];
      here += labels[order[end]] != 0 ? weight : 0;
      seen += weight;
    }
    found += here;
    if (seen > 0) sum += here * found / seen;
  }
  check(found > 0, "average_precision", "there is no positive");
  return sum / found;
}

/// Whether the right label is among the k best, the first of equal scores being the better.
inline bool in_top(std::size_t k, std::span<const double> scores, std::size_t label) {
  check(label < scores.size(), "top_k", "the label is ", label, ", there are ", scores.size(), " classes");
  std::size_t before = 0;
  for (std::size_t i = 0; i < scores.size(); ++i)
    before += scores[i] > scores[label] || (scores[i] == scores[label] && i < label) || std::isnan(scores[label]);
  return before < k;
}

/// Kinetics' score of one picture or video: the mean of top-1 and top-5.
inline double top_1_and_5(std::span<const double> scores, std::size_t label) {
  return (in_top(1, scores, label) + in_top(5, scores, label)) / 2.0;
}

}  // namespace flamingo
