/// Rows of heads side by side, and each head's rows by themselves, on raw pointers.
///
///   split: y[h][n] = scale (x[n][h] + bias[h]), zero for the rows after x's       join: y[n][h] (+)= scale x[h][n]
///
/// x of split and y of join (N, H K) with any stride; the other one (H, rows, K), packed: operands of products.
#pragma once
#include <cstddef>

#include "attention_walk.cuh"
#include "pointwise.cuh"

namespace flamingo::raw {

/// Where this thread's number of (H, rows, K) lies, as indices.
struct HeadPlace {
  int head, row, channel;

  __device__ HeadPlace(long long i, int rows, int K)
      : head(static_cast<int>(i / K / rows)), row(static_cast<int>(i / K % rows)), channel(static_cast<int>(i % K)) {}
};

template <class R>
static __global__ void __launch_bounds__(pointwise_threads)
    split_heads_kernel(Strided<const R> x, const Accumulate<R>* bias, Accumulate<R> scale, int N, int heads, int rows,
                       int K, R* y) {
  const long long i = element_index();
  if (i >= static_cast<long long>(heads) * rows * K) return;
  const HeadPlace at(i, rows, K);
  const int column = at.head * K + at.channel;
  Accumulate<R> value = 0;
  if (at.row < N) value = scale * (widen(x.data[at.row * x.stride + column]) + (bias ? bias[column] : 0));
  y[i] = narrow<R>(value);
}

template <bool Add, class X, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    join_heads_kernel(const X* x, Accumulate<R> scale, int N, int heads, int rows, int K, Strided<R> y) {
  const long long i = element_index();
  if (i >= static_cast<long long>(heads) * rows * K) return;
  const HeadPlace at(i, rows, K);
  if (at.row >= N) return;
  R& to = y.data[at.row * y.stride + at.head * K + at.channel];
  const Accumulate<R> value = scale * static_cast<Accumulate<R>>(widen(x[i]));
  to = narrow<R>(Add ? static_cast<Accumulate<R>>(widen(to)) + value : value);
}

/// Writes y (heads, rows, K) out of the first `heads` heads of x's N rows; bias (heads K) may be null; rows >= N.
template <class R>
cudaError_t split_heads(Strided<const R> x, const Accumulate<R>* bias, Accumulate<R> scale, int N, int heads, int rows,
                        int K, R* y, cudaStream_t stream) {
  return launch_elements(numbers_of_rows(heads * rows, K), stream, split_heads_kernel<R>, x, bias, scale, N, heads,
                         rows, K, y);
}
/// Writes, or adds, the first N rows of each head of x (heads, rows, K) to y (N, heads K).
template <bool Add, class X, class R>
cudaError_t join_heads(const X* x, Accumulate<R> scale, int N, int heads, int rows, int K, Strided<R> y,
                       cudaStream_t stream) {
  return launch_elements(numbers_of_rows(heads * rows, K), stream, join_heads_kernel<Add, X, R>, x, scale, N, heads,
                         rows, K, y);
}

}  // namespace flamingo::raw
