#include <flamingo/eval/report/chart.hpp>

#include <catch2/catch.hpp>
#include <cstdlib>

namespace chart_test {

using namespace flamingo::report;

namespace {

/// The attribute of the n-th circle of a chart.
double circle(const std::string& svg, std::string_view attribute, int n) {
  std::size_t at = 0;
  for (int i = 0; i <= n; ++i) at = svg.find("<circle", at + 1);
  at = svg.find(std::string(attribute) + "=\"", at) + attribute.size() + 2;
  return std::strtod(svg.c_str() + at, nullptr);
}

}  // namespace

TEST_CASE("a chart stands at the heights of its scores", "[eval][chart]") {
  const std::string svg = chart({{"ours", {{0, 20, 18, 22}, {32, 80, 70, 90}, {4, 50, 50, 50}}, false},
                                 {"<theirs>", {{4, 60, 60, 60}}, true},
                                 {"nothing", {}, false}},
                                "Scores", "accuracy", 10);
  CHECK(circle(svg, "cx", 0) < circle(svg, "cx", 1));  // in the order of shots
  CHECK(circle(svg, "cx", 1) < circle(svg, "cx", 2));
  // Equal distances for equal differences: 20, 50, 80.
  CHECK(circle(svg, "cy", 0) - circle(svg, "cy", 1) == Approx(circle(svg, "cy", 1) - circle(svg, "cy", 2)).margin(0.2));
  CHECK(circle(svg, "cy", 3) < circle(svg, "cy", 1));  // 60 is above 50
  CHECK(svg.find("80.00 (70.00–90.00)") != svg.npos);
  CHECK(svg.find("&lt;theirs&gt;") != svg.npos);
  CHECK(svg.find("nothing") == svg.npos);
  CHECK(svg.find("class=\"level\"") != svg.npos);
  CHECK(chart({}, "", "").empty());
  // One point alone has no range to be drawn in: it stands where a number can be read, not at "–".
  const std::string one = chart({{"one", {{0, 5, 5, 5}}, false}}, "", "");
  CHECK(circle(one, "cx", 0) > 0);
  CHECK(circle(one, "cy", 0) > 0);
  CHECK(one.find("\"–\"") == one.npos);
  CHECK(one.find("one, 0 shots: 5.00 (5.00–5.00)") != one.npos);
  CHECK_THROWS_WITH(chart({{"a", {{0, 5, 6, 4}}, false}}, "", ""), "[chart] a point of a has the interval 6 to 4");
}

}  // namespace chart_test
