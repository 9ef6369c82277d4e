#include <flamingo/infer/stop_text.hpp>

#include <catch2/catch.hpp>
#include <vector>

namespace stop_text_test {

using namespace flamingo;

TEST_CASE("A stop text is found wherever the pieces of the text were cut") {
  const std::vector<std::string> stops{"END", "\n\n", "NDX"};
  const std::string text = "one ENN ENDX";
  for (std::size_t searched = 0; searched <= text.size() - 2; ++searched) CHECK(found_stop(text, searched, stops) == 8);
  CHECK(found_stop("EN\nD ND", 0, stops) == std::string::npos);
  CHECK(found_stop("", 0, stops) == std::string::npos);
  CHECK(found_stop("anything", 0, {}) == std::string::npos);
}

TEST_CASE("What may be the beginning of a stop text is not decided") {
  const std::vector<std::string> stops{"</s>", "aab"};
  CHECK(decided("text", stops) == 4);
  CHECK(decided("text<", stops) == 4);
  CHECK(decided("text</s", stops) == 4);
  CHECK(decided("text</", std::vector<std::string>{"<x", "/"}) == 6);  // of one byte it has no beginning but itself
  CHECK(decided("text</t", stops) == 7);
  CHECK(decided("caaa", stops) == 2);  // the longest beginning that ends the text: aa
  CHECK(decided("a", stops) == 0);
}

TEST_CASE("A character is decided when it is whole") {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";  // a, é, €, a face
  const std::vector<std::size_t> ends{0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
  for (std::size_t n = 0; n <= text.size(); ++n) CHECK(decided(std::string_view(text).substr(0, n), {}) == ends[n]);
  CHECK(decided("a\xE2\x82", std::vector<std::string>{"\xE2\x82\xAC"}) == 1);
  CHECK(decided("\x80\x80\x80\x80", {}) == 4);  // no character at all: it waits for nothing
}

}  // namespace stop_text_test
