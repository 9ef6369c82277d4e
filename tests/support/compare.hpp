/// Distances between tensors of a test.
#pragma once
#include <cassert>
#include <cmath>
#include <cstddef>

#include "support/tensor.hpp"

namespace flamingo::test {

struct Distance {
  double relative = 0;  ///< ‖a - b‖₂ / ‖b‖₂; ‖a‖₂ where b is zero
  double largest = 0;   ///< max |a - b|
};

template <class A, class B>
Distance distance(const A* a, const B* b, std::size_t size) {
  double difference = 0, norm = 0;
  Distance d;
  for (std::size_t i = 0; i < size; ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    norm += y * y;
    // A NaN must not compare as near.
    d.largest = std::abs(x - y) <= d.largest ? d.largest : std::abs(x - y);
  }
  d.relative = std::sqrt(norm > 0 ? difference / norm : difference);
  return d;
}
template <class A, class B>
Distance distance(const Tensor<A>& a, const Tensor<B>& b) {
  assert(a.rows() == b.rows() && a.columns() == b.columns());
  return distance(a.data(), b.data(), b.size());
}

/// Σ a b: the loss whose gradient by b is a.
template <class A, class B>
double inner(const Tensor<A>& a, const Tensor<B>& b) {
  assert(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a.data()[i]) * static_cast<double>(b.data()[i]);
  return sum;
}

template <class T>
bool all_zero(const Tensor<T>& t) {
  return std::all_of(t.begin(), t.end(), [](T x) { return x == T(0); });
}

}  // namespace flamingo::test
