#include <flamingo/eval/retrieval.hpp>

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

namespace retrieval_test {

using namespace flamingo;

TEST_CASE("recall counts questions whose right answer is among the first", "[retrieval]") {
  // Question q's right answer is answer q; it stands behind q wrong ones.
  std::vector<int> labels;
  for (int i = 0; i < 12; ++i) labels.push_back(i);
  const auto score = [](std::size_t q, std::size_t a) { return a == q ? 0.5 : (a + 12 - q) % 12 <= q ? 1.0 : 0.0; };
  const Recall r = recall(labels, labels, score);
  CHECK(r.questions == 12);
  CHECK(r.at_1 == Approx(1 / 12.0));
  CHECK(r.at_5 == Approx(5 / 12.0));
  CHECK(r.at_10 == Approx(10 / 12.0));
}

TEST_CASE("any of several right answers will do, and equal scores and NaN gain nothing", "[retrieval]") {
  const std::vector<int> questions{7}, answers{1, 7, 7, 2};
  const auto at_1 = [&](std::vector<double> scores) {
    return recall(questions, answers, [&](std::size_t, std::size_t a) { return scores[a]; }).at_1;
  };
  CHECK(at_1({0.1, 0.0, 0.9, 0.3}) == 1);
  CHECK(at_1({0.1, 0.9, 0.0, 0.3}) == 1);
  CHECK(at_1({0.9, 0.8, 0.0, 0.3}) == 0);
  CHECK(at_1({0.5, 0.5, 0.5, 0.5}) == 0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(at_1({0.1, nan, nan, 0.3}) == 0);
  CHECK(at_1({nan, 0.9, 0.0, 0.3}) == 0);
  CHECK_THROWS_WITH(recall(std::vector{3}, answers, [](auto, auto) { return 0; }),
                    "[retrieval] question 0 has no right answer: no label is 3");
}

TEST_CASE("chance is what orders drawn at random reach", "[retrieval]") {
  const std::vector<int> labels{0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
  const Recall one = chance(std::vector{0}, labels), two = chance(std::vector{3}, labels);
  CHECK(one.at_1 == Approx(1 / 20.0));
  CHECK(one.at_5 == Approx(5 / 20.0));
  CHECK(one.at_10 == Approx(10 / 20.0));
  CHECK(two.at_1 == Approx(2 / 20.0));
  CHECK(two.at_5 == Approx(1 - 15 * 14 / (20.0 * 19.0)));
  const Recall few = chance(std::vector{1}, std::vector{1, 2, 3});
  CHECK((few.at_5 == 1 && few.at_10 == 1));
}

TEST_CASE("retrieval goes both ways over cosines", "[retrieval]") {
  // Picture 0 is nearest to its text; picture 1 to picture 0's; each text to its own picture.
  const std::vector<float> pictures{1, 0, 0.8f, 0.6f}, texts{0.9f, 0.436f, 0, 1};
  const std::vector<int> labels{0, 1};
  const Retrieval r = retrieval<float>(pictures, labels, texts, labels, 2);
  CHECK(r.texts.at_1 == 0.5);
  CHECK(r.texts.at_5 == 1);
  CHECK(r.pictures.at_1 == 0.5);  // text 0 lies nearer to picture 1: 0.98 against 0.9
  CHECK_THROWS_WITH(retrieval<float>(pictures, labels, texts, labels, 3), Catch::Contains("expected 3 each"));
}

}  // namespace retrieval_test
