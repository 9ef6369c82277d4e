#include <flamingo/eval/protocol/intervals.hpp>

#include <catch2/catch.hpp>

namespace intervals_test {

using namespace flamingo;

TEST_CASE("trials have Student's interval", "[eval][intervals]") {
  const Interval i = trials_interval({1, 2, 3, 4});
  CHECK(i.mean == 2.5);
  CHECK(i.high - i.mean == Approx(3.18245 * std::sqrt(5 / 3.0 / 4)));
  CHECK(i.mean - i.low == Approx(i.high - i.mean));
  CHECK(std::isinf(trials_interval({7}).high));
  CHECK_THROWS_AS(trials_interval({}), Error);
  CHECK(student_t_95(60) == Approx(2.00030).epsilon(1e-4));
  CHECK(student_t_95(31) == Approx(2.03951).epsilon(1e-4));
  CHECK(student_t_95(1000000) == Approx(1.959964).epsilon(1e-5));
}

TEST_CASE("the bootstrap finds the standard error of a mean", "[eval][intervals]") {
  std::vector<double> items;
  Random random(5);
  for (int i = 0; i < 400; ++i) items.push_back(static_cast<double>(random.uniform()));
  const auto score = [&](const std::vector<std::size_t>& places) {
    double sum = 0;
    for (const std::size_t i : places) sum += items[i];
    return sum / static_cast<double>(places.size());
  };
  const Interval i = bootstrap_interval(400, score, 2000, 1);
  CHECK(i.mean == Approx(mean(items)));
  // σ = 1/√12: ± 1.96 σ / 20; of 2,000 draws the percentiles vary by a few parts of a hundred.
  CHECK(i.high - i.low == Approx(2 * 1.96 / std::sqrt(12.0) / 20).epsilon(0.1));
  CHECK(bootstrap_interval(400, score, 2000, 1).low == i.low);
  CHECK_THROWS_AS(bootstrap_interval(0, score), Error);
}

}  // namespace intervals_test
