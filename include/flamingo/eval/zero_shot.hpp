/// Zero-shot classification (Radford et al. 2021): a class is the mean of its name's embeddings in several sentences,
/// and a picture belongs to the class whose mean is nearest.
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/retrieval.hpp>

namespace flamingo {

/// Each name in each template, in the place of its "{}", name by name: "A photo of a {}". Throws where a template has
/// no place or several.
inline std::vector<std::string> prompts(std::span<const std::string> names, std::span<const std::string> templates) {
  std::vector<std::string> all;
  for (const std::string& sentence : templates) {
    const std::size_t at = sentence.find("{}");
    check(at != sentence.npos && sentence.find("{}", at + 2) == sentence.npos, "zero_shot", "the template '", sentence,
          "' must have one {}, in the place of a class's name");
  }
  for (const std::string& name : names)
    for (const std::string& sentence : templates) {
      const std::size_t at = sentence.find("{}");
      all.push_back(sentence.substr(0, at) + name + sentence.substr(at + 2));
    }
  return all;
}

/// Embeddings of prompts (classes * templates, J) -> of classes (classes, J): their means, of length 1.
template <class R>
std::vector<R> class_embeddings(std::span<const R> prompts, int templates, int J) {
  const auto width = static_cast<std::size_t>(J), each = width * static_cast<std::size_t>(templates);
  check(templates > 0 && J > 0 && prompts.size() % each == 0, "zero_shot", "there are ", prompts.size(),
        " numbers, expected ", templates, " embeddings of ", J, " for each class");
  std::vector<R> classes;
  for (std::size_t first = 0; first < prompts.size(); first += each) {
    std::vector<double> sum(width, 0.0);
    double squares = 0;
    for (std::size_t i = 0; i < each; ++i) sum[i % width] += static_cast<double>(prompts[first + i]);
    for (const double x : sum) squares += x * x;
    for (const double x : sum) classes.push_back(static_cast<R>(x / (squares > 0 ? std::sqrt(squares) : 1)));
  }
  return classes;
}

/// at_1 and at_5 are top-1 and top-5 accuracy; labels are the numbers of classes.
template <class R>
Recall classify(std::span<const R> pictures, std::span<const int> labels, std::span<const R> classes, int J) {
  std::vector<int> numbers;
  for (std::size_t c = 0; c < classes.size() / static_cast<std::size_t>(J); ++c) numbers.push_back(static_cast<int>(c));
  return recall(labels, numbers, cosines(pictures, classes, J));
}

}  // namespace flamingo
