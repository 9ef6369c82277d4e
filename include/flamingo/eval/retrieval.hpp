/// Retrieval: which share of questions finds a right answer among the first 1, 5, 10; of texts by pictures, of pictures
/// by texts, of classes by pictures.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// R@1, R@5, R@10.
struct Recall {
  double at_1 = 0, at_5 = 0, at_10 = 0;
  int questions = 0;
};

/// score(q, a): how well answer a fits question q. An answer is right where its label is the question's: five captions
/// of a picture are five right answers. What fits no worse than the best right answer stands before it, so equal scores
/// and NaN gain nothing. Throws where a question has no right answer.
template <class Score>
Recall recall(std::span<const int> questions, std::span<const int> answers, const Score& score) {
  Recall found{.questions = static_cast<int>(questions.size())};
  const double share = 1 / static_cast<double>(questions.size());
  for (std::size_t q = 0; q < questions.size(); ++q) {
    bool any = false;
    double best = 0;
    for (std::size_t a = 0; a < answers.size(); ++a) {
      if (answers[a] != questions[q]) continue;
      const double fit = static_cast<double>(score(q, a));
      if (!any || fit > best) best = fit;
      any = true;
    }
    check(any, "retrieval", "question ", q, " has no right answer: no label is ", questions[q]);
    int before = 0;
    for (std::size_t a = 0; a < answers.size(); ++a)
      before += answers[a] != questions[q] && !(static_cast<double>(score(q, a)) < best);
    found.at_1 += before < 1 ? share : 0;
    found.at_5 += before < 5 ? share : 0;
    found.at_10 += before < 10 ? share : 0;
  }
  return found;
}

/// The recall of answers in an order drawn at random: 1 - C(n - r, k) / C(n, k) for r right ones of n.
inline Recall chance(std::span<const int> questions, std::span<const int> answers) {
  Recall found{.questions = static_cast<int>(questions.size())};
  const double share = 1 / static_cast<double>(questions.size()), n = static_cast<double>(answers.size());
  for (const int label : questions) {
    const auto right = static_cast<double>(std::count(answers.begin(), answers.end(), label));
    double missed = 1;
    for (int k = 0; k < 10; ++k) {
      missed *= k < n ? std::max(0.0, n - right - k) / (n - k) : 0;
      if (k == 0) found.at_1 += share * (1 - missed);
      if (k == 4) found.at_5 += share * (1 - missed);
    }
    found.at_10 += share * (1 - missed);
  }
  return found;
}

/// The scores of embeddings of length 1 (Q, J) and (A, J): their cosines.
template <class R>
auto cosines(std::span<const R> questions, std::span<const R> answers, int J) {
  return [=](std::size_t q, std::size_t a) {
    const auto width = static_cast<std::size_t>(J);
    double sum = 0;
    for (std::size_t j = 0; j < width; ++j)
      sum += static_cast<double>(questions[q * width + j]) * static_cast<double>(answers[a * width + j]);
    return sum;
  };
}

/// Both directions.
struct Retrieval {
  Recall texts;     ///< that pictures find
  Recall pictures;  ///< that texts find
};
/// Embeddings of length 1 (M, J) and (B, J); a text belongs to the pictures of its label.
template <class R>
Retrieval retrieval(std::span<const R> pictures, std::span<const int> picture_labels, std::span<const R> texts,
                    std::span<const int> text_labels, int J) {
  check(pictures.size() == picture_labels.size() * static_cast<std::size_t>(J) &&
            texts.size() == text_labels.size() * static_cast<std::size_t>(J),
        "retrieval", "there are ", pictures.size(), " numbers of ", picture_labels.size(), " pictures and ",
        texts.size(), " of ", text_labels.size(), " texts, expected ", J, " each");
  return {recall(picture_labels, text_labels, cosines(pictures, texts, J)),
          recall(text_labels, picture_labels, cosines(texts, pictures, J))};
}

}  // namespace flamingo
