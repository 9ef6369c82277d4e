#include <flamingo/train/schedule.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

using namespace flamingo;

namespace {

std::vector<double> golden(std::string_view name) {
  const io::MappedFile file(std::string(FLAMINGO_TEST_DATA) + "/goldens/schedules.json");
  std::vector<double> rates;
  const io::Json all = io::Json::parse(file.text(), "schedules.json");
  for (const io::Json& rate : all.at(name).as_array()) rates.push_back(rate.as_double());
  return rates;
}
void agree_with(std::string_view name, const Schedule& schedule, std::size_t steps) {
  const std::vector<double> expected = golden(name);
  REQUIRE(expected.size() >= steps);
  for (std::size_t i = 0; i < steps; ++i) {
    INFO(name << ", step " << i);
    CHECK(schedule.rate(static_cast<long>(i)) == Approx(3e-4 * expected[i]).epsilon(1e-12).margin(1e-18));
  }
}

}  // namespace

TEST_CASE("rates agree with transformers' schedules", "[schedule]") {
  constexpr auto cosine = Schedule::Shape::cosine;
  agree_with("constant_with_warmup_warmup5_total20", {.peak = 3e-4, .warmup = 5}, 22);
  agree_with("constant_with_warmup_warmup0_total10", {.peak = 3e-4, .warmup = 0}, 12);
  agree_with("cosine_warmup5_total20", {.peak = 3e-4, .warmup = 5, .shape = cosine, .steps = 20, .floor = 0}, 21);
  agree_with("cosine_warmup0_total10", {.peak = 3e-4, .warmup = 0, .shape = cosine, .steps = 10, .floor = 0}, 11);
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
