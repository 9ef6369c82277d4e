/// A block's reductions, by CUB; emulated, one thread goes through them.
#pragma once
#include "tile.cuh"

#if defined(__CUDACC__)
#include <cub/block/block_reduce.cuh>
#endif

namespace flamingo::raw {

/// The block's T in shared memory: one for each type.
template <class T>
__device__ inline T& block_storage() {
  __shared__ T storage;
  return storage;
}

/// What join makes of all threads' own values, in every thread; join is associative and commutative. The same bits
/// every time. All `Threads` of the block take part.
template <int Threads, class T, class Join>
__device__ inline T block_reduce(T own, const Join& join) {
  static_assert(Threads > 32, "block_reduce: a block of one warp has no barrier between one reduction and the next");
#if defined(__CUDACC__)
  using Reduce = cub::BlockReduce<T, Threads>;
  T& all = block_storage<T>();
  own = Reduce(block_storage<typename Reduce::TempStorage>()).Reduce(own, join);
#else
  struct Parts {
    Array<T, Threads> part;
  };
  T& all = block_storage<T>();
  Parts& parts = block_storage<Parts>();
  parts.part[thread_index()] = own;
  __syncthreads();
  if (thread_index() == 0)
    for (int i = 1; i < Threads; ++i) own = join(own, parts.part[i]);
#endif
  if (thread_index() == 0) all = own;
  __syncthreads();
  return all;  // written again after the next reduction's first barrier
}

}  // namespace flamingo::raw
