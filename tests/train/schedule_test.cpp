#include <flamingo/train/schedule.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include "check/schedules.hpp"
#include "support/golden.hpp"

namespace schedule_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("rates agree with transformers' schedules", "[schedule][golden]") {
  int compared = 0;
  for (const ScheduleReport& r : check_schedules(golden_path("schedules.json"))) {
    INFO(r.name << ", step " << r.worst_step);
    CHECK(r.steps > 10);
    CHECK(r.worst < 1e-12);
    ++compared;
  }
  CHECK(compared == 6);
}

TEST_CASE("the default is the paper's: 5000 steps up to 1e-4, then constant", "[schedule]") {
  const Schedule paper;
  CHECK(paper.rate(1) == Approx(2e-8));
  CHECK(paper.rate(2500) == Approx(5e-5));
  for (const long step : {5000L, 5001L, 500000L}) CHECK(paper.rate(step) == 1e-4);
}

TEST_CASE("a cosine ends at its floor and stays there", "[schedule]") {
  const Schedule s{.peak = 2, .warmup = 3, .shape = Schedule::Shape::cosine, .steps = 13, .floor = 0.25};
  CHECK(s.rate(3) == 2);
  CHECK(s.rate(8) == Approx(2 * (0.25 + 0.75 / 2)));
  for (const long step : {13L, 14L, 1000L}) CHECK(s.rate(step) == Approx(0.5));
  const Schedule none{.peak = 2, .warmup = 3, .shape = Schedule::Shape::cosine, .steps = 3};  // nothing left to fall
  CHECK(none.rate(4) == 2);
}

TEST_CASE("an exponential falls by the same factor at every step, to its floor", "[schedule]") {
  const Schedule s{.peak = 2, .warmup = 4, .shape = Schedule::Shape::exponential, .steps = 14, .floor = 1e-3};
  CHECK((s.rate(2) == 1 && s.rate(4) == 2));
  for (long step = 4; step < 14; ++step) CHECK(s.rate(step + 1) / s.rate(step) == Approx(std::pow(1e-3, 0.1)));
  for (const long step : {14L, 15L, 1000L}) CHECK(s.rate(step) == Approx(2e-3));
}

}  // namespace schedule_test
