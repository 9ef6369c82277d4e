#include <catch2/catch.hpp>

#include <iterator>
#include <string>

#include <flamingo/io/unicode.hpp>

namespace unicode_test {

using namespace flamingo::io;

TEST_CASE("every code point goes through UTF-8 and back", "[io][unicode]") {
  bool all = true;
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    std::string text = "x";
    append_utf8(text, c);
    const CodePoint point = decode_utf8(text, 1);
    all = all && point.valid && point.value == c && point.length + 1 == text.size();
    text.pop_back();
    if (text.size() > 1) all = all && decode_utf8(text, 1).incomplete;
  }
  CHECK(all);
}

TEST_CASE("what is no UTF-8 is one invalid byte", "[io][unicode]") {
  for (std::string text : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3(", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe6(\x80",
                           "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    CAPTURE(text);
    const CodePoint point = decode_utf8(text, 0);
    CHECK_FALSE(point.valid);
    CHECK_FALSE(point.incomplete);
    CHECK(point.length == 1);
  }
}

TEST_CASE("categories", "[io][unicode]") {
  for (char32_t c : U"AZazªµºÀÿŒжαא語한ก\U00010348\U00020000")
    if (c != 0) CHECK(is_letter(c));
  for (char32_t c : U"0123456789²¼Ⅷ٣१１①\U0001d7d8")
    if (c != 0) CHECK((is_number(c) && !is_letter(c)));
  for (char32_t c : U" \t\n\r\v\f\u0085\u00a0\u1680\u2003\u2028\u202f\u205f\u3000")
    if (c != 0) CHECK((is_space(c) && !is_letter(c) && !is_number(c)));
  for (char32_t c : U"@[`{_'-!×÷€☃\u200b\u200d\u0301\u180e\ufeff😀")
    if (c != 0) CHECK((!is_space(c) && !is_letter(c) && !is_number(c)));
  CHECK_FALSE(is_letter(0));
  CHECK_FALSE(is_space(0));
}

TEST_CASE("characters of words", "[io][unicode]") {
  for (char32_t c : U"AZaz09_\u00e9\u65e5\u0301\u0903\u0663\u2167\u200d\u203f\u24b6\U0001f130")
    if (c != 0) CHECK(is_word(c));
  for (char32_t c : U" -.@[`{\u00b2\u00bd\u2460\u2014\u3000\U0001f600")
    if (c != 0) CHECK_FALSE(is_word(c));
}

TEST_CASE("the longest beginning of a character", "[io][unicode]") {
  CHECK(ill_formed_length("\xf0\x9f\x98", 0) == 3);
  CHECK(ill_formed_length("\xf0\x9f\x98z", 0) == 3);
  CHECK(ill_formed_length("\xf0\x9fz", 0) == 2);
  CHECK(ill_formed_length("a\xe6\x97\xe6", 1) == 2);
  CHECK(ill_formed_length("\xed\xa0\x80", 0) == 1);  // a surrogate
  CHECK(ill_formed_length("\x80\x80", 0) == 1);
  CHECK(ill_formed_length("\xff", 0) == 1);
}

TEST_CASE("the tables ascend without overlap", "[io][unicode]") {
  const auto ascends = [](const auto& table) {
    for (std::size_t i = 0; i < std::size(table); ++i)
      if (table[i].first > table[i].last || (i > 0 && table[i].first <= table[i - 1].last + 1)) return false;
    return true;
  };
  CHECK(ascends(letters));
  CHECK(ascends(numbers));
  CHECK(ascends(other_numbers));
  CHECK(ascends(marks));
}

}  // namespace unicode_test
