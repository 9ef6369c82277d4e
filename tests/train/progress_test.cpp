#include <flamingo/train/progress.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <regex>
#include <sstream>
#include <string>

namespace progress_test {

using flamingo::Progress;

namespace {
bool matches(const std::string& text, const char* pattern) { return std::regex_match(text, std::regex(pattern)); }
}  // namespace

TEST_CASE("a line says what is done, how long it took and what is left", "[progress]") {
  std::ostringstream out;
  Progress progress(out, "train", 7, false, 0);
  progress.report(7, "loss 2.5");
  CHECK(matches(out.str(), R"(train 7/7  loss 2\.5  \d+:\d\d gone, 0:00 left\n)"));
}

TEST_CASE("a long rest is told in hours", "[progress]") {
  std::ostringstream out;
  Progress progress(out, "train", 1'000'000'000'000'000, false, 0);
  progress.report(1, "");
  CHECK(matches(out.str(), R"(train 1/1000000000000000    \d+:\d\d gone, \d+:\d\d:\d\d left\n)"));
}

TEST_CASE("what an earlier run did is no speed of this one", "[progress]") {
  std::ostringstream out;
  Progress progress(out, "train", 1000, false, 0);
  progress.report(500, "resumed", 500);
  CHECK(matches(out.str(), R"(train 500/1000  resumed  \d+:\d\d gone, 0:00 left\n)"));
}

TEST_CASE("lines come at intervals, and always at the end", "[progress]") {
  std::ostringstream out;
  Progress progress(out, "train", 5, false, 3600);
  for (long done = 1; done <= 5; ++done) progress.report(done, "");
  const std::string text = out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.starts_with("train 1/5 "));
  CHECK(text.find("\ntrain 5/5 ") != text.npos);
}

TEST_CASE("a terminal's line is rewritten in place and ends when the work does", "[progress]") {
  std::ostringstream out;
  Progress progress(out, "train", 5, true);
  progress.report(1, "");
  CHECK(out.str().starts_with("\r\x1b[Ktrain 1/5 "));
  CHECK(out.str().find('\n') == std::string::npos);
  progress.report(5, "");
  CHECK(out.str().ends_with(" left\n"));
}

}  // namespace progress_test
