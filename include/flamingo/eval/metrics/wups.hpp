/// WUPS (Malinowski and Fritz 2014) as NExT-QA's open-ended questions are scored by it.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/metrics/wordnet.hpp>

namespace flamingo {

/// Of two words: 1 where they are the same, else Wu and Palmer's similarity of their first meanings, a tenth of it
/// below `threshold`; 0 where one of them has none.
inline double wups_of_words(const WordNet& wordnet, std::string_view a, std::string_view b, double threshold) {
  if (a == b) return 1;
  const auto first = wordnet.synsets(a), second = wordnet.synsets(b);
  if (first.empty() || second.empty()) return 0;
  const double alike = wordnet.similarity(first[0], second[0]).value_or(0);
  return alike < threshold ? 0.1 * alike : alike;
}

/// Of two answers as lists of words, lemmatised and without stop words as NExT-QA prepares them: the product over words
/// of one of their best similarity to a word of the other (words without any are passed over), the smaller of both
/// ways.
inline double wups(const WordNet& wordnet, const std::vector<std::string>& prediction,
                   const std::vector<std::string>& answer, double threshold = 0) {
  const auto one_way = [&](const std::vector<std::string>& from, const std::vector<std::string>& to) {
    double product = 1;
    bool any = false;
    for (const std::string& a : from) {
      double best = 0;
      for (const std::string& b : to) best = std::max(best, wups_of_words(wordnet, a, b, threshold));
      if (best == 0) continue;
      product *= best;
      any = true;
    }
    return any ? product : 0;
  };
  return std::min(one_way(prediction, answer), one_way(answer, prediction));
}

/// Of several right answers the best.
inline double wups(const WordNet& wordnet, const std::vector<std::string>& prediction,
                   const std::vector<std::vector<std::string>>& answers, double threshold = 0) {
  check(!answers.empty(), "wups", "a question has no answers, expected at least one");
  double best = 0;
  for (const std::vector<std::string>& answer : answers)
    best = std::max(best, wups(wordnet, prediction, answer, threshold));
  return best;
}

}  // namespace flamingo
