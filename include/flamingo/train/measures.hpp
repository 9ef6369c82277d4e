/// What a step of training is watched by: named numbers. A name before the last slash is a chart, after it a curve.
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo {

struct Measure {
  std::string name;
  double value = 0;
};
using Measures = std::vector<Measure>;

/// "loss/<dataset>" for each batch of an update, "gradient norm" and "rate". `names`: of the batches, in the order of
/// the mixture.
template <class Report>
Measures measures_of(const Report& update, const std::vector<std::string>& names) {
  check(names.size() == update.datasets.size(), "measures", "the update has ", update.datasets.size(),
        " batches, got names for ", names.size());
  Measures all;
  for (std::size_t i = 0; i < names.size(); ++i) all.push_back({"loss/" + names[i], update.datasets[i].loss});
  all.push_back({"gradient norm", update.gradient_norm});
  all.push_back({"rate", update.rate});
  return all;
}

/// "gate/<parameter>": the tanh of each gate, which is 0 at first; of a gate for each feature, the mean size.
template <class Layer, Platform P, class Weights>
Measures gates_of(Context<P>& ctx, const Weights& weights) {
  Measures all;
  const auto add = [&](const Spec& spec, const auto& leaf) {
    const std::string_view name = spec.name;
    if (spec.role != Role::vector || !name.ends_with("_gate")) return;
    double sum = 0;
    for (const auto x : host_copy(ctx, static_cast<const AccumulateOf<P>*>(leaf.data), spec.size()))
      sum += spec.size() == 1 ? std::tanh(static_cast<double>(x)) : std::abs(std::tanh(static_cast<double>(x)));
    all.push_back({"gate/" + std::string(name), sum / static_cast<double>(spec.size())});
  };
  Layer::each(add, weights);
  return all;
}

/// Operations of an update as they are usually counted (Chowdhery et al. 2022, appendix B, without attention's scores):
/// two a weight and token forward, two for the gradient of what it read, two for its own where it is trained.
constexpr double operations_of(double tokens, double trained, double frozen) {
  return tokens * (6 * trained + 4 * frozen);
}

/// Multiplications and additions a second of this context's own matrix product, each counted as one: the best of some
/// tries of a hundredth of a second each.
template <Platform P>
double measured_peak(Context<P>& ctx) {
  using R = typename P::Real;
  constexpr int size = 384;
  const auto scope = ctx.scope();
  const auto x = scratch<size>(ctx, size), w = scratch<size>(ctx, size), y = scratch<size>(ctx, size);
  clear_numbers(ctx, x.data, x.size());
  clear_numbers(ctx, w.data, w.size());
  const MatrixView<P, size, size, const R> matrix{w.data};
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto begin = std::chrono::steady_clock::now();
    double done = 0, seconds = 0;
    while (seconds < 0.01) {
      for (int i = 0; i < 8; ++i) ops::linear(ctx, x, matrix, y);
      R last{};
      download(ctx, static_cast<const R*>(y.data), 1, &last);  // waits
      done += 8.0 * 2 * size * size * size;
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    best = std::max(best, done / seconds);
  }
  return best;
}

/// Tokens a second and utilisation since they were last asked for.
class Speed {
 public:
  /// `peak`: operations a second that count as all of the machine (measured_peak(), or what its maker tells).
  explicit Speed(double peak = 0) : peak_(peak) {}
  void add(double tokens, double operations = 0) {
    tokens_ += tokens;
    operations_ += operations;
  }
  /// "speed/tokens a second", and "speed/utilisation" where the peak is known.
  Measures take() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::max(1e-9, std::chrono::duration<double>(now - since_).count());
    Measures all{{"speed/tokens a second", tokens_ / seconds}};
    if (peak_ > 0) all.push_back({"speed/utilisation", operations_ / seconds / peak_});
    tokens_ = operations_ = 0;
    since_ = now;
    return all;
  }

 private:
  double peak_, tokens_ = 0, operations_ = 0;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace flamingo
