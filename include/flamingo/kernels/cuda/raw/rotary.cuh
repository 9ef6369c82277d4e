/// Rotary positions on raw pointers (Su et al. 2021): pair i of each head turns by its row's position times frequency
/// i.
///
///   a' = a cos - b sin      b' = a sin + b cos      a, b: features i and i + half, or 2i and 2i + 1
///
/// x (N, H K) in place, positions (N). Angles are made in double, so that a position of thousands loses nothing, and
/// taken modulo a turn where their sine and cosine are floats.
#pragma once
#include <algorithm>
#include <cstddef>

#include "tile.cuh"

namespace flamingo::raw {

/// The angle by which each pair turns from one position to the next; travels with the launch.
struct RotaryFrequencies {
  static constexpr int most = 128;
  double value[most];
};

inline constexpr int rotary_threads = 128;

/// Sine and cosine of an angle: of a float after its whole turns are taken off, so that no slow way is compiled in.
__device__ inline void turn_of(double angle, float& sine, float& cosine) {
  const double turns = angle * 0.1591549430918953358;
  const auto half_turns = static_cast<float>(2 * (turns - rint(turns)));
  sine = sinpif(half_turns);
  cosine = cospif(half_turns);
}
__device__ inline void turn_of(double angle, double& sine, double& cosine) {
  sine = sin(angle);
  cosine = cos(angle);
}

/// A thread turns Count pairs of a row in the heads of its group; Count is 1 or even.
template <int Count, bool Adjacent, class R>
static __global__ void __launch_bounds__(rotary_threads)
    rotary_kernel(const __grid_constant__ RotaryFrequencies frequencies, double direction, const int* positions, R* x,
                  long long threads, int half, int heads, int heads_each, int head_dim) {
  begin_early();
  using A = Accumulate<R>;
  const long long at = static_cast<long long>(block_index_x()) * rotary_threads + thread_index();
  if (at >= threads) return;
  const int pieces = half / Count, pair = static_cast<int>(at % pieces) * Count;
  const long long n = at / pieces;
  Array<A, Count> c, s;
  for (int i = 0; i < Count; ++i) turn_of(direction * positions[n] * frequencies.value[pair + i], s[i], c[i]);
  const int first = block_index_y() * heads_each, last = first + heads_each < heads ? first + heads_each : heads;
  for (int h = first; h < last; ++h) {
    R* const low = x + (n * heads + h) * head_dim + (Adjacent ? 2 * pair : pair);
    R* const high = low + (Adjacent ? Count : half);
    Pack<R, Count> a = load_pack<Count>(low), b = load_pack<Count>(high);
    const auto number = [&](int i) -> R& { return i < Count ? a.value[i] : b.value[i - Count]; };
    for (int i = 0; i < Count; ++i) {
      R& left = number(Adjacent ? 2 * i : i);
      R& right = number(Adjacent ? 2 * i + 1 : i + Count);
      const A u = widen(left), v = widen(right);
      left = narrow<R>(u * c[i] - v * s[i]);
      right = narrow<R>(u * s[i] + v * c[i]);
    }
    store_pack(low, a);
    store_pack(high, b);
  }
}

/// direction 1 turns forwards, -1 back. 2 · half features of each head turn; half is at most RotaryFrequencies::most.
template <class R>
cudaError_t rotary(const RotaryFrequencies& frequencies, double direction, bool adjacent, const int* positions, R* x,
                   int N, int heads, int head_dim, int half, cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = packs(x, head_dim) && half % count == 0;
  const long long threads = static_cast<long long>(N) * (packed ? half / count : half);
  if (threads == 0 || heads == 0) return cudaSuccess;
  // A thread's sines serve all its heads. Where rows are few (decoding) there are more groups of heads instead.
  const int groups = static_cast<int>(
      std::clamp(static_cast<long long>(1 << 16) / threads, 1LL, static_cast<long long>(std::min(heads, 65535))));
  const int each = tiles_over(heads, groups);
  const auto kernel = packed ? (adjacent ? rotary_kernel<count, true, R> : rotary_kernel<count, false, R>)
                             : (adjacent ? rotary_kernel<1, true, R> : rotary_kernel<1, false, R>);
  return launch_early(
      grid_of(static_cast<int>((threads + rotary_threads - 1) / rotary_threads), tiles_over(heads, each)),
      rotary_threads, 0, stream, kernel, frequencies, direction, positions, x, threads, half, heads, each, head_dim);
}

}  // namespace flamingo::raw
