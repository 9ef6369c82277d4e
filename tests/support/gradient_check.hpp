/// A gradient against central differences in double.
#pragma once
#include "support/compare.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace flamingo::test {

/// dL/dx by central differences, number by number; `loss()` reads x.
template <class Loss>
Tensor<double> differences(Tensor<double>& x, const Loss& loss) {
  Tensor<double> d(x.rows(), x.columns());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x.data()[i], step = difference_step(at);
    x.data()[i] = at + step;
    const double above = loss(), high = x.data()[i];
    x.data()[i] = at - step;
    const double below = loss(), low = x.data()[i];
    x.data()[i] = at;
    d.data()[i] = (above - below) / (high - low);
  }
  return d;
}

/// How far `dx` lies from the differences of `loss` by x: the whole vector, and its worst number.
template <class Loss>
Distance gradient_check(Tensor<double>& x, const Tensor<double>& dx, const Loss& loss) {
  return distance(dx, differences(x, loss));
}

}  // namespace flamingo::test
