#include <flamingo/eval/report/html.hpp>

#include <catch2/catch.hpp>
#include <limits>

namespace html_test {

using namespace flamingo::report;

TEST_CASE("texts are safe in a page, numbers keep their value", "[eval][html]") {
  CHECK(escaped("<a href=\"x\">&amp;'") == "&lt;a href=&quot;x&quot;&gt;&amp;amp;'");
  CHECK(escaped("\x01ü\n") == "\xef\xbf\xbdü\n");
  CHECK(rounded(1.25, 1) == "1.2");
  CHECK(rounded(-std::numeric_limits<double>::infinity()) == "–");
  CHECK(exact(0.1) == "0.1");
  CHECK(std::stod(exact(100.0 / 3)) == 100.0 / 3);
  CHECK(number(100.0 / 3, "a/\"b\"", 2) ==
        "<data value=\"" + exact(100.0 / 3) + "\" data-path=\"a/&quot;b&quot;\">33.33</data>");
}

}  // namespace html_test
