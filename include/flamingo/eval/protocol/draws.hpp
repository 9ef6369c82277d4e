/// Who is drawn: subsets of queries and supports, demonstrations, orders. Each draw is keyed by what it is for, so any
/// of them can be repeated alone.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>

namespace flamingo {

/// A stream for a purpose ("queries", "shots of 42") and a seed.
inline Random draw_for(std::uint64_t seed, std::string_view purpose) { return Random(seed, hash(purpose)); }

/// `count` different numbers of 0 .. of - 1 in a random order (the first steps of Fisher and Yates).
inline std::vector<std::size_t> drawn(Random random, std::size_t count, std::size_t of) {
  check(count <= of, "draws", "cannot draw ", count, " of ", of);
  std::vector<std::size_t> all(of);
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (std::size_t i = 0; i < count; ++i)
    std::swap(all[i], all[i + static_cast<std::size_t>(random.below(static_cast<int>(of - i)))]);
  all.resize(count);
  return all;
}

/// Orders of k demonstrations over which closed-ended answers are averaged: min(most, k!) of them, drawn anew each
/// time, the first the one they stand in.
inline std::vector<std::vector<std::size_t>> orders(Random random, std::size_t k, std::size_t most) {
  std::size_t possible = 1;
  for (std::size_t i = 2; i <= k && possible < most; ++i) possible *= i;
  std::vector<std::vector<std::size_t>> all(std::max<std::size_t>(1, std::min(most, possible)));
  for (std::vector<std::size_t>& order : all) {
    order.resize(k);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = k; i > 1 && &order != all.data(); --i)
      std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
  }
  return all;
}

/// The other item whose picture each of n items gets as a control: never its own (Sattolo's cycle). Of one item none
/// can be found.
inline std::vector<std::size_t> deranged(Random random, std::size_t n) {
  check(n > 1, "draws", "cannot give ", n, " item another's picture");
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (std::size_t i = n; i > 1; --i)
    std::swap(all[i - 1], all[static_cast<std::size_t>(random.below(static_cast<int>(i - 1)))]);
  return all;
}

/// Up to `each` numbers of every label, in a random order: supports and queries of classification.
inline std::vector<std::size_t> drawn_of_each(Random random, std::size_t each, const std::vector<int>& labels) {
  std::vector<std::size_t> found;
  std::vector<std::size_t> taken;
  for (const std::size_t i : drawn(random, labels.size(), labels.size())) {
    check(labels[i] >= 0, "draws", "item ", i, " has no label");
    const auto label = static_cast<std::size_t>(labels[i]);
    if (taken.size() <= label) taken.resize(label + 1, 0);
    if (taken[label] == each) continue;
    ++taken[label];
    found.push_back(i);
  }
  return found;
}

}  // namespace flamingo
