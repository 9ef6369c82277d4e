/// Adaptive gradient clipping (Brock et al. 2021, eq. 3): a unit's gradient is held to a share of the unit's own norm.
///
/// A unit is what makes one output: a row of a matrix (a filter of a convolution, an output of a product), a whole
/// vector. Networks without norms need it at large batches; the paper clips its vision encoder so, by 0.01.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <flamingo/core/function.hpp>
#include <flamingo/core/store.hpp>

namespace flamingo {

struct AdaptiveClipping {
  double share = 0.01;     ///< λ
  double least = 1e-3;     ///< norm that a unit counts for at least, so that what begins at 0 can grow
  double smallest = 1e-6;  ///< norm that a gradient is divided by at least
  /// Parameters that are left as they are: the NFNet's code leaves its classifier.
  Function<bool(const Spec&)> excludes = [](const Spec& spec) {
    return std::string_view(spec.name).find("classifier") != std::string_view::npos;
  };
};

/// Where ‖G‖ > λ max(‖W‖, least), G becomes G λ max(‖W‖, least) / max(‖G‖, smallest). Norms are sums in double. Returns
/// the number of units clipped. Where the host reads P's memory.
template <class Layer, class P, class T>
  requires std::is_same_v<HostOf<P>, P>
std::size_t clip_adaptively(const Store<Layer, P, T>& weights, Store<Layer, P, T>& gradients,
                            const AdaptiveClipping& rule = {}) {
  std::size_t clipped = 0;
  auto clip = [&](const Spec& spec, const auto& w, auto& g) {
    if (rule.excludes(spec)) return;
    const auto width = static_cast<std::size_t>(spec.columns);
    const auto norm = [width](const T* unit) {
      double squares = 0;
      for (std::size_t i = 0; i < width; ++i) squares += static_cast<double>(unit[i]) * static_cast<double>(unit[i]);
      return std::sqrt(squares);
    };
    for (std::size_t at = 0; at < spec.size(); at += width) {
      const double most = rule.share * std::max(norm(w.data + at), rule.least), size = norm(g.data + at);
      if (!(size > most)) continue;
      const auto scale = static_cast<T>(most / std::max(size, rule.smallest));
      for (std::size_t i = 0; i < width; ++i) g.data[at + i] *= scale;
      ++clipped;
    }
  };
  Layer::each(clip, weights.views, gradients.views);
  return clipped;
}

/// The same on any platform: where P has memory of its own, weights and gradients go to the host, and what was clipped
/// goes back.
template <class Layer, class P, class T>
std::size_t clip_adaptively(Context<P>& ctx, const Store<Layer, P, T>& weights, Store<Layer, P, T>& gradients,
                            const AdaptiveClipping& rule = {}) {
  if constexpr (std::is_same_v<HostOf<P>, P>) {
    return clip_adaptively(weights, gradients, rule);
  } else {
    const auto on_host = host_copy(ctx, weights);
    auto clipped = host_copy(ctx, gradients);
    const std::size_t units = clip_adaptively(on_host, clipped, rule);
    if (units) upload(ctx, clipped.flat.data(), clipped.flat.size(), gradients.flat.data());
    return units;
  }
}

}  // namespace flamingo
