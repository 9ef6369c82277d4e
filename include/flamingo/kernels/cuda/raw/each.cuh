/// A function of every index, by Thrust: nothing is allocated and nothing waited for. Emulated, a kernel of one thread.
#pragma once
#include "tile.cuh"

#if defined(__CUDACC__)
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>
#endif

namespace flamingo::raw {

#if defined(__CUDACC__)

/// f(i) for i = 0 ... count - 1, in any order.
template <class F>
cudaError_t for_each_index(long long count, const F& f, cudaStream_t stream) {
  try {
    thrust::for_each_n(thrust::cuda::par_nosync.on(stream), thrust::counting_iterator<long long>(0), count, f);
  } catch (const thrust::system_error& error) {
    return static_cast<cudaError_t>(error.code().value());
  }
  return cudaGetLastError();
}

#else

template <class F>
static __global__ void for_each_index_kernel(long long count, F f) {
  for (long long i = 0; i < count; ++i) f(i);
}
template <class F>
cudaError_t for_each_index(long long count, const F& f, cudaStream_t stream) {
  return launch(grid_of(count > 0), 1, 0, stream, for_each_index_kernel<F>, count, f);
}

#endif

}  // namespace flamingo::raw
