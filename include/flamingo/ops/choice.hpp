/// likeliest: the k likeliest ids of each row of logits, with log p = z - log Σ exp(z)
///
/// The likeliest first; of equals the lowest id. So a platform with memory of its own need not hand over its rows.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>

#include <flamingo/core/context.hpp>

namespace flamingo {

/// An id of a vocabulary and its log-probability. Where a row has fewer possible ids than were asked for, the last are
/// none: id -1, log p -∞.
struct Choice {
  int id = -1;
  double log_p = -std::numeric_limits<double>::infinity();
};

namespace detail {

/// log Σ exp of a row of logits.
template <class R>
double log_sum_exp(std::span<const R> logits) {
  double maximum = -std::numeric_limits<double>::infinity();
  for (const R x : logits) maximum = std::max(maximum, static_cast<double>(x));
  double sum = 0;
  for (const R x : logits) sum += std::exp(static_cast<double>(x) - maximum);
  return maximum + std::log(sum);
}

}  // namespace detail

namespace kernels {
/// Choosing among logits; defined once per platform.
template <Platform P>
struct Choosing;
}  // namespace kernels

namespace ops {

/// logits (N, V) -> best (N k), those of a row one after another. `banned` ids are never chosen, though they count in
/// the sum; neither is an id whose logit is -∞.
template <Platform P, RowsOn<P> Y>
void likeliest(Context<P>& ctx, const Y& logits, std::type_identity_t<View<P, 1, const int>> banned, int k,
               View<P, 1, Choice> best) {
  check(k > 0 && k <= int(logits.width) && best.shape[0] == logits.rows * k, "likeliest", k, " of each row of ",
        logits.shape(), " for ", best.shape[0], " choices");
  kernels::Choosing<P>::likeliest(ctx, logits, banned, k, best);
}

}  // namespace ops
}  // namespace flamingo
