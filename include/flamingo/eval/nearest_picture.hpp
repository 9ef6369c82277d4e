/// The baseline that knows nothing but pixels: a picture is what the nearest known picture is.
#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo {

/// Minus the squared distance of each picture (Q, D) to the nearest known one (K, D) of each label 0 .. L - 1: (Q, L),
/// scores for recall(). A label of which no picture is known has minus infinity.
template <Platform P>
std::vector<double> nearest_picture_scores(Context<P>& ctx, std::span<const typename P::Real> pictures,
                                           std::span<const typename P::Real> known, std::span<const int> known_labels,
                                           int labels, int D) {
  using R = typename P::Real;
  const auto width = static_cast<std::size_t>(D), Q = pictures.size() / width, K = known.size() / width;
  check(pictures.size() == Q * width && known.size() == K * width && known_labels.size() == K, "nearest_picture",
        "there are ", pictures.size(), " and ", known.size(), " numbers and ", known_labels.size(),
        " labels, expected ", D, " numbers a picture and a label for each known one");
  const auto squares = [&](std::span<const R> x, std::size_t n) {
    double sum = 0;
    for (const R number : x.subspan(n * width, width)) sum += static_cast<double>(number) * static_cast<double>(number);
    return sum;
  };
  std::vector<double> lengths;
  for (std::size_t k = 0; k < K; ++k) lengths.push_back(squares(known, k));
  std::vector<double> scores(Q * static_cast<std::size_t>(labels), -std::numeric_limits<double>::infinity());
  const MatrixView<P, dynamic, dynamic, const R> all{known.data(), Extent<dynamic>(static_cast<int>(K)),
                                                     Extent<dynamic>(D)};
  constexpr std::size_t at_a_time = 64;  // a product reads all known pictures
  for (std::size_t first = 0; first < Q; first += at_a_time) {
    const auto scope = ctx.scope();
    const std::size_t count = std::min(at_a_time, Q - first);
    const auto products = scratch(ctx, static_cast<int>(count), static_cast<int>(K));
    ops::linear(ctx,
                Rows<P, dynamic, const R>{pictures.data() + first * width, static_cast<int>(count), Extent<dynamic>(D)},
                all, products);
    for (std::size_t q = first; q < first + count; ++q) {
      const double own = squares(pictures, q);
      for (std::size_t k = 0; k < K; ++k) {
        const auto label = static_cast<std::size_t>(known_labels[k]);
        check(label < static_cast<std::size_t>(labels), "nearest_picture", "known picture ", k, " has label ",
              known_labels[k], ", expected one of ", labels);
        double& best = scores[q * static_cast<std::size_t>(labels) + label];
        const double product = static_cast<double>(products.row(static_cast<int>(q - first))[k]);
        best = std::max(best, 2 * product - own - lengths[k]);
      }
    }
  }
  return scores;
}

}  // namespace flamingo
