/// ROUGE-L (Lin 2004) as COCO computes it: the longest common subsequence of words.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <flamingo/eval/metrics/scores.hpp>
#include <flamingo/eval/metrics/words.hpp>

namespace flamingo {

namespace detail {

inline std::size_t longest_common_subsequence(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::size_t> row(b.size() + 1, 0);  // row[j] of a's words so far and b's first j
  for (const std::string& word : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace detail

/// Tokenised captions -> (1 + β²) P R / (R + β² P) with the best precision P and the best recall R that any reference
/// gives, β = 1.2. Words are what single spaces divide, so of two empty captions one word agrees.
inline Scores rouge_l(const CaptionSets& sets, double beta = 1.2) {
  sets.check_sizes("rouge");
  std::vector<double> scores;
  for (std::size_t i = 0; i < sets.candidates.size(); ++i) {
    const std::vector<std::string> candidate = pieces_of(sets.candidates[i]);
    double precision = 0, recall = 0;
    for (const std::string& text : sets.references[i]) {
      const std::vector<std::string> reference = pieces_of(text);
      const auto common = static_cast<double>(detail::longest_common_subsequence(candidate, reference));
      precision = std::max(precision, common / static_cast<double>(candidate.size()));
      recall = std::max(recall, common / static_cast<double>(reference.size()));
    }
    scores.push_back(
        precision > 0 && recall > 0 ? (1 + beta * beta) * precision * recall / (recall + beta * beta * precision) : 0);
  }
  return mean_of(std::move(scores));
}

}  // namespace flamingo
