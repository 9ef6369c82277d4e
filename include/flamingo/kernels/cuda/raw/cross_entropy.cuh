/// Running log-sum-exp over chunks of a vocabulary on raw pointers, and its gradient.
///
///   begin, then for each chunk of logits z (N, C), whose column 0 is entry `first`:
///     maximum' = max(maximum, max z)      sum' = sum exp(maximum - maximum') + Σ exp(z - maximum')
///     target += own z[target] + each Σ z
///   finish: lse = maximum + log sum, nll = lse - target
///   gradient of Σ weight (nll + of_lse/2 lse²): z = weight ((1 + of_lse lse) exp(z - lse) - each), and own weight less
///   at the target
///
/// maximum, sum, target, lse, nll, weights (N) in Accumulate<R>; targets (N). A target outside the vocabulary has a nll
/// of NaN. A row's bits do not depend on the other rows.
#pragma once
#include <cstddef>

#include "block.cuh"

namespace flamingo::raw {

inline constexpr int entropy_threads = 256;

template <class A>
static __global__ void __launch_bounds__(entropy_threads)
    entropy_begin_kernel(const int* targets, int vocabulary, A* maximum, A* sum, A* target, int N) {
  const int n = block_index_x() * entropy_threads + thread_index();
  if (n >= N) return;
  maximum[n] = -static_cast<A>(INFINITY);
  sum[n] = 0;
  target[n] = targets[n] >= 0 && targets[n] < vocabulary ? A(0) : static_cast<A>(NAN);
}

/// A block a row: once for the maximum, once (out of the cache) for the sums.
template <int Count, class R, class A>
static __global__ void __launch_bounds__(entropy_threads)
    entropy_update_kernel(const R* logits, int C, int first, const int* targets, A own, A each, A* maximum, A* sum,
                          A* target) {
  const int n = block_index_x();
  const R* const row = logits + static_cast<long long>(n) * C;
  const A before = maximum[n];
  const auto greater = [](A a, A b) { return larger(a, b); };
  const auto plus = [](A a, A b) { return a + b; };
  A most = before;
  for (int c = thread_index() * Count; c < C; c += entropy_threads * Count) {
    const Pack<R, Count> z = load_pack<Count>(row + c);
    for (int i = 0; i < Count; ++i) most = larger(most, static_cast<A>(widen(z.value[i])));
  }
  most = block_reduce<entropy_threads>(most, greater);
  A parts = 0, plain = 0;
  for (int c = thread_index() * Count; c < C; c += entropy_threads * Count) {
    const Pack<R, Count> z = load_pack<Count>(row + c);
    for (int i = 0; i < Count; ++i) {
      const A number = widen(z.value[i]);
      parts += exponential(number - most);
      plain += number;
    }
  }
  parts = block_reduce<entropy_threads>(parts, plus);
  if (each > A(0)) plain = block_reduce<entropy_threads>(plain, plus);
  if (thread_index() != 0) return;
  sum[n] = sum[n] * exponential(before - most) + parts;
  maximum[n] = most;
  const long long at = static_cast<long long>(targets[n]) - first;
  A seen = target[n];
  if (at >= 0 && at < C) seen += own * static_cast<A>(widen(row[at]));
  if (each > A(0)) seen += each * plain;
  target[n] = seen;
}

template <class A>
static __global__ void __launch_bounds__(entropy_threads)
    entropy_finish_kernel(A* lse, const A* sum, const A* target, A* nll, int N) {
  const int n = block_index_x() * entropy_threads + thread_index();
  if (n >= N) return;
  const A log_sum = lse[n] + logarithm(sum[n]);
  lse[n] = log_sum;
  nll[n] = log_sum - target[n];
}

/// A block a row and tile of columns, Count numbers a thread.
template <int Count, class R, class A>
static __global__ void __launch_bounds__(entropy_threads)
    entropy_gradient_kernel(R* logits, int C, int first, const int* targets, A own, A each, const A* lse,
                            const A* weights, A of_lse) {
  const int n = block_index_x(), c = (block_index_y() * entropy_threads + thread_index()) * Count;
  if (c >= C) return;
  const A weight = weights[n], log_sum = lse[n], counts = 1 + of_lse * log_sum;
  const long long at = static_cast<long long>(targets[n]) - first - c;
  R* const to = logits + static_cast<long long>(n) * C + c;
  Pack<R, Count> z = load_pack<Count>(to);
  for (int i = 0; i < Count; ++i) {
    A slope = weight * (counts * exponential(static_cast<A>(widen(z.value[i])) - log_sum) - each);
    if (at == i) slope -= own * weight;
    z.value[i] = narrow<R>(slope);
  }
  store_pack(to, z);
}

/// `vocabulary`: of all chunks together.
template <class A>
cudaError_t entropy_begin(const int* targets, int vocabulary, A* maximum, A* sum, A* target, int N,
                          cudaStream_t stream) {
  return launch(grid_of(tiles_over(N, entropy_threads)), entropy_threads, 0, stream, entropy_begin_kernel<A>, targets,
                vocabulary, maximum, sum, target, N);
}
/// logits (N, C), C > 0.
template <class R>
cudaError_t entropy_update(const R* logits, int N, int C, int first, const int* targets, Accumulate<R> own,
                           Accumulate<R> each, Accumulate<R>* maximum, Accumulate<R>* sum, Accumulate<R>* target,
                           cudaStream_t stream) {
  using A = Accumulate<R>;
  const auto kernel = packs(logits, C) ? entropy_update_kernel<pack_count<R>, R, A> : entropy_update_kernel<1, R, A>;
  return launch(grid_of(N), entropy_threads, 0, stream, kernel, logits, C, first, targets, own, each, maximum, sum,
                target);
}
/// `lse` comes as the maximum.
template <class A>
cudaError_t entropy_finish(A* lse, const A* sum, const A* target, A* nll, int N, cudaStream_t stream) {
  return launch(grid_of(tiles_over(N, entropy_threads)), entropy_threads, 0, stream, entropy_finish_kernel<A>, lse, sum,
                target, nll, N);
}
/// logits (N, C) become their gradient.
template <class R>
cudaError_t entropy_gradient(R* logits, int N, int C, int first, const int* targets, Accumulate<R> own,
                             Accumulate<R> each, const Accumulate<R>* lse, const Accumulate<R>* weights,
                             Accumulate<R> of_lse, cudaStream_t stream) {
  using A = Accumulate<R>;
  const bool packed = packs(logits, C);
  const auto kernel = packed ? entropy_gradient_kernel<pack_count<R>, R, A> : entropy_gradient_kernel<1, R, A>;
  return launch(grid_of(N, tiles_over(C, entropy_threads * (packed ? pack_count<R> : 1))), entropy_threads, 0, stream,
                kernel, logits, C, first, targets, own, each, lse, weights, of_lse);
}

}  // namespace flamingo::raw
