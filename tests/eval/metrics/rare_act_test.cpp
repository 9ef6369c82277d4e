#include <flamingo/eval/metrics/rare_act.hpp>

#include <catch2/catch.hpp>

namespace rare_act_test {

using namespace flamingo;

TEST_CASE("each action ranks its clips and those of others, videos weighing alike", "[eval][rare_act]") {
  const std::vector<RareActClip> clips{{"u", "cut", "phone", 0, 1}, {"u", "cut", "phone", 0, 1},
                                       {"v", "cut", "phone", 0, 0}, {"w", "cut", "apple", 1, 1},
                                       {"x", "hit", "phone", 2, 3}, {"y", "hit", "bed", 3, 1}};
  // Columns: phone cut, apple cut, phone hit, bed hit. Scores of clips for each.
  const std::vector<double> scores{0.9, 0.1, 0, 0.8, 0.3, 0.7, 0, 0.1, 0.5, 0, 0, 0,
                                   0.6, 0.2, 0, 0,   0,   0,   0, 0,   0.1, 0, 0, 0.3};
  // cut phone: clips u u (half each), negatives v and y, hard w: order u(0.9) w v u y.
  const double phone = (0.5 * 1 + 0.5 * (1 / 3.0)) / 1;
  // cut apple: w 0.2 positive; hard: u u (0.1, 0.7, half each); negative y 0.
  const double apple = 1 / 1.5;
  // hit bed: y 0.3; negatives u u (0.8, 0.1) and w; hit phone has no positive and does not count.
  const double bed = 1 / 1.5;
  CHECK(rare_act_mwap(clips, scores, 4) == Approx((phone + apple + bed) / 3));
  CHECK_THROWS_WITH(rare_act_mwap(clips, scores, 3), Catch::Contains("expected 3 for each of 6 clips"));
}

}  // namespace rare_act_test
