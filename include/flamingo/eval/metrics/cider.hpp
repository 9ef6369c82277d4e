/// CIDEr-D (Vedantam et al. 2015): how far the tf-idf of a caption's n-grams agrees with its references'.
///
/// For n = 1..4: g_k(c) = count_k(c) · log(items / items whose references have k); then
///   10/4 · Σ_n mean over references r of exp(-(l_c - l_r)² / 2σ²) · min(g(c), g(r)) · g(r) / (‖g(c)‖ ‖g(r)‖),
/// σ = 6, where l counts bigrams, as the code of COCO does.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <flamingo/eval/metrics/ngrams.hpp>
#include <flamingo/eval/metrics/scores.hpp>

namespace flamingo {

namespace detail {

/// In how many items some reference has an n-gram.
class DocumentFrequency {
 public:
  explicit DocumentFrequency(const std::vector<std::vector<Ngrams>>& references)
      : items_(std::log(static_cast<double>(references.size()))) {
    for (const std::vector<Ngrams>& of_item : references)
      for (std::size_t n = 0; n < Ngrams::longest; ++n) {
        std::unordered_set<std::string> seen;
        for (const Ngrams& reference : of_item)
          for (const auto& [run, count] : reference.counts[n])
            if (seen.insert(run).second) ++frequency_[n][run];
      }
  }
  /// log(items / frequency); what no reference has counts as if one had it.
  double inverse(std::size_t n, const std::string& run) const {
    const auto found = frequency_[n].find(run);
    return items_ - (found == frequency_[n].end() ? 0 : std::log(static_cast<double>(found->second)));
  }

 private:
  double items_;
  std::array<std::unordered_map<std::string, int>, Ngrams::longest> frequency_;
};

}  // namespace detail

/// Tokenised captions -> CIDEr-D of each item and their mean. Of a single item every idf is 0, and so is the score.
inline Scores cider_d(const CaptionSets& sets, double sigma = 6) {
  sets.check_sizes("cider");
  std::vector<std::vector<Ngrams>> references;
  for (const std::vector<std::string>& of_item : sets.references)
    references.emplace_back(of_item.begin(), of_item.end());
  const detail::DocumentFrequency idf(references);
  const auto norm = [&](const Ngrams& caption, std::size_t n) {
    double square = 0;
    for (const auto& [run, count] : caption.counts[n]) square += std::pow(count * idf.inverse(n, run), 2);
    return std::sqrt(square);
  };
  const auto bigrams = [](const Ngrams& caption) {
    return static_cast<double>(caption.words < 2 ? 0 : caption.words - 1);
  };
  std::vector<double> scores;
  for (std::size_t i = 0; i < references.size(); ++i) {
    const Ngrams candidate(sets.candidates[i]);
    double sum = 0;
    for (const Ngrams& reference : references[i]) {
      const double longer = bigrams(candidate) - bigrams(reference);
      const double alike = std::exp(-longer * longer / (2 * sigma * sigma));
      for (std::size_t n = 0; n < Ngrams::longest; ++n) {
        double product = 0;
        for (const auto& [run, count] : candidate.counts[n]) {
          const auto found = reference.counts[n].find(run);
          if (found == reference.counts[n].end()) continue;
          const double weight = idf.inverse(n, run);
          product += std::min(count, found->second) * weight * found->second * weight;
        }
        const double norms = norm(candidate, n) * norm(reference, n);
        sum += alike * (norms > 0 ? product / norms : product);
      }
    }
    scores.push_back(10 * sum / (Ngrams::longest * static_cast<double>(references[i].size())));
  }
  return mean_of(std::move(scores));
}

}  // namespace flamingo
