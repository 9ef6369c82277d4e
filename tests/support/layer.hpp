/// A layer in a test: parameters far from where they begin, and its gradients against central differences in double.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include <flamingo/core/store.hpp>

#include "support/compare.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace flamingo::test {

/// Draws every parameter so that a forgotten or swapped one shows: scales around 1, gates and biases far from 0,
/// matrices so that a product keeps the size of its rows. The same numbers for every number type but for rounding.
template <class Layer, Platform P>
Store<Layer, P> drawn(std::uint64_t seed) {
  Store<Layer, P> store;
  auto draw = [seed](const Spec& spec, auto& leaf) {
    using T = std::remove_reference_t<decltype(*leaf.data)>;
    Random random(seed, hash(spec.name));
    const bool vector = spec.role == Role::vector;
    const float middle = spec.init.kind == Init::Kind::one ? 1 : 0,
                reach = vector ? 0.5f : std::sqrt(3.0f / static_cast<float>(spec.columns));
    for (std::size_t i = 0; i < spec.size(); ++i) leaf.data[i] = T(middle + reach * (2 * random.uniform() - 1));
  };
  Layer::each(draw, store.views);
  return store;
}

/// Rows of a drawn activation.
template <class R>
Tensor<R> drawn_rows(int rows, int columns, std::uint64_t stream) {
  return Tensor<R>::random(rows, columns, stream, -1.5, 1.5);
}

/// How far a gradient may lie from differences of a loss: the loss itself is known to some ε, which the quotient raises
/// to ε^(2/3). Gradients that are 0 by nature (a bias of all keys) are held to that alone.
inline double gradient_bound(double norm, double loss) { return difference_bound() * (norm + std::abs(loss) / 100); }

/// Every gradient of a store against the central differences of `loss()`, parameter by parameter.
template <class Layer, Platform P, class Loss>
void check_weight_gradients(Store<Layer, P>& weights, Store<Layer, P>& gradients, const Loss& loss) {
  const double whole = loss();
  auto compare = [&](const Spec& spec, auto& w, auto& g) {
    INFO(std::string(std::string_view(spec.name)));
    double norm = 0, error = 0;
    for (std::size_t i = 0; i < spec.size(); ++i) {
      const double at = w.data[i], step = difference_step(at);
      w.data[i] = at + step;
      const double above = loss(), high = w.data[i];
      w.data[i] = at - step;
      const double below = loss(), low = w.data[i];
      w.data[i] = at;
      norm += g.data[i] * g.data[i];
      error += std::pow(g.data[i] - (above - below) / (high - low), 2);
    }
    CHECK(std::sqrt(error) < gradient_bound(std::sqrt(norm), whole));
  };
  Layer::each(compare, weights.views, gradients.views);
}

/// The same along one drawn direction a parameter, for models whose every number would take too long. `wider` is for
/// losses that bend where a number passes 0.
template <class Layer, Platform P, class Loss>
void check_weight_directions(Store<Layer, P>& weights, Store<Layer, P>& gradients, const Loss& loss, double wider = 1) {
  const double whole = loss(), step = difference_step(0);
  auto compare = [&](const Spec& spec, auto& w, auto& g) {
    INFO(std::string(std::string_view(spec.name)));
    Random random(20221128, hash(spec.name));
    const std::vector<double> before(w.data, w.data + spec.size());
    std::vector<double> direction(spec.size());
    for (double& d : direction) d = random.below(2) ? 1 : -1;
    const auto loss_at = [&](double distance) {
      for (std::size_t i = 0; i < spec.size(); ++i) w.data[i] = before[i] + distance * direction[i];
      return loss();
    };
    const double difference = (loss_at(step) - loss_at(-step)) / (2 * step);
    std::copy(before.begin(), before.end(), w.data);
    double along = 0, norm = 0;
    for (std::size_t i = 0; i < spec.size(); ++i) {
      along += g.data[i] * direction[i];
      norm += g.data[i] * g.data[i];
    }
    CHECK(std::abs(difference - along) < wider * gradient_bound(std::sqrt(norm), whole));
  };
  Layer::each(compare, weights.views, gradients.views);
}

/// Whether every number of a flat buffer is 0.
template <class T>
bool all_zero(const std::vector<T>& flat) {
  return std::all_of(flat.begin(), flat.end(), [](T x) { return x == T(0); });
}

}  // namespace flamingo::test
