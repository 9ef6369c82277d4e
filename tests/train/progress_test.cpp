#include <flamingo/train/progress.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <regex>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

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

TEST_CASE("a rewritten line is whole before other words, and when the work stops on its way", "[progress]") {
  std::ostringstream out;
  {
    Progress progress(out, "train", 5, true, 0);
    progress.report(1, "a");
    progress.end_line();
    progress.end_line();
    out << "other words\n";
    progress.report(5, "b");
  }
  const std::string text = out.str();
  CHECK(text.find(" left\nother words\n\r") != text.npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  out.str("");
  { Progress(out, "train", 5, true).report(1, ""); }
  CHECK(out.str().ends_with(" left\n"));
}

TEST_CASE("a line that a terminal would break is cut between characters", "[progress]") {
  std::string line = "12345\u00e9";
  const auto cut = [&](int columns) {
    std::string copy = line;
    Progress::shorten(copy, columns);
    return copy;
  };
  CHECK((cut(0) == line && cut(8) == line && cut(7) == "12345" && cut(6) == "12345" && cut(3) == "12"));
}

TEST_CASE("a terminal is one that can rewrite lines: no pipe, no dumb one, no log of integration", "[progress]") {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 && (errno == ENOENT || errno == ENODEV)) {
    WARN("no pseudo-terminals here (/dev/pts): not asked");
    return;
  }
  REQUIRE((master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0));
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  REQUIRE(terminal >= 0);
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const auto with = [](const char* kind, const char* ci, int descriptor) {
    ::setenv("TERM", kind, 1);
    ::setenv("CI", ci, 1);
    return flamingo::rewrites_lines(descriptor);
  };
  CHECK(with("xterm", "", terminal));
  CHECK(!with("xterm", "", pipe[1]));
  CHECK(!with("dumb", "", terminal));
  CHECK(!with("xterm", "true", terminal));
  for (const int descriptor : {terminal, master, pipe[0], pipe[1]}) ::close(descriptor);
}

}  // namespace progress_test
