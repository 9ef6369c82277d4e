/// Standardised weights of convolutions (Qiao et al. 2019, Brock et al. 2021) on raw pointers.
///
///   y[o] = γ gain[o] (w[o] - μ[o]) / √s[o]      s = max(Σ (w - μ)², ε), or Σ (w - μ)² + N ε
///
/// w, y (O, N) packed; gain (O); dy, dw (O, N), dgain (O) in Accumulate<R> but dy, of any type.
#pragma once
#include "tile.cuh"

namespace flamingo::raw {

/// One warp a filter: some thousand weights, whose second and third reading come from the cache.
struct StandardisePolicy {
  int warps = 4;
};
inline constexpr StandardisePolicy standardise_policy{};

/// Which s it is, and its numbers.
template <class A>
struct StandardiseRule {
  bool floor;  ///< the maximum, not the sum
  A epsilon, gamma;
};

/// A filter's mean, 1 / √s, and whether ε holds s: then s does not depend on the weights. The warp's sums, the same in
/// every lane.
template <class A>
struct FilterMoments {
  A mean, inverse;
  bool held;
};
template <int Count, class R, class A>
__device__ inline FilterMoments<A> filter_moments(const R* w, int N, StandardiseRule<A> rule) {
  A sum = 0, squares = 0;
  for (int i = lane_index() * Count; i < N; i += 32 * Count) {
    const auto pack = load_pack<Count>(w + i);
    for (int j = 0; j < Count; ++j) sum += widen(pack.value[j]);
  }
  const A mean = warp_sum(sum) / static_cast<A>(N);
  for (int i = lane_index() * Count; i < N; i += 32 * Count) {
    const auto pack = load_pack<Count>(w + i);
    for (int j = 0; j < Count; ++j) {
      const A centred = widen(pack.value[j]) - mean;
      squares += centred * centred;
    }
  }
  squares = warp_sum(squares);
  const bool held = rule.floor && squares < rule.epsilon;
  const A s = rule.floor ? larger(squares, rule.epsilon) : squares + static_cast<A>(N) * rule.epsilon;
  return {mean, A(1) / square_root(s), held};
}

template <int Warps, int Count, class R, class A>
static __global__ void __launch_bounds__(Warps * 32)
    standardise_kernel(const R* w, const A* gain, R* y, int O, int N, StandardiseRule<A> rule) {
  const int o = block_index_x() * Warps + warp_index();
  if (o >= O) return;  // a whole warp
  w += static_cast<long long>(o) * N;
  y += static_cast<long long>(o) * N;
  const FilterMoments<A> m = filter_moments<Count>(w, N, rule);
  const A scale = rule.gamma * gain[o] * m.inverse;
  for (int i = lane_index() * Count; i < N; i += 32 * Count) {
    auto pack = load_pack<Count>(w + i);
    for (int j = 0; j < Count; ++j) pack.value[j] = narrow<R>(scale * (widen(pack.value[j]) - m.mean));
    store_pack(y + i, pack);
  }
}

/// With u = (w - μ) / √s:  dgain += γ <dy, u>,  dw += γ gain / √s (dy - mean(dy) - [<dy, u>] u), the bracket unless ε
/// holds s.
template <int Warps, int Count, class R, class D, class A>
static __global__ void __launch_bounds__(Warps * 32)
    standardise_backward_kernel(const R* w, const A* gain, const D* dy, A* dw, A* dgain, int O, int N,
                                StandardiseRule<A> rule) {
  const int o = block_index_x() * Warps + warp_index();
  if (o >= O) return;  // a whole warp
  w += static_cast<long long>(o) * N;
  dy += static_cast<long long>(o) * N;
  dw += static_cast<long long>(o) * N;
  const FilterMoments<A> m = filter_moments<Count>(w, N, rule);
  A sum = 0, along = 0;
  for (int i = lane_index() * Count; i < N; i += 32 * Count) {
    const auto ws = load_pack<Count>(w + i);
    const auto gs = load_pack<Count>(dy + i);
    for (int j = 0; j < Count; ++j) {
      const A g = static_cast<A>(widen(gs.value[j]));
      sum += g;
      along += g * ((widen(ws.value[j]) - m.mean) * m.inverse);
    }
  }
  const A mean = warp_sum(sum) / static_cast<A>(N);
  along = warp_sum(along);
  const A scale = rule.gamma * gain[o] * m.inverse, lost = m.held ? A(0) : along;
  for (int i = lane_index() * Count; i < N; i += 32 * Count) {
    const auto ws = load_pack<Count>(w + i);
    const auto gs = load_pack<Count>(dy + i);
    for (int j = 0; j < Count; ++j) {
      const A unit = (widen(ws.value[j]) - m.mean) * m.inverse;
      dw[i + j] += scale * (static_cast<A>(widen(gs.value[j])) - mean - lost * unit);
    }
  }
  if (lane_index() == 0) dgain[o] += rule.gamma * along;
}

/// y may be w.
template <class R>
cudaError_t standardise(const R* w, const Accumulate<R>* gain, R* y, int O, int N, StandardiseRule<Accumulate<R>> rule,
                        cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr int warps = standardise_policy.warps, count = pack_count<R>;
  const auto kernel =
      packs(w, N) && packs(y, N) ? standardise_kernel<warps, count, R, A> : standardise_kernel<warps, 1, R, A>;
  return launch(grid_of(tiles_over(O, warps)), warps * 32, 0, stream, kernel, w, gain, y, O, N, rule);
}
/// Adds to dw and dgain.
template <class R, class D>
cudaError_t standardise_backward(const R* w, const Accumulate<R>* gain, const D* dy, Accumulate<R>* dw,
                                 Accumulate<R>* dgain, int O, int N, StandardiseRule<Accumulate<R>> rule,
                                 cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr int warps = standardise_policy.warps, count = pack_count<A>;  // A is not narrower than R
  const auto kernel = packs(w, N) && packs(dy, N) ? standardise_backward_kernel<warps, count, R, D, A>
                                                  : standardise_backward_kernel<warps, 1, R, D, A>;
  return launch(grid_of(tiles_over(O, warps)), warps * 32, 0, stream, kernel, w, gain, dy, dw, dgain, O, N, rule);
}

}  // namespace flamingo::raw
