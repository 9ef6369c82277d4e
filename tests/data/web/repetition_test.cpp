#include <flamingo/data/web/repetition.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace repetition_test {

using namespace flamingo::web;

namespace {

/// `count` words of 10 letters that occur nowhere else.
std::string distinct(int count, const std::string& stem = "word") {
  std::string text;
  for (int i = 0; i < count; ++i) text += stem + std::to_string(i * 919 + 100'000) + ' ';
  return text;
}
RepetitionFault fault(const std::string& text, const RepetitionRules& rules = {}) {
  std::vector<Word> words;
  split_words(text, words);
  return RepetitionFinder(rules).fault(text, words);
}
/// Limits that nothing reaches.
RepetitionRules lax() {
  RepetitionRules rules{2, 2, 2, 2, {}, {}};
  rules.top_ngram_characters.fill(2);
  rules.duplicate_ngram_characters.fill(2);
  return rules;
}

}  // namespace

TEST_CASE("a text without repetition passes", "[repetition]") {
  CHECK(fault(distinct(500)) == RepetitionFault::none);
  CHECK(fault("") == RepetitionFault::none);
  CHECK(fault("one") == RepetitionFault::none);
}

TEST_CASE("lines and paragraphs are counted, and their characters", "[repetition]") {
  std::string text;
  for (int i = 0; i < 7; ++i) text += distinct(5, "line" + std::to_string(i)) + '\n';
  RepetitionRules rules = lax();
  rules.duplicate_lines = 0.3;
  CHECK(fault(text + "x\nx\nx\nx\n", rules) == RepetitionFault::none);                // 3 of 11 lines are copies
  CHECK(fault(text + "x\nx\nx\nx\nx\n", rules) == RepetitionFault::duplicate_lines);  // 4 of 12
  rules = lax();
  rules.duplicate_line_characters = 0.2;
  CHECK(fault(text + distinct(5, "line0") + '\n', rules) == RepetitionFault::none);
  CHECK(fault(text + distinct(5, "line0") + '\n' + distinct(5, "line1") + '\n', rules) ==
        RepetitionFault::duplicate_line_characters);
  rules = lax();
  rules.duplicate_paragraphs = 0.3;
  CHECK(fault("a\n\nb\n\nc\n\na\n", rules) == RepetitionFault::none);  // the end of line belongs to the last
  CHECK(fault("a\n\nb\n\na\n\nb", rules) == RepetitionFault::duplicate_paragraphs);
  rules = lax();
  rules.duplicate_paragraph_characters = 0.2;
  CHECK(fault("aaaaaaaa\n\nb\n\naaaaaaaa", rules) == RepetitionFault::duplicate_paragraph_characters);
}

TEST_CASE("the commonest words take their share", "[repetition]") {
  RepetitionRules rules = lax();
  rules.top_ngram_characters = {0.2, 0.18, 0.16};
  // "aa bb" takes 5 characters; n times of 5n + n - 1 + the rest.
  std::string text = distinct(40);  // 40 x 10 characters or so
  CHECK(fault(text, rules) == RepetitionFault::none);
  for (int i = 0; i < 15; ++i) text += "aaaa bbbb " + std::to_string(i) + "x ";
  CHECK(fault(text, rules) == RepetitionFault::top_2gram);
  rules.top_ngram_characters[0] = 2;
  CHECK(fault(text, rules) == RepetitionFault::none);
  for (int i = 0; i < 15; ++i) text += "aaaa bbbb cccc ";
  CHECK(fault(text, rules) == RepetitionFault::top_3gram);
}

TEST_CASE("words that come again are counted once each", "[repetition]") {
  RepetitionRules rules = lax();
  rules.duplicate_ngram_characters = {0.15, 0.14, 0.13, 0.12, 0.11, 0.10};
  const std::string text = distinct(70);                                           // 70 x 11 characters
  CHECK(fault(text + distinct(9), rules) == RepetitionFault::none);                // 9 words: 90 of 869
  CHECK(fault(text + distinct(11), rules) == RepetitionFault::duplicate_10grams);  // 10 of them: 100 of 891
  CHECK(fault(text + distinct(20), rules) == RepetitionFault::duplicate_5grams);   // 200 of 990
}

TEST_CASE("a finder's table serves one text after another", "[repetition]") {
  RepetitionFinder finder;
  std::vector<Word> words;
  const std::string bad = distinct(10) + distinct(10) + distinct(10), good = distinct(60);
  for (int i = 0; i < 3; ++i) {
    split_words(bad, words);
    CHECK(finder.fault(bad, words) != RepetitionFault::none);
    split_words(good, words);
    CHECK(finder.fault(good, words) == RepetitionFault::none);
  }
}

}  // namespace repetition_test
