#include <flamingo/eval/metrics/bleu.hpp>

#include <catch2/catch.hpp>

namespace bleu_test {

using namespace flamingo;

TEST_CASE("precisions are clipped by the reference that has most, and short candidates pay", "[eval][bleu]") {
  const CaptionSets sets{{"the the the the", "a b c d"}, {{"the cat", "the the dog sat on"}, {"a b c d"}}};
  const auto scores = bleu(sets);
  CHECK(scores[0].items[0] == Approx(std::exp(1 - 5 / 4.0) * 2 / 4));
  CHECK(scores[3].items[1] == Approx(1));
  // Together: 6 of 8 words; the nearest reference of the first has 5 words.
  CHECK(scores[0].all == Approx(std::exp(1 - 9 / 8.0) * 6 / 8));
}

TEST_CASE("of references equally near in length the shorter counts, and a single item takes their mean",
          "[eval][bleu]") {
  const std::vector<std::string> references{"a b x y", "a b"};
  const auto two = bleu({{"a b c", "q"}, {references, {"q"}}});
  CHECK(two[0].items[0] == Approx(2 / 3.0));  // 2 words is the length, so nothing is paid
  const auto one = bleu({{"a b c"}, {{"a b x y z w", "a b"}}});
  CHECK(one[0].all == Approx(std::exp(1 - 4 / 3.0) * 2 / 3));
}

}  // namespace bleu_test
