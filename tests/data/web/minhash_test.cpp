#include <flamingo/data/web/minhash.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <flamingo/core/random.hpp>

namespace minhash_test {

using namespace flamingo;
using namespace flamingo::web;

namespace {

/// `count` words by a seed, of which a share `changed` is another.
std::string text(std::uint64_t seed, int count, float changed = 0, std::uint64_t how = 1) {
  Random words(seed), changes(how, 7);
  std::string result;
  for (int i = 0; i < count; ++i) {
    const int word = words.below(5000), other = changes.below(5000);
    result += "w" + std::to_string(changes.uniform() < changed ? other : word) + ' ';
  }
  return result;
}
Signature signature(const std::string& text, std::size_t shingle = 5) {
  std::vector<Word> words;
  split_words(text, words);
  return MinHasher({.shingle = shingle})(words);
}

}  // namespace

TEST_CASE("a signature estimates the share of shingles in common", "[minhash]") {
  const std::string a = text(1, 1000), b = text(2, 1000);
  CHECK(similarity(signature(a), signature(a)) == 1);
  CHECK(similarity(signature(a), signature(b)) < 0.05);
  // One half of 1000 is another's: Jaccard 1/3, standard error 0.045.
  const std::string half = text(1, 500) + text(3, 500);
  CHECK(similarity(signature(a), signature(half)) == Approx(1.0 / 3).margin(0.14));
  CHECK(similarity(signature("A, cat; sat - on the mat."), signature("a cat sat on the mat")) == 1);
  CHECK(similarity(signature("one two"), signature("one three")) < 0.5);
  CHECK(signature("") == signature(" . , "));
}

TEST_CASE("clusters are the near-duplicates, and the first stands for all", "[minhash]") {
  constexpr int originals = 40, copies = 5;
  std::vector<Signature> signatures;
  for (int copy = 0; copy < copies; ++copy)
    for (int i = 0; i < originals; ++i)
      signatures.push_back(signature(text(static_cast<std::uint64_t>(i), 400, copy == 0 ? 0.f : 0.01f,
                                          static_cast<std::uint64_t>(copy * 100 + i))));
  Clusters clusters =
      near_duplicates(signatures.size(), [&](std::size_t i) -> const Signature& { return signatures[i]; });
  int right = 0;
  for (std::uint32_t i = 0; i < signatures.size(); ++i) {
    CHECK(clusters.first(i) % originals == i % originals);  // never another text
    right += clusters.first(i) == i % originals;
  }
  CHECK(right >= originals * copies - 2);
}

TEST_CASE("texts that are merely alike are kept apart", "[minhash]") {
  std::vector<Signature> signatures{signature(text(1, 300)), signature(text(1, 300, 0.3f)),
                                    signature(text(1, 300, 0.3f, 9))};
  Clusters clusters = near_duplicates(3, [&](std::size_t i) -> const Signature& { return signatures[i]; });
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(clusters.first(i) == i);
}

TEST_CASE("sets join by their smallest", "[minhash]") {
  Clusters sets(5);
  sets.join(4, 3);
  sets.join(3, 1);
  CHECK((sets.first(4) == 1 && sets.first(3) == 1 && sets.first(0) == 0 && sets.first(2) == 2));
  CHECK_THROWS_WITH(MinHasher({.shingle = 0}), "[minhash] a shingle of 0 words is none");
}

}  // namespace minhash_test
