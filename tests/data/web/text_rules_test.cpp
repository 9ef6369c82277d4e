#include <flamingo/data/web/text_rules.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace text_rules_test {

using namespace flamingo::web;

namespace {

TextFault broken_rule(const std::string& text, const TextRules& rules = {}) {
  std::vector<Word> words;
  split_words(text, words);
  return text_fault(text, words, rules);
}
std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}
const std::string good = repeated("the cat sat with its bowl and ", 8);  // 56 words

}  // namespace

TEST_CASE("words are what stands between white space, in code points", "[text_rules]") {
  std::vector<Word> words;
  split_words(" caf\xc3\xa9\tau\n\nlait ", words);
  REQUIRE(words.size() == 3);
  CHECK((words[0].text == "caf\xc3\xa9" && words[0].length == 4));
  CHECK((words[0].hash != words[1].hash && words[2].text == "lait"));
  split_words(" \n ", words);
  CHECK(words.empty());
}

TEST_CASE("each rule of MassiveText has its side of the limit", "[text_rules]") {
  CHECK(broken_rule(good) == TextFault::none);
  CHECK(broken_rule(repeated("the cat with ", 16)) == TextFault::too_few_words);  // 48
  CHECK(broken_rule(repeated("the cat with ", 17)) == TextFault::none);           // 51
  CHECK(broken_rule(repeated("the cat with ", 33'334)) == TextFault::too_many_words);
  CHECK(broken_rule(repeated("a of ", 30)) == TextFault::word_length);
  CHECK(broken_rule(repeated("incomprehensibilities and the ", 30)) == TextFault::none);  // mean 9
  CHECK(broken_rule(repeated("incomprehensibilities the ", 30)) == TextFault::word_length);
  CHECK(broken_rule(good + repeated("#", 5)) == TextFault::none);
  CHECK(broken_rule(good + repeated("#", 6)) == TextFault::hashes);
  CHECK(broken_rule(good + repeated("...", 3) + repeated("\xe2\x80\xa6", 2) + " end") == TextFault::none);
  CHECK(broken_rule(good + repeated("...", 3) + repeated("\xe2\x80\xa6", 3)) == TextFault::ellipses);
  const std::string line = "the cat with bowls\n";
  CHECK(broken_rule(repeated("- " + line, 18) + repeated(line, 2)) == TextFault::none);
  CHECK(broken_rule(repeated("\xe2\x80\xa2 " + line, 19) + line) == TextFault::bullet_lines);
  const std::string unfinished = "the cat with bowls and the cat with its...\n",
                    whole = "the cat with bowls and the cat with its.\n";
  CHECK(broken_rule(repeated(unfinished, 3) + repeated(whole, 7)) == TextFault::none);
  CHECK(broken_rule(repeated(unfinished, 4) + repeated(whole, 6)) == TextFault::ellipsis_lines);
  CHECK(broken_rule(repeated("the and with 1234 ", 15)) == TextFault::alphabetic_words);
  CHECK(broken_rule(repeated("the and with each 1234 ", 15)) == TextFault::none);
  CHECK(broken_rule(repeated("the cat sat here quietly today ", 10)) == TextFault::stop_words);
  CHECK(broken_rule(repeated("The cat sat here quietly today AND ", 10)) == TextFault::none);
}

TEST_CASE("letters beyond ASCII are letters, signs are not", "[text_rules]") {
  CHECK(detail::has_letter("\xd0\xb6"));
  CHECK(detail::has_letter("\xe4\xb8\xad"));
  CHECK(!detail::has_letter("\xe2\x80\x94"));
  CHECK(!detail::has_letter("\xc2\xa7"));
  CHECK(!detail::has_letter("12%"));
}

TEST_CASE("every number is a field", "[text_rules]") {
  CHECK(broken_rule("the cats with", {.least_words = 1}) == TextFault::none);
  CHECK(broken_rule("cat", {.least_words = 1, .least_stop_words = 0}) == TextFault::none);
  CHECK(name_of(TextFault::stop_words) == "stop_words");
}

}  // namespace text_rules_test
