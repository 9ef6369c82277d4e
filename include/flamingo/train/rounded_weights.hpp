/// Weights as a platform of few bits reads them, beside the masters that an optimiser updates.
#pragma once
#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <flamingo/core/store.hpp>
#include <flamingo/ops/arrange.hpp>

namespace flamingo {

/// What core/store.hpp's RoundedStore is for weights that stay as they are: the matrices and tables of a layer rounded
/// to P's numbers, as often as asked; its vectors, which are read in the accumulation type, are the masters' own.
/// Masters in P's numbers (float, double) are read as they are, and nothing is copied.
template <class Layer, Platform P>
class RoundedWeights {
 public:
  using R = typename P::Real;
  using A = AccumulateOf<P>;
  using Masters = Store<Layer, P, A>;
  using Views = typename Layer::template Parameters<Stored<P>>;
  static constexpr bool copied = !std::is_same_v<R, A>;

  RoundedWeights() : rounded_(copied ? flat_size<Layer>() : 0) {}
  RoundedWeights(RoundedWeights&&) = default;
  RoundedWeights(const RoundedWeights&) = delete;  // views point into the rounded numbers

  /// Reads the masters as they are now: rounds to nearest, all in one pass. The views borrow their vectors.
  void round(Context<P>& ctx, const Masters& masters) {
    if constexpr (copied) {
      for (std::size_t first = 0; first < masters.flat.size(); first += most_at_once) {
        const auto size = static_cast<int>(std::min(most_at_once, masters.flat.size() - first));
        ops::convert(ctx, Rows<P, 1, const A>{masters.flat.data() + first, size, {}},
                     Rows<P, 1, R>{rounded_.data() + first, size, {}});
      }
      std::size_t at = 0;
      const auto point = [&](const Spec& spec, auto& leaf, const auto& master) {
        if constexpr (std::is_same_v<decltype(leaf.data), decltype(master.data)>)
          leaf.data = master.data;
        else
          leaf.data = rounded_.data() + at;
        at += flat_size(spec);
      };
      Layer::each(point, views, masters.views);
    } else {
      views = masters.views;
    }
  }

  Views views{};  ///< of what was rounded last

 private:
  typename Buffer<P, R>::type rounded_;
};

}  // namespace flamingo
