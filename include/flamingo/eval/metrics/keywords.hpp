/// Words that carry meaning, in common: a score of short captions where CIDEr's statistics have little to count.
#pragma once
#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// The different words of letters and digits in lower case, without articles and the commonest prepositions. Other
/// scripts than Latin have none here.
inline std::set<std::string> keywords(std::string_view text) {
  constexpr std::array<std::string_view, 9> empty_words{"a", "an", "the", "of", "with", "and", "in", "on", "for"};
  std::set<std::string> words;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const auto c = static_cast<unsigned char>(i < text.size() ? text[i] : ' ');
    if (std::isalnum(c)) {
      word += static_cast<char>(std::tolower(c));
      continue;
    }
    if (!word.empty() && std::find(empty_words.begin(), empty_words.end(), word) == empty_words.end())
      words.insert(word);
    word.clear();
  }
  return words;
}

/// 2 |common| / (|said| + |true|) over keywords; 1 where neither has any.
inline double keyword_f1(std::string_view said, std::string_view expected) {
  const auto a = keywords(said), b = keywords(expected);
  if (a.empty() && b.empty()) return 1;
  double common = 0;
  for (const std::string& word : a) common += static_cast<double>(b.count(word));
  return 2 * common / static_cast<double>(a.size() + b.size());
}

/// The best over several answers. Throws where there is none.
inline double keyword_f1(std::string_view said, const std::vector<std::string>& answers) {
  check(!answers.empty(), "keyword_f1", "an item has no answers, expected at least one");
  double best = 0;
  for (const std::string& answer : answers) best = std::max(best, keyword_f1(said, answer));
  return best;
}

}  // namespace flamingo
