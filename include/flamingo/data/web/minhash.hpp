/// Documents that are nearly the same: MinHash signatures (Broder 1997), and clusters of them in bounded memory.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/web/words.hpp>

namespace flamingo::web {

/// Two documents are compared where the values of one band are all the same: with similarity s that happens with
/// probability 1 - (1 - s^rows)^bands, here one half at s = 0.69 and 0.92 at s = 0.8. They are one where at least
/// `least_similarity` of all values agree, which estimates the share of shingles they have in common.
struct MinHashRules {
  static constexpr std::size_t bands = 14, rows = 8, values = bands * rows;
  std::size_t shingle = 5;  ///< words
  double least_similarity = 0.75;
};

using Signature = std::array<std::uint32_t, MinHashRules::values>;

namespace detail {

/// A word as documents are compared: ASCII letters low, digits, what is beyond ASCII; no punctuation. 0: nothing left.
constexpr std::uint64_t plain_hash(std::string_view word) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  bool any = false;
  for (char c : word) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 32);
    if (!((c & 0x80) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) continue;
    any = true;
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return any ? mixed(hash) | 1 : 0;
}

struct Permutations {
  Signature add{}, multiply{};
};
constexpr Permutations permutations = [] {
  Permutations p;
  for (std::size_t k = 0; k < p.add.size(); ++k) {
    p.add[k] = static_cast<std::uint32_t>(mixed(2 * k + 1));
    p.multiply[k] = static_cast<std::uint32_t>(mixed(2 * k + 2)) | 1;
  }
  return p;
}();

}  // namespace detail

/// Signatures of one document after another.
class MinHasher {
 public:
  explicit MinHasher(const MinHashRules& rules = {}) : rules_(rules) {
    check(rules.shingle > 0, "minhash", "a shingle of 0 words is none");
  }

  Signature operator()(std::span<const Word> words) {
    plain_.clear();
    for (const Word& word : words)
      if (const std::uint64_t hash = detail::plain_hash(word.text)) plain_.push_back(hash);
    Signature least;
    least.fill(std::numeric_limits<std::uint32_t>::max());
    const std::size_t length = std::min(rules_.shingle, plain_.size());
    for (std::size_t i = 0; length > 0 && i + length <= plain_.size(); ++i) {
      std::uint64_t shingle = 0;
      for (std::size_t k = i; k < i + length; ++k) shingle = detail::mixed(shingle * 3 + plain_[k]);
      const auto x = static_cast<std::uint32_t>(shingle >> 32);
      for (std::size_t k = 0; k < least.size(); ++k) {
        std::uint32_t y = (x + detail::permutations.add[k]) * detail::permutations.multiply[k];
        y = (y ^ y >> 15) * 0x2c1b3c6du;
        y ^= y >> 13;
        least[k] = std::min(least[k], y);
      }
    }
    return least;
  }

 private:
  MinHashRules rules_;
  std::vector<std::uint64_t> plain_;
};

/// The share of values that agree: an estimate of the Jaccard similarity of the shingles.
inline double similarity(const Signature& a, const Signature& b) {
  std::size_t same = 0;
  for (std::size_t k = 0; k < a.size(); ++k) same += a[k] == b[k];
  return static_cast<double>(same) / static_cast<double>(a.size());
}

/// Sets of numbers that were said to belong together; the smallest stands for its set.
class Clusters {
 public:
  explicit Clusters(std::size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), 0u); }

  std::uint32_t first(std::uint32_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(std::uint32_t a, std::uint32_t b) {
    a = first(a);
    b = first(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::uint32_t> parent_;
};

/// Clusters of `count` documents; `signature(i)` gives that of document i. The bands are taken one after another, so 12
/// bytes a document are held whatever their number; what it finds does not depend on how the documents were made.
template <class SignatureOf>
Clusters near_duplicates(std::size_t count, const SignatureOf& signature, const MinHashRules& rules = {}) {
  check(count < std::numeric_limits<std::uint32_t>::max(), "minhash", count, " documents, at most 2^32 - 2");
  constexpr std::size_t most_leaders = 8;  // of documents that meet by chance
  Clusters clusters(count);
  std::vector<std::uint64_t> keys(count);  // the band's hash, then the document
  std::vector<std::uint32_t> leaders;
  for (std::size_t band = 0; band < MinHashRules::bands; ++band) {
    for (std::size_t i = 0; i < count; ++i) {
      const Signature& values = signature(i);
      std::uint64_t hash = band;
      for (std::size_t k = 0; k < MinHashRules::rows; ++k)
        hash = detail::mixed(hash * 3 + values[band * MinHashRules::rows + k]);
      keys[i] = (hash & 0xffffffff00000000u) | i;
    }
    std::sort(keys.begin(), keys.end());
    for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
      leaders.clear();
      for (end = begin; end < count && keys[end] >> 32 == keys[begin] >> 32; ++end) {
        const auto document = static_cast<std::uint32_t>(keys[end]);
        bool found = false;
        for (const std::uint32_t leader : leaders) {
          found = clusters.first(leader) == clusters.first(document);
          if (!found && similarity(signature(leader), signature(document)) >= rules.least_similarity) {
            clusters.join(leader, document);
            found = true;
          }
          if (found) break;
        }
        if (!found && leaders.size() < most_leaders) leaders.push_back(document);
      }
    }
  }
  return clusters;
}

}  // namespace flamingo::web
