/// How far a computed number may lie from the exact one: from the number type and the lengths of its sums, never
/// chosen.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include <flamingo/core/real.hpp>

namespace flamingo::test {

/// Distance from 1 to the next number.
template <Real R>
constexpr double epsilon() {
  if constexpr (std::same_as<R, bfloat16>)
    return 0x1p-7;
  else if constexpr (std::same_as<R, half>)
    return 0x1p-10;
  else
    return static_cast<double>(std::numeric_limits<R>::epsilon());
}

/// A sum of `length` products in R, in any order (Higham 2002, eq. 3.5): |error| <= n u Σ|terms| / (1 - n u), with a
/// unit roundoff u = ε/2. Counted twice, because the reference is a sum too.
template <Real R>
double sum_bound(std::size_t length, double sum_of_magnitudes) {
  const double nu = static_cast<double>(length + 2) * epsilon<R>() / 2;
  return 2 * nu / (1 - nu) * sum_of_magnitudes;
}

/// Relative error of a vector whose numbers are each reached through `roundings` roundings, functions of the
/// mathematics library counting as two.
template <Real R>
double chain_bound(std::size_t roundings) {
  return static_cast<double>(roundings) * epsilon<R>();
}

/// Central differences in double with the step below lose about ε^(2/3) of the loss's scale; a gradient's numbers are
/// smaller than that by at most three digits in these tests.
inline double difference_step(double at) { return std::cbrt(epsilon<double>()) * std::max(1.0, std::abs(at)); }
inline double difference_bound() { return 1e3 * std::pow(epsilon<double>(), 2.0 / 3.0); }

}  // namespace flamingo::test
