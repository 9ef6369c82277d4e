#include <flamingo/train/report.hpp>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <limits>
#include <regex>
#include <string>
#include <vector>

#include "io/files.hpp"

namespace report_test {

using namespace flamingo;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

std::size_t count(const std::string& text, const std::string& piece) {
  std::size_t n = 0;
  for (std::size_t at = text.find(piece); at != text.npos; at = text.find(piece, at + 1)) ++n;
  return n;
}
std::string written(Report& report) {
  const TemporaryFolder folder;
  report.write(folder.path() / "report.html");
  return read_bytes(folder.path() / "report.html");
}
/// The points of the curves that an SVG draws.
std::vector<std::vector<std::array<double, 2>>> drawn(const std::string& html) {
  std::vector<std::vector<std::array<double, 2>>> curves;
  const std::regex path("fill=\"none\"[^>]* d=\"([^\"]*)\""), point("[ML]([-0-9.]+) ([-0-9.]+)");
  for (std::sregex_iterator p(html.begin(), html.end(), path), end; p != end; ++p) {
    const std::string d = (*p)[1];
    curves.emplace_back();
    for (std::sregex_iterator q(d.begin(), d.end(), point); q != end; ++q)
      curves.back().push_back({std::stod((*q)[1]), std::stod((*q)[2])});
  }
  return curves;
}

}  // namespace

TEST_CASE("a report draws what the log says, one chart a beginning of names", "[report]") {
  const TemporaryFolder folder;
  {
    RunLog log(folder.path());
    for (long step = 1; step <= 5; ++step) {
      const double x = static_cast<double>(step);
      Measures measures{{"loss/pairs", 6 - x}, {"loss/pages", 2 * x}, {"rate", 1e-4}};
      if (step % 2) measures.push_back({"control/real", step == 3 ? std::numeric_limits<double>::infinity() : x});
      log.write(step, measures);
    }
  }
  const auto curves = curves_of(folder.path() / "log.jsonl");
  REQUIRE(curves.size() == 4);
  CHECK(
      (curves[0].name == "loss/pairs" && curves[0].points.size() == 5 && curves[0].points[4] == std::array{5.0, 1.0}));
  CHECK((curves[3].name == "control/real" && curves[3].points.size() == 2));

  const std::string html =
      written(Report("a <run>").charts(curves).text("5 & more").table({{"run", "loss"}, {"a", "1<2"}}));
  CHECK(html.starts_with("<!doctype html>"));
  CHECK(count(html, "a &lt;run>") == 2);
  CHECK((count(html, "<svg ") == 3 && count(html, "<figcaption>loss<") == 1 && count(html, "</main>") == 1));
  CHECK(
      (count(html, "pairs (last 1)") == 1 && count(html, "pages (last 10)") == 1 && count(html, "5 &amp; more") == 1));
  CHECK(count(html, "<th>run<th>loss<tr><td>a<td>1&lt;2") == 1);
  // It opens anywhere: nothing is fetched and nothing is run.
  CHECK((count(html, "http") == 0 && count(html, "<script") == 0 && count(html, "src=") == 0));

  const auto lines = drawn(html);
  REQUIRE(lines.size() == 4);
  REQUIRE((lines[0].size() == 5 && lines[1].size() == 5 && lines[3].size() == 2));
  // 1 .. 10 over one axis: pairs falls by a ninth of its height a step, pages rises by two.
  const double height = lines[1][0][1] - lines[1][4][1];
  for (std::size_t i = 1; i < 5; ++i) {
    CHECK(lines[0][i][1] - lines[0][i - 1][1] == Approx(height / 8).margin(0.2));
    CHECK(lines[1][i - 1][1] - lines[1][i][1] == Approx(height / 4).margin(0.2));
    CHECK(lines[0][i][0] == lines[1][i][0]);
    CHECK(lines[0][i][0] > lines[0][i - 1][0]);
  }
  for (const auto& p : lines[2]) CHECK(p[1] == lines[2][0][1]);  // a constant is a straight line inside the axes
}

TEST_CASE("a chart is a picture of its own", "[report]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "loss.svg";
  const std::vector<Curve> curves{{"a <b> & \"c\"", {{1, 4}, {2, 2}, {3, 1}}}, {"none", {}}};
  write_chart(path, "loss & more", curves);
  const std::string svg = read_bytes(path);
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"340\""));
  CHECK((count(svg, "loss &amp; more") == 1 && count(svg, "a &lt;b> &amp; &quot;c&quot; (last 1)") == 1));
  CHECK(drawn(svg) == drawn(written(Report("r").chart("loss", curves))));
  // As XML has it, which is stricter than HTML: every attribute is quoted, and all that is opened is closed.
  const std::regex tag("<(/?)([a-z]+)((?: [a-zA-Z-]+=\"[^\"<]*\")*)(/?)>");
  CHECK(std::regex_replace(svg, tag, "").find('<') == svg.npos);
  std::vector<std::string> open;
  for (std::sregex_iterator t(svg.begin(), svg.end(), tag), end; t != end; ++t) {
    if ((*t)[1].length() > 0) {
      REQUIRE_FALSE(open.empty());
      CHECK(open.back() == (*t)[2]);
      open.pop_back();
    } else if ((*t)[4].length() == 0) {
      open.push_back((*t)[2]);
    }
  }
  CHECK(open.empty());
}

TEST_CASE("long curves are drawn by means, empty and odd ones at all", "[report]") {
  Curve longest{"long", {}};
  for (int i = 0; i < 100000; ++i) longest.points.push_back({i * 1.0, (i % 2) * 1.0});
  const double inf = std::numeric_limits<double>::infinity();
  const std::string html = written(Report("r")
                                       .chart("a", {longest})
                                       .chart("b", {{"empty", {}}, {"one", {{3, -5}}}, {"none", {{1, inf}}}})
                                       .chart("c", {{"flat", {{1, 0}, {2, 0}}}})
                                       .chart("d", {}));
  CHECK(html.size() < 60000);
  const auto lines = drawn(html);
  REQUIRE(lines.size() == 3);
  CHECK((lines[0].size() > 300 && lines[0].size() <= 600));
  CHECK(lines[0][5][1] == Approx(lines[0][6][1]).margin(2));
  CHECK((lines[1].size() == 1 && lines[2].size() == 2));
  CHECK(html.find("nan") == html.npos);
}

}  // namespace report_test
