#include <flamingo/eval/metrics/cider.hpp>

#include <catch2/catch.hpp>

namespace cider_test {

using namespace flamingo;

TEST_CASE("a caption that is its only reference scores 10, one that shares nothing 0", "[eval][cider]") {
  const CaptionSets sets{{"a b c d", "x y", "p q r s"}, {{"a b c d"}, {"z w"}, {"s r q p"}}};
  const Scores scores = cider_d(sets);
  CHECK(scores.items[0] == Approx(10));
  CHECK(scores.items[1] == 0);
  CHECK(scores.items[2] == Approx(2.5));  // all words, no longer run
  CHECK(scores.all == Approx(12.5 / 3));
}

TEST_CASE("words of all items weigh nothing, and length counts by a Gaussian", "[eval][cider]") {
  // Every item has "a": its idf is 0. Of the first only "b" counts, with one bigram more than its reference.
  const CaptionSets sets{{"a b b", "a"}, {{"a b"}, {"a"}}};
  const Scores scores = cider_d(sets);
  // n = 1: min(2, 1) · 1 / (2 · 1) = 1/2; n = 2: g = {ab: log 2, bb: log 2}: 1 / (√2 · 1); times exp(-1/72).
  CHECK(scores.items[0] == Approx(10.0 / 4 * (0.5 + 1 / std::sqrt(2.0)) * std::exp(-1.0 / 72)));
  CHECK(scores.items[1] == 0);
  CHECK(cider_d({{"a b"}, {{"a b"}}}).all == 0);
}

}  // namespace cider_test
