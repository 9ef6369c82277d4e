/// How threads lie over packed rows (N, D) on raw pointers: a thread a pack; blocks that sum down the rows.
///
///   sum[d] += Σ_n x[n][d]
///
/// Sums have one order, which depends on N alone: chunks of rows, lanes that take turns in a chunk, both added first to
/// last. No atomics: the same bits every time.
#pragma once
#include <algorithm>
#include <cstddef>

#include "pointwise.cuh"

namespace flamingo::raw {

/// The row and the first channel of this thread's pack, of rows of D.
struct PackPlace {
  int row, channel;
};
template <int Count>
__device__ inline PackPlace pack_place(int D) {
  const long long i = element_index();
  const int packs = D / Count;
  return {static_cast<int>(i / packs), static_cast<int>(i % packs) * Count};
}
/// One thread for each pack of `count` of rows (N, D).
template <class... P>
cudaError_t launch_packs(int N, int D, int count, cudaStream_t stream, void (*kernel)(P...),
                         std::type_identity_t<P>... args) {
  return launch_elements(static_cast<std::size_t>(N) * static_cast<std::size_t>(D / count), stream, kernel, args...);
}

/// How a block that sums down rows lies over them, and how many rows are summed apart.
struct RowSumPolicy {
  int columns = 32, row_lanes = 16;
  int chunk_rows = 256, most_chunks = 64;
};
inline constexpr RowSumPolicy row_sum_policy{};

/// The block's sum of term(row) over [first, end), for the column of each thread's lane; right in row lane 0. Lanes
/// take turns, and their sums are added first to last.
template <int Columns, int RowLanes, class A, class Term>
__device__ inline A sum_down(int first, int end, const Term& term) {
  struct Sums {
    Array<Array<A, Columns>, RowLanes> value;
  };
  Sums& sums = shared_memory<Sums>();
  const int lane = thread_index() % Columns, row_lane = thread_index() / Columns;
  A own = 0;
  for (int row = first + row_lane; row < end; row += RowLanes) own += term(row);
  sums.value[row_lane][lane] = own;
  __syncthreads();
  if (row_lane == 0)
    for (int i = 1; i < RowLanes; ++i) own += sums.value[i][lane];
  return own;
}

/// sum[0] += Σ partial. One block.
template <class A>
static __global__ void __launch_bounds__(pointwise_threads) add_all_kernel(const A* partial, A* sum, int count) {
  A own = 0;
  for (int i = thread_index(); i < count; i += pointwise_threads) own += partial[i];
  own = block_sum<pointwise_threads>(own);
  if (thread_index() == 0) sum[0] += own;
}
/// sum[i] += Σ partial[chunk][i], first chunk to last.
template <class A>
static __global__ void __launch_bounds__(pointwise_threads)
    add_chunks_kernel(const A* partial, A* sum, long long size, int chunks) {
  const long long i = element_index();
  if (i >= size) return;
  A own = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) own += partial[chunk * size + i];
  sum[i] += own;
}
/// partial (chunks, D): the sums of each chunk of rows.
template <int Columns, int RowLanes, class R, class A>
static __global__ void __launch_bounds__(Columns* RowLanes)
    column_sum_partial_kernel(const R* x, A* partial, int N, int D, int chunk_rows) {
  const int column = block_index_x() * Columns + thread_index() % Columns, first = block_index_y() * chunk_rows;
  const A sum = sum_down<Columns, RowLanes, A>(first, first + chunk_rows < N ? first + chunk_rows : N, [&](int row) {
    return column < D ? static_cast<A>(widen(x[static_cast<long long>(row) * D + column])) : A(0);
  });
  if (thread_index() < Columns && column < D) partial[static_cast<long long>(block_index_y()) * D + column] = sum;
}

/// How many rows are summed apart, of N: a function of N alone.
inline int chunk_rows_of(int N) {
  return std::max(row_sum_policy.chunk_rows, tiles_over(N, row_sum_policy.most_chunks));
}
inline int chunks_of(int N) { return tiles_over(N, chunk_rows_of(N)); }

/// Adds the sums of `chunks` partials of `size` numbers each.
template <class A>
cudaError_t add_chunks(const A* partial, A* sum, std::size_t size, int chunks, cudaStream_t stream) {
  return launch_elements(size, stream, add_chunks_kernel<A>, partial, sum, static_cast<long long>(size), chunks);
}
/// Adds the sum of `count` partials to sum[0].
template <class A>
cudaError_t add_all(const A* partial, A* sum, int count, cudaStream_t stream) {
  return launch(grid_of(1), pointwise_threads, pointwise_threads / 32 * sizeof(A), stream, add_all_kernel<A>, partial,
                sum, count);
}
/// How many Accumulate<R> the workspace of add_column_sums holds.
inline std::size_t column_sum_workspace(int N, int D) {
  return static_cast<std::size_t>(chunks_of(N)) * static_cast<std::size_t>(D);
}
/// Adds the sums of the columns of x (N, D) to sum (D).
template <class R>
cudaError_t add_column_sums(const R* x, Accumulate<R>* sum, Accumulate<R>* workspace, int N, int D,
                            cudaStream_t stream) {
  constexpr int columns = row_sum_policy.columns, row_lanes = row_sum_policy.row_lanes;
  const cudaError_t error = launch(
      grid_of(tiles_over(D, columns), chunks_of(N)), columns * row_lanes, columns * row_lanes * sizeof(Accumulate<R>),
      stream, column_sum_partial_kernel<columns, row_lanes, R, Accumulate<R>>, x, workspace, N, D, chunk_rows_of(N));
  return error == cudaSuccess ? add_chunks(workspace, sum, static_cast<std::size_t>(D), chunks_of(N), stream) : error;
}

}  // namespace flamingo::raw
