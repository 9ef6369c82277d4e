/// AdamW over a layer's flat buffer, with groups by parameter and one global clipping of the gradient.
#pragma once
#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/ops/adamw.hpp>
#include <flamingo/train/moment_store.hpp>

namespace flamingo {

/// What an update does to one parameter.
struct Group {
  double rate = 1;   ///< of the schedule's
  double decay = 0;  ///< weight decay
};

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double clip = 1;  ///< largest global norm of the gradient; 0: never clipped
  MomentFormat moments = MomentFormat::full;
  /// The paper: no decay on the Resampler, 0.1 on every other parameter.
  Function<Group(const Spec&)> group = [](const Spec& spec) {
    return Group{1, std::string_view(spec.name).starts_with("resampler") ? 0.0 : 0.1};
  };
};

/// Moments and the update of a layer whose weights and gradients lie in Stores.
template <class Layer, Platform P, class T = AccumulateOf<P>>
class Optimizer {
 public:
  explicit Optimizer(OptimizerOptions options = {})
      : first(options.moments, true, flat_size<Layer>()),
        second(options.moments, false, flat_size<Layer>()),
        options_(std::move(options)) {
    std::size_t at = 0;
    auto add = [&](const Spec& spec) {
      const std::size_t size = flat_size(spec);
      const Group group = options_.group(spec);
      if (pieces_.empty() || pieces_.back().size + size > most || pieces_.back().group.rate != group.rate ||
          pieces_.back().group.decay != group.decay)
        pieces_.push_back({at, 0, group});
      pieces_.back().size += size;
      at += size;
    };
    Layer::each(add);
  }

  /// Updates weights by gradients; returns the gradient's global norm before clipping. torch's clipping:
  /// g *= min(1, clip / (norm + 1e-6)). Throws, with nothing changed, where the norm is not finite.
  double step(Context<P>& ctx, Store<Layer, P, T>& weights, const Store<Layer, P, T>& gradients, double rate) {
    const auto scope = ctx.scope();
    const auto squares = take_vector<double>(ctx, 1);
    clear_numbers(ctx, squares.data, 1);
    for (std::size_t at = 0; at < gradients.flat.size(); at += most)
      ops::sum_of_squares<P, const T>(
          ctx, {gradients.flat.data() + at, {static_cast<int>(std::min(most, gradients.flat.size() - at))}}, squares);
    const double norm = std::sqrt(host_copy(ctx, squares)[0]);
    check(std::isfinite(norm), "optimizer", "the gradient's norm at step ", steps_ + 1, " is ", norm,
          ", expected a finite number: weights and moments are as they were");
    AdamWStep update{.beta1 = options_.beta1, .beta2 = options_.beta2, .epsilon = options_.epsilon};
    update.scale = options_.clip > 0 ? std::min(1.0, options_.clip / (norm + 1e-6)) : 1.0;
    update.step = ++steps_;
    for (const Piece& piece : pieces_) {
      update.rate = rate * piece.group.rate;
      update.decay = piece.group.decay;
      update.first = piece.at;
      const int size = static_cast<int>(piece.size);
      const View<P, 1, T> w{weights.flat.data() + piece.at, {size}};
      const View<P, 1, const T> g{gradients.flat.data() + piece.at, {size}};
      with_moments(first, second, piece.at, size,
                   [&](const auto& m, const auto& v) { ops::adamw<P, T>(ctx, update, w, g, m, v); });
    }
    return norm;
  }

  long steps() const { return steps_; }
  void set_steps(long steps) { steps_ = steps; }

  MomentStore<P, T> first, second;

 private:
  static constexpr std::size_t most = std::size_t{1} << 30;  ///< numbers of one call: a multiple of all blocks
  struct Piece {
    std::size_t at, size;
    Group group;
  };
  OptimizerOptions options_;
  std::vector<Piece> pieces_;
  long steps_ = 0;
};

}  // namespace flamingo
