/// AdamW over a layer's flat buffer, with groups by parameter and one global clipping of the gradient.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/dist/parts.hpp>
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
      const Group group = options_.group(spec);
      // Cut at multiples of most_at_once, so that whole and divided state draw the same roundings, and a size is an
      // int.
      for (std::size_t left = flat_size(spec); left > 0;) {
        const std::size_t size = std::min(left, most_at_once - at % most_at_once);
        if (pieces_.empty() || at % most_at_once == 0 || pieces_.back().group.rate != group.rate ||
            pieces_.back().group.decay != group.decay)
          pieces_.push_back({at, 0, at, group});
        pieces_.back().size += size;
        at += size;
        left -= size;
      }
    };
    Layer::each(add);
  }

  /// Updates weights by gradients; returns the gradient's global norm before clipping. Throws, with nothing changed,
  /// where the norm is not finite.
  double step(Context<P>& ctx, Store<Layer, P, T>& weights, const Store<Layer, P, T>& gradients, double rate) {
    check(!divided_, "optimizer", "its state is divided among processes: DataParallel::step() updates them all");
    const dist::Range all{0, gradients.flat.size()};
    const double norm = std::sqrt(squares(ctx, gradients, {&all, 1}));
    update(ctx, weights, gradients, rate, norm);
    return norm;
  }
  /// Σ g² over ranges of the flat buffer.
  double squares(Context<P>& ctx, const Store<Layer, P, T>& gradients, std::span<const dist::Range> ranges) const {
    const auto scope = ctx.scope();
    const auto sum = take_vector<double>(ctx, 1);
    clear_numbers(ctx, sum.data, 1);
    for (const dist::Range& range : ranges)
      for (std::size_t at = range.begin; at < range.end; at += most_at_once)
        ops::sum_of_squares<P, const T>(
            ctx, {gradients.flat.data() + at, {static_cast<int>(std::min(most_at_once, range.end - at))}}, sum);
    return host_copy(ctx, sum)[0];
  }
  /// The update by gradients of a global norm. torch's clipping: g *= min(1, clip / (norm + 1e-6)).
  void update(Context<P>& ctx, Store<Layer, P, T>& weights, const Store<Layer, P, T>& gradients, double rate,
              double norm) {
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
      with_moments(first, second, piece.moments, size,
                   [&](const auto& m, const auto& v) { ops::adamw<P, T>(ctx, update, w, g, m, v); });
    }
  }

  /// From now on the moments of these ranges of the flat buffer alone are kept, one range after another, and nothing
  /// besides is updated: this process's share where several divide the state. They begin as zeros.
  void keep(std::span<const dist::Range> ranges) {
    std::vector<Piece> kept;
    std::size_t moments = 0;
    for (const dist::Range& range : ranges)
      for (const Piece& piece : pieces_) {
        const std::size_t from = std::max(range.begin, piece.at), to = std::min(range.end, piece.at + piece.size);
        if (from >= to) continue;
        kept.push_back({from, to - from, moments, piece.group});
        moments += to - from;
      }
    pieces_ = std::move(kept);
    divided_ = true;
    first = MomentStore<P, T>(first.format(), true, moments);
    second = MomentStore<P, T>(second.format(), false, moments);
  }
  /// Puts moments read elsewhere where they are kept. `each(which, put)` calls put(at, numbers) for the numbers from
  /// `at` on of all parameters' first moments (`which` 0) or second (1), a parameter at a time: no more memory than one
  /// of them on the host, where a device holds the moments as much as they are.
  template <class Each>
  void set_moments(const Each& each) {
    using Host = typename MomentStore<P, T>::Host;
    const auto fill = [&](int which, auto& to) {
      each(which, [&](std::size_t at, std::span<const T> numbers) {
        for (const Piece& piece : pieces_) {
          const std::size_t from = std::max(at, piece.at), end = std::min(at + numbers.size(), piece.at + piece.size);
          if (from < end) to.write(piece.moments + (from - piece.at), numbers.subspan(from - at, end - from));
        }
      });
    };
    const auto take = [&](int which, MomentStore<P, T>& own) {
      if constexpr (std::is_same_v<HostOf<P>, P>) {
        fill(which, own);
      } else {
        std::size_t size = 0;
        for (const Piece& piece : pieces_) size += piece.size;
        Host host(own.format(), own.has_sign(), size);
        fill(which, host);
        own = MomentStore<P, T>(std::move(host));
      }
    };
    take(0, first);
    take(1, second);
  }

  long steps() const { return steps_; }
  void set_steps(long steps) { steps_ = steps; }

  MomentStore<P, T> first, second;

 private:
  struct Piece {
    std::size_t at, size;
    std::size_t moments;  ///< where its moments begin
    Group group;
  };
  OptimizerOptions options_;
  std::vector<Piece> pieces_;
  long steps_ = 0;
  bool divided_ = false;
};

}  // namespace flamingo
