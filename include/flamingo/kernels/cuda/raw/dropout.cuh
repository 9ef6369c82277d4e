/// Numbers dropped by chance on raw pointers: y = x scale where a number of a counter's stream is at least a threshold,
/// else 0 (Srivastava et al. 2014).
///
/// Philox 4x32-10 (Salmon et al. 2011): four numbers a counter, the same whoever draws them, in any order.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tile.cuh"

namespace flamingo::raw {

/// A stream of numbers, as flamingo::Random keys it.
struct PhiloxKey {
  std::uint64_t seed, stream;
};
struct PhiloxWords {
  std::uint32_t word[4];
};
/// Numbers 4 counter ... 4 counter + 3 of the stream.
__device__ inline PhiloxWords philox(PhiloxKey key, std::uint64_t counter) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter), c1 = static_cast<std::uint32_t>(counter >> 32),
                c2 = static_cast<std::uint32_t>(key.stream), c3 = static_cast<std::uint32_t>(key.stream >> 32),
                k0 = static_cast<std::uint32_t>(key.seed), k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

inline constexpr int dropout_threads = 256;

/// A thread a counter. Element i of x is number first + i of the stream.
template <class R>
static __global__ void __launch_bounds__(dropout_threads)
    dropout_kernel(PhiloxKey key, std::uint64_t first, std::uint64_t threshold, Accumulate<R> scale, const R* x, R* y,
                   long long size) {
  const std::uint64_t counter = first / 4 + static_cast<std::uint64_t>(block_index_x()) * dropout_threads +
                                static_cast<std::uint64_t>(thread_index());
  const long long at = static_cast<long long>(counter * 4 - first);
  if (at >= size) return;
  const PhiloxWords words = philox(key, counter);
  for (int i = 0; i < 4; ++i)
    if (at + i >= 0 && at + i < size)
      y[at + i] = words.word[i] >= threshold ? narrow<R>(scale * widen(x[at + i])) : narrow<R>(0);
}

/// Drops what draws below threshold (of 2³²). y may be x.
template <class R>
cudaError_t dropout(PhiloxKey key, std::uint64_t first, std::uint64_t threshold, Accumulate<R> scale, const R* x, R* y,
                    std::size_t size, cudaStream_t stream) {
  const std::size_t counters = size ? (first % 4 + size + 3) / 4 : 0;
  return launch(dim3(static_cast<unsigned>((counters + dropout_threads - 1) / dropout_threads)), dropout_threads, 0,
                stream, dropout_kernel<R>, key, first, threshold, scale, x, y, static_cast<long long>(size));
}

}  // namespace flamingo::raw
