/// Scores of short answers that are compared as they are: iVQA, MSVD-QA and MSRVTT-QA, multiple choice.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/metrics/words.hpp>

namespace flamingo {

/// iVQA (Yang et al. 2021): min(1, annotators who gave the answer / 2), in lower case. Throws where nobody answered.
inline double ivqa_accuracy(std::string_view prediction, const std::vector<std::string>& answers) {
  check(!answers.empty(), "ivqa", "a question has no answers, expected at least one");
  const std::string said = lower_case(trimmed(prediction));
  double same = 0;
  for (const std::string& answer : answers) same += lower_case(trimmed(answer)) == said;
  return std::min(1.0, same / 2);
}

/// Top-1 of open-ended answers: whether it is one of those expected, in lower case, white space around it aside.
inline double exact_match(std::string_view prediction, const std::vector<std::string>& answers) {
  check(!answers.empty(), "exact_match", "a question has no answers, expected at least one");
  const std::string said = lower_case(trimmed(prediction));
  return std::any_of(answers.begin(), answers.end(),
                     [&](const std::string& answer) { return lower_case(trimmed(answer)) == said; });
}

}  // namespace flamingo
