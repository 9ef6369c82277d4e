/// BLEU-1 to BLEU-4 (Papineni et al. 2002) as COCO computes them: Π_n precision_n^(1/N), times exp(1 - reference length
/// / length) where the candidate is shorter.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/eval/metrics/ngrams.hpp>
#include <flamingo/eval/metrics/scores.hpp>

namespace flamingo {

namespace detail {

/// What counts of a candidate, or of all.
struct BleuCounts {
  std::array<double, Ngrams::longest> matches{}, runs{};
  double length = 0, reference_length = 0;

  /// BLEU-1 to BLEU-4. The small numbers are those of the original: they keep 0 / 0 away and show in scores of 1e-8.
  std::array<double, Ngrams::longest> scores() const {
    constexpr double least = 1e-9, tiny = 1e-15;
    std::array<double, Ngrams::longest> bleu{};
    const double ratio = (length + tiny) / (reference_length + least);
    double product = 1;
    for (std::size_t n = 0; n < bleu.size(); ++n) {
      product *= (matches[n] + tiny) / (runs[n] + least);
      bleu[n] = std::pow(product, 1 / static_cast<double>(n + 1)) * (ratio < 1 ? std::exp(1 - 1 / ratio) : 1);
    }
    return bleu;
  }
};

}  // namespace detail

/// Tokenised captions -> BLEU-1 to BLEU-4; `all` is that of the whole corpus. The reference length is that of the
/// reference nearest in length (the shorter of two), or where there is one item alone the mean of all.
inline std::array<Scores, Ngrams::longest> bleu(const CaptionSets& sets) {
  sets.check_sizes("bleu");
  std::array<Scores, Ngrams::longest> result;
  detail::BleuCounts total;
  for (std::size_t i = 0; i < sets.candidates.size(); ++i) {
    const Ngrams candidate(sets.candidates[i]);
    std::vector<Ngrams> references(sets.references[i].begin(), sets.references[i].end());
    detail::BleuCounts counts{.length = static_cast<double>(candidate.words)};
    std::pair<double, double> nearest{INFINITY, 0};
    double lengths = 0;
    for (const Ngrams& reference : references) {
      const auto length = static_cast<double>(reference.words);
      nearest = std::min(nearest, std::pair(std::abs(length - counts.length), length));
      lengths += length;
    }
    counts.reference_length =
        sets.candidates.size() == 1 ? lengths / static_cast<double>(references.size()) : nearest.second;
    for (std::size_t n = 0; n < Ngrams::longest; ++n) {
      counts.runs[n] = candidate.words > n ? static_cast<double>(candidate.words - n) : 0;
      for (const auto& [run, count] : candidate.counts[n]) {
        int most = 0;
        for (const Ngrams& reference : references)
          if (const auto found = reference.counts[n].find(run); found != reference.counts[n].end())
            most = std::max(most, found->second);
        counts.matches[n] += std::min(count, most);
      }
      total.matches[n] += counts.matches[n];
      total.runs[n] += counts.runs[n];
    }
    total.length += counts.length;
    total.reference_length += counts.reference_length;
    const auto scores = counts.scores();
    for (std::size_t n = 0; n < Ngrams::longest; ++n) result[n].items.push_back(scores[n]);
  }
  const auto scores = total.scores();
  for (std::size_t n = 0; n < Ngrams::longest; ++n) result[n].all = scores[n];
  return result;
}

}  // namespace flamingo
