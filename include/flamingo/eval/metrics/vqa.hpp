/// VQA accuracy: answers made alike, and one counts as far as others gave it.
///
/// The rules are those of the evaluation of VQA (Antol et al. 2015) as OpenFlamingo runs it, quirks included, since
/// every published number follows them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/metrics/words.hpp>

namespace flamingo {

namespace detail {

// The tables of that evaluation.
constexpr std::pair<std::string_view, std::string_view> vqa_contractions[] = {{"aint", "ain't"},
                                                                              {"arent", "aren't"},
                                                                              {"cant", "can't"},
                                                                              {"couldve", "could've"},
                                                                              {"couldnt", "couldn't"},
                                                                              {"couldn'tve", "couldn't've"},
                                                                              {"couldnt've", "couldn't've"},
                                                                              {"didnt", "didn't"},
                                                                              {"doesnt", "doesn't"},
                                                                              {"dont", "don't"},
                                                                              {"hadnt", "hadn't"},
                                                                              {"hadnt've", "hadn't've"},
                                                                              {"hadn'tve", "hadn't've"},
                                                                              {"hasnt", "hasn't"},
                                                                              {"havent", "haven't"},
                                                                              {"hed", "he'd"},
                                                                              {"hed've", "he'd've"},
                                                                              {"he'dve", "he'd've"},
                                                                              {"hes", "he's"},
                                                                              {"howd", "how'd"},
                                                                              {"howll", "how'll"},
                                                                              {"hows", "how's"},
                                                                              {"Id've", "I'd've"},
                                                                              {"I'dve", "I'd've"},
                                                                              {"Im", "I'm"},
                                                                              {"Ive", "I've"},
                                                                              {"isnt", "isn't"},
                                                                              {"itd", "it'd"},
                                                                              {"itd've", "it'd've"},
                                                                              {"it'dve", "it'd've"},
                                                                              {"itll", "it'll"},
                                                                              {"let's", "let's"},
                                                                              {"maam", "ma'am"},
                                                                              {"mightnt", "mightn't"},
                                                                              {"mightnt've", "mightn't've"},
                                                                              {"mightn'tve", "mightn't've"},
                                                                              {"mightve", "might've"},
                                                                              {"mustnt", "mustn't"},
                                                                              {"mustve", "must've"},
                                                                              {"neednt", "needn't"},
                                                                              {"notve", "not've"},
                                                                              {"oclock", "o'clock"},
                                                                              {"oughtnt", "oughtn't"},
                                                                              {"ow's'at", "'ow's'at"},
                                                                              {"'ows'at", "'ow's'at"},
                                                                              {"'ow'sat", "'ow's'at"},
                                                                              {"shant", "shan't"},
                                                                              {"shed've", "she'd've"},
                                                                              {"she'dve", "she'd've"},
                                                                              {"she's", "she's"},
                                                                              {"shouldve", "should've"},
                                                                              {"shouldnt", "shouldn't"},
                                                                              {"shouldnt've", "shouldn't've"},
                                                                              {"shouldn'tve", "shouldn't've"},
                                                                              {"somebody'd", "somebodyd"},
                                                                              {"somebodyd've", "somebody'd've"},
                                                                              {"somebody'dve", "somebody'd've"},
                                                                              {"somebodyll", "somebody'll"},
                                                                              {"somebodys", "somebody's"},
                                                                              {"someoned", "someone'd"},
                                                                              {"someoned've", "someone'd've"},
                                                                              {"someone'dve", "someone'd've"},
                                                                              {"someonell", "someone'll"},
                                                                              {"someones", "someone's"},
                                                                              {"somethingd", "something'd"},
                                                                              {"somethingd've", "something'd've"},
                                                                              {"something'dve", "something'd've"},
                                                                              {"somethingll", "something'll"},
                                                                              {"thats", "that's"},
                                                                              {"thered", "there'd"},
                                                                              {"thered've", "there'd've"},
                                                                              {"there'dve", "there'd've"},
                                                                              {"therere", "there're"},
                                                                              {"theres", "there's"},
                                                                              {"theyd", "they'd"},
                                                                              {"theyd've", "they'd've"},
                                                                              {"they'dve", "they'd've"},
                                                                              {"theyll", "they'll"},
                                                                              {"theyre", "they're"},
                                                                              {"theyve", "they've"},
                                                                              {"twas", "'twas"},
                                                                              {"wasnt", "wasn't"},
                                                                              {"wed've", "we'd've"},
                                                                              {"we'dve", "we'd've"},
                                                                              {"weve", "we've"},
                                                                              {"werent", "weren't"},
                                                                              {"whatll", "what'll"},
                                                                              {"whatre", "what're"},
                                                                              {"whats", "what's"},
                                                                              {"whatve", "what've"},
                                                                              {"whens", "when's"},
                                                                              {"whered", "where'd"},
                                                                              {"wheres", "where's"},
                                                                              {"whereve", "where've"},
                                                                              {"whod", "who'd"},
                                                                              {"whod've", "who'd've"},
                                                                              {"who'dve", "who'd've"},
                                                                              {"wholl", "who'll"},
                                                                              {"whos", "who's"},
                                                                              {"whove", "who've"},
                                                                              {"whyll", "why'll"},
                                                                              {"whyre", "why're"},
                                                                              {"whys", "why's"},
                                                                              {"wont", "won't"},
                                                                              {"wouldve", "would've"},
                                                                              {"wouldnt", "wouldn't"},
                                                                              {"wouldnt've", "wouldn't've"},
                                                                              {"wouldn'tve", "wouldn't've"},
                                                                              {"yall", "y'all"},
                                                                              {"yall'll", "y'all'll"},
                                                                              {"y'allll", "y'all'll"},
                                                                              {"yall'd've", "y'all'd've"},
                                                                              {"y'alld've", "y'all'd've"},
                                                                              {"y'all'dve", "y'all'd've"},
                                                                              {"youd", "you'd"},
                                                                              {"youd've", "you'd've"},
                                                                              {"you'dve", "you'd've"},
                                                                              {"youll", "you'll"},
                                                                              {"youre", "you're"},
                                                                              {"youve", "you've"}};
constexpr std::pair<std::string_view, std::string_view> vqa_numbers[] = {
    {"none", "0"}, {"zero", "0"}, {"one", "1"},   {"two", "2"},   {"three", "3"}, {"four", "4"},
    {"five", "5"}, {"six", "6"},  {"seven", "7"}, {"eight", "8"}, {"nine", "9"},  {"ten", "10"}};
constexpr std::string_view vqa_punctuation = ";/[]\"{}()=+\\_-><@`,?!";

/// Python's \d at a place; its length in bytes, or 0.
inline std::size_t decimal_digit(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  const io::CodePoint point = io::decode_utf8(text, at);
  return point.valid && io::is_number(point.value) && io::is_word(point.value) ? point.length : 0;
}

/// Whether a comma stands between two digits.
inline bool has_digit_comma(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = decimal_digit(text, at);
    if (length && at + length < text.size() && text[at + length] == ',' && decimal_digit(text, at + length + 1))
      return true;
    at += length ? length : 1;
  }
  return false;
}

}  // namespace detail

/// Punctuation goes: without a trace where it touches a space or the text has a comma between digits, else for a space.
/// The first 32 periods that no digit follows go too (the original passes a flag where a count belongs).
inline std::string vqa_punctuation_removed(std::string_view text) {
  const bool numbers = detail::has_digit_comma(text);
  std::string left;
  for (const char c : text) {
    if (detail::vqa_punctuation.find(c) == std::string_view::npos) {
      left += c;
      continue;
    }
    const char after[] = {c, ' '}, before[] = {' ', c};
    const bool touches =
        text.find(std::string_view(after, 2)) != text.npos || text.find(std::string_view(before, 2)) != text.npos;
    if (!touches && !numbers) left += ' ';
  }
  std::string result;
  int periods = 0;
  for (std::size_t at = 0; at < left.size(); ++at) {
    const bool goes = left[at] == '.' && periods < 32 && !detail::decimal_digit(left, at + 1);
    periods += goes;
    if (!goes) result += left[at];
  }
  return result;
}

/// Lower case, numbers to ten as digits, no articles, contractions with their apostrophes.
inline std::string vqa_words_normalized(std::string_view text) {
  std::vector<std::string> kept;
  const auto look_up = [](const auto& table, std::string& word) {
    for (const auto& [from, to] : table)
      if (word == from) {
        word = to;
        return;
      }
  };
  for (std::string& word : words_of(lower_case(text))) {
    look_up(detail::vqa_numbers, word);
    if (word == "a" || word == "an" || word == "the") continue;
    look_up(detail::vqa_contractions, word);
    kept.push_back(std::move(word));
  }
  return joined(kept);
}

/// An answer as it is compared.
inline std::string vqa_normalized(std::string_view answer) {
  std::string text(answer);
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  return vqa_words_normalized(vqa_punctuation_removed(trimmed(text)));
}

/// Of one question: for each annotator min(1, others who gave the answer / 3), on average. Throws where nobody
/// answered.
inline double vqa_accuracy(std::string_view prediction, const std::vector<std::string>& answers) {
  check(!answers.empty(), "vqa", "a question has no answers, expected at least one");
  const std::string said = vqa_normalized(prediction);
  std::size_t same = 0;
  std::vector<char> matches;
  for (const std::string& answer : answers) {
    matches.push_back(vqa_normalized(answer) == said);
    same += matches.back() != 0;
  }
  double sum = 0;
  for (const char match : matches) sum += std::min(1.0, static_cast<double>(same - (match ? 1u : 0u)) / 3);
  return sum / static_cast<double>(answers.size());
}

/// 100 x, to two places, as the original reports accuracies.
inline double percent(double x) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.2f", 100 * x);
  return std::strtod(digits, nullptr);
}

}  // namespace flamingo
