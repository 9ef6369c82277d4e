// The caption scores, VQA accuracy and areas under curves against what the originals computed.
#include <flamingo/eval/metrics/scores.hpp>

#include <catch2/catch.hpp>

#include "check/metrics.hpp"

namespace scores_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("metrics agree with the originals", "[eval][metrics]") {
  const MetricsReport golden = check_metrics(FLAMINGO_TEST_DATA "/goldens/metrics.json");
  CHECK(golden.first == "");
  CHECK(golden.wrong == 0);
  CHECK(golden.numbers > 300);
  CHECK(golden.texts > 200);
  CHECK(golden.left == " METEOR");
  const MetricsReport odd = check_metrics(FLAMINGO_TEST_DATA "/fixtures/eval/odd_metrics.json");
  CHECK(odd.first == "");
  CHECK(odd.wrong == 0);
  CHECK(odd.numbers > 400);
}

TEST_CASE("captions without references are refused", "[eval][metrics]") {
  CHECK_THROWS_WITH(cider_d({}), Catch::Contains("at least one"));
  CHECK_THROWS_WITH(bleu({{"a"}, {}}), Catch::Contains("1 candidates and references of 0 items"));
  CHECK_THROWS_WITH(rouge_l({{"a", "b"}, {{"a"}, {}}}), "[rouge] item 1 has no reference");
  CHECK(mean({}) == 0);
  CHECK(mean_of({1, 2}).all == 1.5);
}

}  // namespace scores_test
