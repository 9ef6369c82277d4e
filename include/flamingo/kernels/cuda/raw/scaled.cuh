/// Element by element with a factor, on raw pointers.
///
///   y = s f(x),   y = exp(t) x (t one learned number, on the device),   y = a - b
///
/// What is written may be what is read.
#pragma once
#include <cstddef>

#include "row_sums.cuh"

namespace flamingo::raw {

template <class F, class A>
struct Scaled {
  A scale;
  __device__ Scaled ready() const { return *this; }
  __device__ A operator()(long long, A x) const { return scale * F::value(x); }
  __device__ A operator()(long long, A x, A dy) const { return F::slope(x) * (scale * dy); }
};
struct Subtracted {
  __device__ Subtracted ready() const { return *this; }
  template <class A>
  __device__ A operator()(long long, A a, A b) const {
    return a - b;
  }
};
/// exp(exponent) x, and that added to what is there.
template <class A>
struct ExpScaled {
  const A* exponent;
  A factor = 0;
  __device__ ExpScaled ready() const { return {exponent, exponential(exponent[0])}; }
  __device__ A operator()(long long, A x) const { return factor * x; }
  __device__ A operator()(long long, A dy, A dx) const { return dx + factor * dy; }
};
/// partial (N): <a[n], b[n]>. A block a row.
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    row_product_kernel(const R* a, const R* b, A* partial, int D) {
  const long long row = static_cast<long long>(block_index_x()) * D;
  A own = 0;
  for (int c = thread_index(); c < D; c += pointwise_threads)
    own += static_cast<A>(widen(a[row + c])) * static_cast<A>(widen(b[row + c]));
  own = block_sum<pointwise_threads>(own);
  if (thread_index() == 0) partial[block_index_x()] = own;
}

/// y = scale f(x)
template <class F, class R>
cudaError_t scaled_activate(const R* x, R* y, Accumulate<R> scale, std::size_t size, cudaStream_t stream) {
  return map(Scaled<F, Accumulate<R>>{scale}, size, stream, y, x);
}
/// dx = scale f'(x) dy
template <class F, class R>
cudaError_t scaled_activate_backward(const R* x, const R* dy, R* dx, Accumulate<R> scale, std::size_t size,
                                     cudaStream_t stream) {
  return map(Scaled<F, Accumulate<R>>{scale}, size, stream, dx, x, dy);
}

/// y = a - b
template <class R>
cudaError_t subtract(const R* a, const R* b, R* y, std::size_t size, cudaStream_t stream) {
  return map(Subtracted{}, size, stream, y, a, b);
}

/// y = exp(exponent) x
template <class R>
cudaError_t exp_scale(const R* x, const Accumulate<R>* exponent, R* y, std::size_t size, cudaStream_t stream) {
  return map(ExpScaled<Accumulate<R>>{exponent}, size, stream, y, x);
}
/// dx += exp(exponent) dy
template <class R>
cudaError_t exp_scale_backward(const R* dy, const Accumulate<R>* exponent, R* dx, std::size_t size,
                               cudaStream_t stream) {
  return map(ExpScaled<Accumulate<R>>{exponent}, size, stream, dx, dy, static_cast<const R*>(dx));
}
/// dexponent += <dy, y> over all of (N, D). workspace: N elements. No atomics: the same bits every time.
template <class R>
cudaError_t exp_scale_backward_exponent(const R* y, const R* dy, Accumulate<R>* dexponent, Accumulate<R>* workspace,
                                        int N, int D, cudaStream_t stream) {
  using A = Accumulate<R>;
  const cudaError_t error = launch(grid_of(N), pointwise_threads, pointwise_threads / 32 * sizeof(A), stream,
                                   row_product_kernel<R, A>, y, dy, workspace, D);
  return error == cudaSuccess ? add_all(workspace, dexponent, N, stream) : error;
}

}  // namespace flamingo::raw
