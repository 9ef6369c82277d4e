/// Rows read at several places, and columns among others, on raw pointers.
///
///   combine: y[n] = Σ_k weight[n, k] table[row[n, k]]      write_columns: y[n][first + stride d] = x[n][d]
///
/// Rows (·, D), packed; taps (N, K). Sums have one owner and one order, taps as they lie: the same bits every time.
/// Rows outside a table are never followed: what would be read there is NaN, what would be added there is left out.
#pragma once
#include <cstddef>

#include "row_sums.cuh"

namespace flamingo::raw {

/// A row of a table and what it counts for.
struct TapPlace {
  int row;
  float weight;
};

template <int Count, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    combine_kernel(const R* table, int rows, const TapPlace* taps, int K, R* y, int N, int D) {
  using A = Accumulate<R>;
  const PackPlace at = pack_place<Count>(D);
  if (at.row >= N) return;
  Array<A, Count> sum = {};
  for (int k = 0; k < K; ++k) {
    const TapPlace tap = taps[static_cast<long long>(at.row) * K + k];
    const bool there = tap.row >= 0 && tap.row < rows;
    const auto pack = load_pack<Count>(table + static_cast<long long>(there ? tap.row : 0) * D + at.channel);
    const A weight = there ? static_cast<A>(tap.weight) : static_cast<A>(NAN);
    for (int i = 0; i < Count; ++i) sum[i] += weight * widen(pack.value[i]);
  }
  Pack<R, Count> pack;
  for (int i = 0; i < Count; ++i) pack.value[i] = narrow<R>(sum[i]);
  store_pack(y + static_cast<long long>(at.row) * D + at.channel, pack);
}

/// A block for a row of the table and some of its columns: it looks through all taps, some at a time, and adds what
/// reads its row. Taps of weight 0 fill lists up and are nothing.
template <int Count, class R, class T>
static __global__ void __launch_bounds__(pointwise_threads)
    combine_backward_kernel(const R* dy, const TapPlace* taps, int K, long long tap_count, T* dtable, int D) {
  using A = Accumulate<T>;
  constexpr int warps = pointwise_threads / 32;
  struct Readers {
    Array<unsigned, warps> lanes[2];  ///< two rounds, so that one barrier a round is enough
  };
  Readers& readers = shared_memory<Readers>();
  const int row = block_index_x(), column = (block_index_y() * pointwise_threads + thread_index()) * Count;
  T* const to = dtable + static_cast<long long>(row) * D + column;
  Array<A, Count> sum = {};
  int round = 0;
  for (long long base = 0; base < tap_count; base += pointwise_threads, ++round) {
    auto& lanes = readers.lanes[round % 2];
    const long long own = base + thread_index();
    const bool reads = own < tap_count && taps[own].row == row && taps[own].weight != 0;
    const unsigned found = __ballot_sync(0xffffffffu, reads);
    if (lane_index() == 0) lanes[warp_index()] = found;
    __syncthreads();
    for (int warp = 0; column < D && warp < warps; ++warp)
      for (int lane = 0; lanes[warp] >> lane; ++lane) {
        if (!(lanes[warp] >> lane & 1u)) continue;
        const long long tap = base + warp * 32 + lane;
        const auto pack = load_pack<Count>(dy + tap / K * D + column);
        for (int i = 0; i < Count; ++i)
          sum[i] += static_cast<A>(taps[tap].weight) * static_cast<A>(widen(pack.value[i]));
        if (lane == 31) break;  // a shift by 32 is none
      }
  }
  if (column >= D) return;
  for (int i = 0; i < Count; ++i) to[i] = narrow<T>(widen(to[i]) + sum[i]);
}

template <bool Write, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    columns_kernel(const R* from, R* to, long long size, int D, int wide, int first, int stride) {
  const long long i = element_index();
  if (i >= size) return;
  const long long among = i / D * wide + first + i % D * stride;
  if constexpr (Write)
    to[among] = from[i];
  else
    to[i] = from[among];
}

/// y (N, D) out of table (rows, D).
template <class R>
cudaError_t combine(const R* table, int rows, const TapPlace* taps, int K, R* y, int N, int D, cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = packs(table, D) && packs(y, D);
  return launch_packs(N, D, packed ? count : 1, stream, packed ? combine_kernel<count, R> : combine_kernel<1, R>, table,
                      rows, taps, K, y, N, D);
}
/// Adds dy (N, D) to the rows of dtable (rows, D) that were read, by their weights.
template <class R, class T>
cudaError_t combine_backward(const R* dy, const TapPlace* taps, int K, int N, T* dtable, int rows, int D,
                             cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = packs(dy, D);
  return launch(grid_of(rows, tiles_over(D, pointwise_threads * (packed ? count : 1))), pointwise_threads,
                2 * pointwise_threads / 32 * sizeof(unsigned), stream,
                packed ? combine_backward_kernel<count, R, T> : combine_backward_kernel<1, R, T>, dy, taps, K,
                static_cast<long long>(N) * K, dtable, D);
}
/// The columns of x (N, D) among those of y (N, wide).
template <class R>
cudaError_t write_columns(const R* x, R* y, int N, int D, int wide, int first, int stride, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, columns_kernel<true, R>, x, y, static_cast<long long>(size), D, wide, first,
                         stride);
}
/// x (N, D): columns of y (N, wide) alone.
template <class R>
cudaError_t read_columns(const R* y, R* x, int N, int D, int wide, int first, int stride, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, columns_kernel<false, R>, y, x, static_cast<long long>(size), D, wide, first,
                         stride);
}

}  // namespace flamingo::raw
