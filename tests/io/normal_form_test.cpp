#include <catch2/catch.hpp>

#include <iterator>
#include <string>

#include <flamingo/io/normal_form.hpp>

namespace normal_form_test {

using namespace flamingo::io;

namespace {

std::string utf8(std::u32string_view points) {
  std::string text;
  for (const char32_t c : points) append_utf8(text, c);
  return text;
}

}  // namespace

TEST_CASE("NFC composes, reorders marks and keeps what is excluded apart", "[io][normal_form]") {
  const auto is = [](std::u32string_view text, std::u32string_view expected) {
    CAPTURE(utf8(text));
    CHECK(nfc(utf8(text)) == utf8(expected));
    CHECK(nfc(utf8(expected)) == utf8(expected));
  };
  is(U"", U"");
  is(U"plain \u00e9", U"plain \u00e9");
  is(U"e\u0301", U"\u00e9");
  is(U"\u212b\u2126", U"\u00c5\u03a9");  // singletons: angstrom, ohm
  is(U"a\u0323\u0302", U"\u1ead");       // two marks, one after the other
  is(U"a\u0302\u0323", U"\u1ead");       // ... and the wrong way round
  is(U"\u1e69", U"\u1e69");              // s with two dots
  is(U"s\u0307\u0323", U"\u1e69");
  is(U"q\u0307\u0323", U"q\u0323\u0307");  // reordered, with nothing to compose
  is(U"e\u0301\u0301", U"\u00e9\u0301");   // the second is blocked
  is(U"\u0301e", U"\u0301e");              // begins with a mark
  is(U"\u0958", U"\u0915\u093c");          // a composition exclusion
  is(U"\u0344", U"\u0308\u0301");          // begins with a mark itself
  is(U"\ufb1d", U"\u05d9\u05b4");
  is(U"\u1112\u1161\u11ab\u1100\u1173\u11af", U"\ud55c\uae00");  // Hangul: lead, vowel, trail
  is(U"\uac00\u11a8", U"\uac01");
  is(U"\uac01\u11a8", U"\uac01\u11a8");              // no second trail
  is(U"\uf900\U0002f800", U"\u8c48\u4e3d");          // compatibility ideographs
  is(U"\ufb01\u00bd\uff46", U"\ufb01\u00bd\uff46");  // compatibility forms stay
  is(U"\u09c7\u09be", U"\u09cb");                    // a starter joins a starter
}

TEST_CASE("bytes that are no UTF-8 stay, and nothing joins over them", "[io][normal_form]") {
  CHECK(nfc("e\xff\xcc\x81") == "e\xff\xcc\x81");
  CHECK(nfc("\xe1\x84 e\xcc\x81") == "\xe1\x84 \xc3\xa9");
}

TEST_CASE("the tables of normal forms agree with each other", "[io][normal_form]") {
  const auto ascends = [](const auto& table) {
    for (std::size_t i = 1; i < std::size(table); ++i)
      if (table[i].whole <= table[i - 1].whole) return false;
    return true;
  };
  CHECK(ascends(flamingo::io::detail::compositions));
  CHECK(ascends(flamingo::io::detail::one_way_decompositions));
  // Composition undoes decomposition, and no excluded character comes out of it.
  bool all = true;
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    const std::string text = utf8(std::u32string(1, c)), once = nfc(text);
    const bool one_way =
        flamingo::io::detail::decomposition_in(flamingo::io::detail::one_way_decompositions, c) != nullptr;
    all = all && nfc(once) == once && one_way == (once != text);
    std::u32string parts;
    flamingo::io::detail::decompose(c, parts);
    all = all && nfc(utf8(parts)) == once;
  }
  CHECK(all);
}

}  // namespace normal_form_test
