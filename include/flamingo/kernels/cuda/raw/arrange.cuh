/// Movement of rows on raw pointers.
///
///   gather: y[n] = x[index[n]]      scatter_add: y[index[n]] += x[n]      join: y[n] = [a[n], b[n]]
///   place: y[index[n]] = x[n]
///   clear_rows: x[index[n]] = 0     blend: sum[n] += (1 - w[n]) table[low[n]] + w[n] table[high[n]]
///
/// Rows (·, D), packed. Sums have one owner and one order, n ascending: the same bits every time. blend_backward has a
/// thread a target number walk the whole list, which suits tables of some hundred rows (times); scatter_add suits
/// vocabularies. Indices outside a table are never followed: what would be read there is NaN, what would be added there
/// is left out.
#pragma once
#include <cstddef>

#include "each.cuh"
#include "pointwise.cuh"

namespace flamingo::raw {

/// A place between two rows of a table.
struct BlendPlace {
  int low, high;
  float weight;  ///< of `high`
};

inline constexpr int row_threads = 128, scatter_threads = 256;

/// Element i of gather: Count numbers of a row of y.
template <int Count, class R>
struct Gathered {
  const R* x;
  int rows;
  const R* more;
  int more_rows;
  const int* index;
  R* y;
  int D;

  __device__ void operator()(long long i) const {
    const long long n = i / (D / Count), d = i % (D / Count) * Count;
    const int from = index[n];
    Pack<R, Count> pack;
    if (from >= 0 && from < rows)
      pack = load_pack<Count>(x + static_cast<long long>(from) * D + d);
    else if (from >= rows && from - rows < more_rows)
      pack = load_pack<Count>(more + static_cast<long long>(from - rows) * D + d);
    else
      for (R& number : pack.value) number = narrow<R>(NAN);
    store_pack(y + n * D + d, pack);
  }
};

/// Element i of place: Count numbers of a row of x.
template <int Count, class R>
struct Placed {
  const R* x;
  const int* index;
  R* y;
  int rows, D;

  __device__ void operator()(long long i) const {
    const long long n = i / (D / Count), d = i % (D / Count) * Count, to = index[n];
    if (to >= 0 && to < rows) store_pack(y + to * D + d, load_pack<Count>(x + n * D + d));
  }
};

/// A block a row of x and tile of columns. Of the rows that name one target the first adds them all, in their order.
template <int Count, class R, class T>
static __global__ void __launch_bounds__(scatter_threads)
    scatter_add_kernel(const R* x, const int* index, int N, int first, T* y, int rows, int D) {
  constexpr int warps = scatter_threads / 32;
  struct Named {
    unsigned lanes[2][warps];  ///< which of 256 rows name the target; two rounds, so that one barrier a round is enough
  };
  Named& named = shared_memory<Named>();
  const int n = block_index_x(), target = index[n];
  if (target < first || target - first >= rows) return;
  int round = 0;
  const auto look_from = [&](int base) -> const unsigned* {
    unsigned* const lanes = named.lanes[round++ % 2];
    const int m = base + thread_index();
    const unsigned found = __ballot_sync(0xffffffffu, m >= 0 && m < N && index[m] == target);
    if (lane_index() == 0) lanes[warp_index()] = found;
    __syncthreads();
    return lanes;
  };
  for (int end = n; end > 0; end -= scatter_threads) {
    const unsigned* const lanes = look_from(end - scatter_threads);
    for (int w = 0; w < warps; ++w)
      if (lanes[w]) return;
  }
  const int column = (block_index_y() * scatter_threads + thread_index()) * Count;
  const bool mine = column < D;
  T* const to = y + static_cast<long long>(target - first) * D + column;
  Array<Accumulate<T>, Count> sum = {};
  if (mine) {
    const Pack<T, Count> before = load_pack<Count>(to);
    for (int i = 0; i < Count; ++i) sum[i] = widen(before.value[i]);
  }
  for (int base = n; base < N; base += scatter_threads) {
    const unsigned* const lanes = look_from(base);
    for (int w = 0; mine && w < warps; ++w)
      for (unsigned left = lanes[w]; left; left &= left - 1) {
        const long long m = base + w * 32 + __ffs(static_cast<int>(left)) - 1;
        const Pack<R, Count> term = load_pack<Count>(x + m * D + column);
        for (int i = 0; i < Count; ++i) sum[i] += static_cast<Accumulate<T>>(widen(term.value[i]));
      }
  }
  if (!mine) return;
  Pack<T, Count> after;
  for (int i = 0; i < Count; ++i) after.value[i] = narrow<T>(sum[i]);
  store_pack(to, after);
}

/// A block a row.
template <class R>
static __global__ void __launch_bounds__(row_threads) clear_rows_kernel(const int* index, R* x, int rows, int D) {
  const int row = index[block_index_x()];
  if (row < 0 || row >= rows) return;
  for (int d = thread_index(); d < D; d += row_threads) x[static_cast<long long>(row) * D + d] = narrow<R>(0);
}

template <class R>
static __global__ void __launch_bounds__(pointwise_threads)
    blend_kernel(const R* table, int rows, const BlendPlace* places, R* sum, long long size, int D) {
  using A = Accumulate<R>;
  const long long i = element_index();
  if (i >= size) return;
  const BlendPlace place = places[i / D];
  const long long column = i % D;
  const auto read = [&](int row) {
    return row >= 0 && row < rows ? static_cast<A>(widen(table[static_cast<long long>(row) * D + column]))
                                  : static_cast<A>(NAN);
  };
  const A low = static_cast<A>(1 - place.weight) * read(place.low),
          high = static_cast<A>(place.weight) * read(place.high);
  sum[i] = narrow<R>(widen(sum[i]) + (low + high));
}

template <class R, class T>
static __global__ void __launch_bounds__(pointwise_threads)
    blend_backward_kernel(const R* dsum, const BlendPlace* places, int N, T* dtable, long long size, int D) {
  using A = Accumulate<T>;
  const long long i = element_index();
  if (i >= size) return;
  const long long row = i / D, column = i % D;
  A sum = widen(dtable[i]);
  for (int n = 0; n < N; ++n) {
    const BlendPlace place = places[n];
    if (place.low != row && place.high != row) continue;
    const A g = static_cast<A>(widen(dsum[n * static_cast<long long>(D) + column]));
    if (place.low == row) sum += static_cast<A>(1 - place.weight) * g;
    if (place.high == row) sum += static_cast<A>(place.weight) * g;
  }
  dtable[i] = narrow<T>(sum);
}

template <class R>
static __global__ void __launch_bounds__(pointwise_threads)
    join_kernel(const R* a, int a_width, const R* b, int b_width, R* y, long long size) {
  const long long i = element_index();
  if (i >= size) return;
  const long long row = i / (a_width + b_width), column = i % (a_width + b_width);
  y[i] = column < a_width ? a[row * a_width + column] : b[row * b_width + column - a_width];
}

/// y (N, D) out of x (rows, D) and, from index `rows` on, out of more (more_rows, D).
template <class R>
cudaError_t gather(const R* x, int rows, const R* more, int more_rows, const int* index, R* y, int N, int D,
                   cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const long long size = static_cast<long long>(N) * D;
  if (packs(x, D) && packs(y, D) && (more_rows == 0 || packs(more, D)))
    return for_each_index(size / count, Gathered<count, R>{x, rows, more, more_rows, index, y, D}, stream);
  return for_each_index(size, Gathered<1, R>{x, rows, more, more_rows, index, y, D}, stream);
}
template <class R>
cudaError_t gather(const R* x, int rows, const int* index, R* y, int N, int D, cudaStream_t stream) {
  return gather(x, rows, static_cast<const R*>(nullptr), 0, index, y, N, D, stream);
}
/// x (N, D) into y (rows, D), no row of which is named twice.
template <class R>
cudaError_t place(const R* x, const int* index, int N, R* y, int rows, int D, cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const long long size = static_cast<long long>(N) * D;
  if (packs(x, D) && packs(y, D)) return for_each_index(size / count, Placed<count, R>{x, index, y, rows, D}, stream);
  return for_each_index(size, Placed<1, R>{x, index, y, rows, D}, stream);
}
/// x (N, D) into y (rows, D), whose row 0 is what `first` names. Sums in Accumulate<T>.
template <class R, class T>
cudaError_t scatter_add(const R* x, const int* index, int N, int first, T* y, int rows, int D, cudaStream_t stream) {
  constexpr int count = pack_count<T> < pack_count<R> ? pack_count<T> : pack_count<R>;
  const bool packed = packs(x, D) && packs(y, D);
  const auto kernel = packed ? scatter_add_kernel<count, R, T> : scatter_add_kernel<1, R, T>;
  return launch(grid_of(N, tiles_over(D, scatter_threads * (packed ? count : 1))), scatter_threads,
                2 * scatter_threads / 32 * sizeof(unsigned), stream, kernel, x, index, N, first, y, rows, D);
}
template <class R, class T>
cudaError_t scatter_add(const R* x, const int* index, int N, T* y, int rows, int D, cudaStream_t stream) {
  return scatter_add(x, index, N, 0, y, rows, D, stream);
}
/// Zeros in the `count` rows of x (rows, D) that index names.
template <class R>
cudaError_t clear_rows(const int* index, int count, R* x, int rows, int D, cudaStream_t stream) {
  return launch(grid_of(D > 0 ? count : 0), row_threads, 0, stream, clear_rows_kernel<R>, index, x, rows, D);
}
/// table (rows, D), sum (N, D).
template <class R>
cudaError_t blend(const R* table, int rows, const BlendPlace* places, R* sum, int N, int D, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, blend_kernel<R>, table, rows, places, sum, static_cast<long long>(size), D);
}
/// Adds dsum (N, D) to the rows of dtable (rows, D) that were read, by their weights.
template <class R, class T>
cudaError_t blend_backward(const R* dsum, const BlendPlace* places, int N, T* dtable, int rows, int D,
                           cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, blend_backward_kernel<R, T>, dsum, places, N, dtable,
                         static_cast<long long>(size), D);
}
/// y (N, a_width + b_width)
template <class R>
cudaError_t join(const R* a, int a_width, const R* b, int b_width, R* y, int N, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(a_width + b_width);
  return launch_elements(size, stream, join_kernel<R>, a, a_width, b, b_width, y, static_cast<long long>(size));
}

}  // namespace flamingo::raw
