/// Movement of rows on raw pointers.
///
///   gather: y[n] = x[index[n]]      scatter_add: y[index[n]] += x[n]      join: y[n] = [a[n], b[n]]
///   blend: sum[n] += (1 - w[n]) table[low[n]] + w[n] table[high[n]]
///
/// Sums have one owner and one order, n ascending: a thread a target number walks the whole list. That suits tables of
/// some hundred rows (latents, times, places), not vocabularies. Indices outside a table are never followed: what would
/// be read there is NaN, what would be added there is left out.
#pragma once
#include <cstddef>

#include "pointwise.cuh"

namespace flamingo::raw {

/// A place between two rows of a table.
struct BlendPlace {
  int low, high;
  float weight;  ///< of `high`
};

template <class R>
static __global__ void __launch_bounds__(pointwise_threads)
    gather_kernel(const R* x, int rows, const int* index, R* y, long long size, int D) {
  const long long i = element_index();
  if (i >= size) return;
  const int from = index[i / D];
  y[i] = from >= 0 && from < rows ? x[static_cast<long long>(from) * D + i % D] : narrow<R>(NAN);
}

/// T: the type of the sums.
template <class R, class T>
static __global__ void __launch_bounds__(pointwise_threads)
    scatter_add_kernel(const R* x, const int* index, int N, T* y, long long size, int D) {
  const long long i = element_index();
  if (i >= size) return;
  const long long row = i / D, column = i % D;
  Accumulate<T> sum = widen(y[i]);
  for (int n = 0; n < N; ++n)
    if (index[n] == row) sum += static_cast<Accumulate<T>>(widen(x[n * static_cast<long long>(D) + column]));
  y[i] = narrow<T>(sum);
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

/// y (N, D) out of x (rows, D).
template <class R>
cudaError_t gather(const R* x, int rows, const int* index, R* y, int N, int D, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, gather_kernel<R>, x, rows, index, y, static_cast<long long>(size), D);
}
/// x (N, D) into y (rows, D).
template <class R, class T>
cudaError_t scatter_add(const R* x, const int* index, int N, T* y, int rows, int D, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, scatter_add_kernel<R, T>, x, index, N, y, static_cast<long long>(size), D);
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
