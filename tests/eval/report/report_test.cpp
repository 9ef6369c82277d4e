#include <flamingo/eval/report/report.hpp>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "eval/protocol/made_up_plan.hpp"

namespace report_test {

using namespace flamingo;

namespace {

/// What tests/eval/report/read_page.py says of a page and the numbers behind it.
int checked(const tests::TemporaryFolder& folder, const std::string& html, const io::Json& results) {
  const auto page = folder.write("report.html", html), json = folder.write("results.json", results.dump(1));
  const std::string command = "python3 " FLAMINGO_TEST_DATA "/eval/report/read_page.py " + page.string() + " " +
                              json.string() + " > " + (folder.path() / "said").string();
  const int status = std::system(command.c_str());
  UNSCOPED_INFO(tests::read_bytes(folder.path() / "said"));
  return status;
}

io::Json results_of(const tests::MadeUpPlan& made) {
  tests::KnowingModel model;
  return PlanRunner(model, {.data = made.data, .out = made.out, .checkpoint = "<abc & \"co\">"},
                    [](const PlanProgress&) {})
      .run(made.plan);
}

}  // namespace

TEST_CASE("a report is a well-formed page of the very numbers", "[eval][report]") {
  const tests::MadeUpPlan made;
  const io::Json results = results_of(made);
  int thumbnails = 0, overlays = 0;
  const ReportPictures pictures{.thumbnail =
                                    [&](const std::string& path) {
                                      ++thumbnails;
                                      return path.ends_with(".png") ? "data:image/png;base64,AA==" : "";
                                    },
                                .overlay =
                                    [&](const std::string&, std::span<const double> heat, int columns, int rows) {
                                      ++overlays;
                                      CHECK(heat.size() == static_cast<std::size_t>(columns * rows));
                                      return "data:image/png;base64,AAAA";
                                    }};
  const std::string html = report_html(results, pictures);
  CHECK(checked(made.folder, html, results) == 0);
  CHECK(thumbnails > 20);
  CHECK(overlays > 4);
  for (const std::string_view part :
       {"<svg class=\"chart\"", "Names of things", "Which thing is it?", "nearest prototype", "Flamingo-80B",
        "OpenFlamingo-9B", "control: shuffled labels", "gone.jsonl is missing", "tanh of the gates",
        "&lt;abc &amp; &quot;co&quot;&gt;", "&lt;EOC&gt;", "class=\"query\"", "<h3>Best</h3>", "<h3>Right</h3>"})
    CHECK(html.find(part) != html.npos);
  CHECK(html.find("<abc") == html.npos);
  // Without pictures their names stand there.
  const std::string bare = report_html(results);
  CHECK(checked(made.folder, bare, results) == 0);
  CHECK(bare.find("<img") == bare.npos);
  CHECK(bare.find("[" + (made.data / "c0p3.png").string() + "]") != bare.npos);
}

TEST_CASE("the check of reports finds what is wrong with them", "[eval][report]") {
  const tests::MadeUpPlan made;
  const io::Json results = results_of(made);
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string html = report_html(results);
    const std::size_t at = html.find(from);
    REQUIRE(at != html.npos);
    return html.replace(at, from.size(), to);
  };
  CHECK(checked(made.folder, changed("</section>", ""), results) != 0);
  CHECK(checked(made.folder, changed("<data value=\"", "<data value=\"1"), results) != 0);
  CHECK(checked(made.folder, changed("href=\"#names\"", "href=\"x.css\""), results) != 0);
  CHECK(checked(made.folder, changed("scores/accuracy/mean", "scores/accuracy/men"), results) != 0);
}

}  // namespace report_test
