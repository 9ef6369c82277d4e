#include <flamingo/eval/metrics/words.hpp>

#include <catch2/catch.hpp>

namespace words_test {

using namespace flamingo;
using List = std::vector<std::string>;

TEST_CASE("lower case is Unicode's", "[eval][words]") {
  CHECK(lower_case(std::string_view("ÀÉÎ Straße ŁŻ ΑΒΓ ЖЗ AbC 123 Ǆ")) == "àéî straße łż αβγ жз abc 123 ǆ");
  CHECK(lower_case(U'Ā') == U'ā');
  CHECK(lower_case(U'ā') == U'ā');
  CHECK(lower_case(U'Ÿ') == U'ÿ');
  CHECK(lower_case(U'\x1E9E') == U'ß');
  CHECK(lower_case(U'日') == U'日');
  CHECK(lower_case(std::string_view("A\xff\xC3")) == "a\xff\xC3");
  // No code point has a lower case that has another.
  int changing = 0, twice = 0;
  for (char32_t c = 0; c < 0x20000; ++c) {
    changing += lower_case(c) != c;
    twice += lower_case(lower_case(c)) != lower_case(c);
  }
  CHECK(changing == 1432);
  CHECK(twice == 0);
}

TEST_CASE("words stand between white space, pieces between separators", "[eval][words]") {
  CHECK(words_of(" a\tb\u00a0c\u3000d\x1f ") == List{"a", "b", "c", "d"});
  CHECK(words_of(" \n").empty());
  CHECK(pieces_of("a  b") == List{"a", "", "b"});
  CHECK(pieces_of("") == List{""});
  CHECK(pieces_of("a,b,", ',') == List{"a", "b", ""});
  CHECK(trimmed("\u2003 a b\u00a0\n") == "a b");
  CHECK(trimmed(" ") == "");
  CHECK(joined({"a", "b"}) == "a b");
  CHECK(joined({}) == "");
}

}  // namespace words_test
