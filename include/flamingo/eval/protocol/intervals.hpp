/// How sure a score is: intervals over trials, and over the items of one trial.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/eval/metrics/scores.hpp>

namespace flamingo {

/// A mean, and where 95 % of such intervals hold the true one.
struct Interval {
  double mean = 0, low = 0, high = 0;
  std::size_t count = 0;
};

/// Student's t: the value that |t| of that many degrees of freedom exceeds with probability 5 %.
inline double student_t_95(std::size_t degrees) {
  constexpr double table[] = {12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600, 2.26216, 2.22814,
                              2.20099, 2.17881, 2.16037, 2.14479, 2.13145, 2.11991, 2.10982, 2.10092, 2.09302, 2.08596,
                              2.07961, 2.07387, 2.06866, 2.06390, 2.05954, 2.05553, 2.05183, 2.04841, 2.04523, 2.04227};
  check(degrees > 0, "intervals", "there are no degrees of freedom");
  if (degrees <= std::size(table)) return table[degrees - 1];
  const double z = 1.959964, n = static_cast<double>(degrees);  // Cornish and Fisher
  return z + (z * z * z + z) / (4 * n) + (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
}

/// Of independent trials: mean ± t s / √n. Of a single one nothing is known: its interval is infinite.
inline Interval trials_interval(const std::vector<double>& scores) {
  check(!scores.empty(), "intervals", "there are no trials");
  Interval i{.mean = mean(scores), .count = scores.size()};
  if (scores.size() == 1) {
    i.low = -std::numeric_limits<double>::infinity();
    i.high = std::numeric_limits<double>::infinity();
    return i;
  }
  double squares = 0;
  for (const double x : scores) squares += (x - i.mean) * (x - i.mean);
  const double n = static_cast<double>(scores.size());
  const double half = student_t_95(scores.size() - 1) * std::sqrt(squares / (n - 1) / n);
  i.low = i.mean - half;
  i.high = i.mean + half;
  return i;
}

/// Of the items of one trial, by the bootstrap: score(places of the drawn items) of `draws` resamples with replacement,
/// between the 2.5th and 97.5th percentile; the mean is the score of all. For metrics of a whole (CIDEr, ROC-AUC) too.
template <class Score>
Interval bootstrap_interval(std::size_t items, const Score& score, int draws = 1000, std::uint64_t seed = 0) {
  check(items > 0 && draws >= 40, "intervals", "there are ", items, " items and ", draws,
        " draws, expected items and at least 40 draws");
  std::vector<std::size_t> places(items);
  for (std::size_t i = 0; i < items; ++i) places[i] = i;
  Interval interval{.mean = score(places), .count = items};
  Random random(seed, hash("bootstrap"));
  std::vector<double> scores;
  for (int draw = 0; draw < draws; ++draw) {
    for (std::size_t& place : places) place = static_cast<std::size_t>(random.below(static_cast<int>(items)));
    scores.push_back(score(places));
  }
  std::sort(scores.begin(), scores.end());
  const auto at = [&](double share) {
    return scores[static_cast<std::size_t>(std::lround(share * static_cast<double>(draws - 1)))];
  };
  interval.low = at(0.025);
  interval.high = at(0.975);
  return interval;
}

}  // namespace flamingo
