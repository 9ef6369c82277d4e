#include <flamingo/eval/metrics/ranking.hpp>

#include <catch2/catch.hpp>
#include <limits>

namespace ranking_test {

using namespace flamingo;
using Labels = std::vector<int>;
using Numbers = std::vector<double>;

TEST_CASE("the area under the curve is the share of pairs in order", "[eval][ranking]") {
  const Labels labels{1, 0, 1, 0, 0, 1};
  const Numbers scores{0.5, 0.5, 2, -1, 0.7, 0.1};
  double pairs = 0;
  for (std::size_t p = 0; p < 6; ++p)
    for (std::size_t n = 0; n < 6; ++n)
      if (labels[p] && !labels[n]) pairs += scores[p] > scores[n] ? 1 : scores[p] == scores[n] ? 0.5 : 0;
  CHECK(roc_auc(labels, scores) == Approx(pairs / 9));
  CHECK(roc_auc(Labels{0, 1}, Numbers{3, 3}) == 0.5);
  CHECK_THROWS_WITH(roc_auc(Labels{1, 1}, Numbers{1, 2}), Catch::Contains("0 negatives"));
  CHECK_THROWS_WITH(roc_auc(Labels{1, 2}, Numbers{1, 2}), Catch::Contains("expected 0 or 1"));
  CHECK_THROWS_WITH(roc_auc(Labels{1, 0}, Numbers{1, std::numeric_limits<double>::quiet_NaN()}),
                    Catch::Contains("score 1 is not a number"));
  CHECK_THROWS_WITH(roc_auc(Labels{1}, Numbers{}), Catch::Contains("at least one"));
}

TEST_CASE("NDCG looks at as many places as there are relevant candidates", "[eval][ranking]") {
  const Numbers relevance{0, 0.4, 0, 1, 0.2};
  CHECK(ndcg(relevance, Numbers{0, 2, 1, 3, 1}) == Approx((1 + 0.4 / std::log2(3)) /  //
                                                          (1 + 0.4 / std::log2(3) + 0.2 / 2)));
  CHECK(ndcg(relevance, relevance) == 1);
  CHECK(ndcg(relevance, Numbers{9, 0, 8, 0, 7}) == Approx((0.2 / 2) / (1 + 0.4 / std::log2(3) + 0.1)));
  CHECK_THROWS_WITH(ndcg(Numbers{0, 0}, Numbers{1, 2}), "[ndcg] no candidate is relevant");
}

TEST_CASE("average precision puts equal scores together and weighs samples", "[eval][ranking]") {
  CHECK(average_precision(Labels{1, 0, 1, 0}, Numbers{4, 3, 2, 1}) == Approx((1 + 2 / 3.0) / 2));
  CHECK(average_precision(Labels{1, 0, 1}, Numbers{1, 1, 1}) == Approx(2 / 3.0));
  CHECK(average_precision(Labels{0, 1, 1}, Numbers{3, 2, 1}, Numbers{0.5, 1, 0.5}) ==
        Approx((1 * (1 / 1.5) + 0.5 * (1.5 / 2)) / 1.5));
  CHECK_THROWS_WITH(average_precision(Labels{0}, Numbers{1}), Catch::Contains("no positive"));
}

TEST_CASE("top-k takes the first of equal scores", "[eval][ranking]") {
  const Numbers scores{1, 3, 3, 0, 2, -1, 3};
  CHECK(in_top(1, scores, 1));
  CHECK_FALSE(in_top(1, scores, 2));
  CHECK(in_top(2, scores, 2));
  CHECK(top_1_and_5(scores, 1) == 1);
  CHECK(top_1_and_5(scores, 0) == 0.5);
  CHECK(top_1_and_5(scores, 3) == 0);
  CHECK_FALSE(in_top(7, Numbers{std::numeric_limits<double>::quiet_NaN()}, 0) != in_top(2, Numbers{NAN}, 0));
  CHECK_THROWS_WITH(in_top(1, scores, 7), Catch::Contains("7 classes"));
}

}  // namespace ranking_test
