/// The k likeliest of each row of logits and their log-probabilities, on raw pointers.
///
///   log p = z - log Σ exp(z)
///
/// The likeliest first; of equals the lowest id. A row's bits do not depend on the other rows. A row is read k + 1
/// times (k + 2 where ids are banned), out of the cache but for the first, so this suits beams and a few dozen
/// candidates.
#pragma once
#include <climits>

#include "block.cuh"

namespace flamingo::raw {

/// -1 and -∞ where there is none.
struct Choice {
  int id;
  double log_p;
};

inline constexpr int choice_threads = 512;

template <class A>
struct Scored {
  A score;
  int id;
};
/// Whether a comes before b.
template <class A>
__device__ inline bool before(const Scored<A>& a, const Scored<A>& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

/// The best of a row among those after `last` that no one bans; where there is none the score is -∞.
template <class R, class A>
__device__ inline Scored<A> best_after(const R* row, int V, const Scored<A>& last, const int* banned,
                                       int banned_count) {
  constexpr A lowest = -static_cast<A>(INFINITY);
  Scored<A> own{lowest, INT_MAX};
  for (int id = thread_index(); id < V; id += choice_threads) {
    const Scored<A> z{static_cast<A>(widen(row[id])), id};
    if (!(z.score > lowest && before(z, own) && before(last, z))) continue;
    bool allowed = true;
    for (int i = 0; i < banned_count; ++i) allowed = allowed && banned[i] != id;
    if (allowed) own = z;
  }
  return block_reduce<choice_threads>(own, [](const Scored<A>& a, const Scored<A>& b) { return before(b, a) ? b : a; });
}

/// A block a row.
template <class R>
static __global__ void __launch_bounds__(choice_threads)
    likeliest_kernel(const R* logits, int V, const int* banned, int banned_count, int k, Choice* best) {
  using A = Accumulate<R>;
  const R* const row = logits + static_cast<long long>(block_index_x()) * V;
  Choice* const to = best + static_cast<long long>(block_index_x()) * k;
  const Scored<A> first{static_cast<A>(INFINITY), -1};
  const Scored<A> top = best_after(row, V, first, banned, 0);
  A sum = 0;
  for (int id = thread_index(); id < V; id += choice_threads)
    sum += exponential(static_cast<A>(widen(row[id])) - top.score);
  sum = block_reduce<choice_threads>(sum, [](A a, A b) { return a + b; });
  Scored<A> found = first;
  for (int i = 0; i < k; ++i) {
    found = i == 0 && banned_count == 0 ? top : best_after(row, V, found, banned, banned_count);
    if (thread_index() != 0) continue;
    const bool none = found.id == INT_MAX;
    to[i].id = none ? -1 : found.id;
    to[i].log_p = none ? -static_cast<double>(INFINITY)
                       : static_cast<double>(found.score - top.score) - static_cast<double>(logarithm(sum));
  }
}

/// logits (N, V), V > 0; banned (banned_count) on the device; best (N k).
template <class R>
cudaError_t likeliest(const R* logits, int N, int V, const int* banned, int banned_count, int k, Choice* best,
                      cudaStream_t stream) {
  return launch(grid_of(N), choice_threads, 0, stream, likeliest_kernel<R>, logits, V, banned, banned_count, k, best);
}

}  // namespace flamingo::raw
