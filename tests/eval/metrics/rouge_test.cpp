#include <flamingo/eval/metrics/rouge.hpp>

#include <catch2/catch.hpp>

namespace rouge_test {

using namespace flamingo;

TEST_CASE("precision and recall may come from different references", "[eval][rouge]") {
  // LCS with the first: a c (2 of 4, 2 of 2), with the second: a b (2 of 4, 2 of 5).
  const Scores scores = rouge_l({{"a b c d"}, {{"a c", "a x b y z"}}});
  const double p = 0.5, r = 1, b = 1.44;
  CHECK(scores.all == Approx((1 + b) * p * r / (r + b * p)));
  CHECK(rouge_l({{"x"}, {{"y"}}}).all == 0);
  CHECK(rouge_l({{""}, {{""}}}).all == 1);
  CHECK(detail::longest_common_subsequence({"a", "b", "a", "c"}, {"b", "c", "a", "c"}) == 3);
}

}  // namespace rouge_test
