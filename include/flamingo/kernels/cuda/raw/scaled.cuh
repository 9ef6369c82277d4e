/// Element by element with a factor, on raw pointers.
///
///   y = s f(x),   y = exp(t) x (t one learned number, on the device),   y = a - b
///
/// What is written may be what is read.
#pragma once
#include <cstddef>

#include "row_sums.cuh"

namespace flamingo::raw {

template <int Count, class F, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    scaled_activate_kernel(const R* x, R* y, Accumulate<R> scale, long long packs) {
  const long long i = element_index();
  if (i >= packs) return;
  auto pack = load_pack<Count>(x + i * Count);
  for (int k = 0; k < Count; ++k) pack.value[k] = narrow<R>(scale * F::value(widen(pack.value[k])));
  store_pack(y + i * Count, pack);
}
template <int Count, class F, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    scaled_activate_backward_kernel(const R* x, const R* dy, R* dx, Accumulate<R> scale, long long packs) {
  const long long i = element_index();
  if (i >= packs) return;
  auto pack = load_pack<Count>(x + i * Count);
  const auto g = load_pack<Count>(dy + i * Count);
  for (int k = 0; k < Count; ++k)
    pack.value[k] = narrow<R>(F::slope(widen(pack.value[k])) * (scale * widen(g.value[k])));
  store_pack(dx + i * Count, pack);
}

template <class R>
static __global__ void __launch_bounds__(pointwise_threads)
    subtract_kernel(const R* a, const R* b, R* y, long long size) {
  const long long i = element_index();
  if (i < size) y[i] = narrow<R>(widen(a[i]) - widen(b[i]));
}

template <bool Add, class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    exp_scale_kernel(const R* x, const A* exponent, R* y, long long size) {
  const long long i = element_index();
  if (i >= size) return;
  const A scaled = exponential(exponent[0]) * widen(x[i]);
  y[i] = narrow<R>(Add ? widen(y[i]) + scaled : scaled);
}
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
  constexpr int count = pack_count<R>;
  const auto length = static_cast<long long>(size);
  const bool packed = packs(x, length) && packs(y, length);
  const long long pieces = packed ? length / count : length;
  return launch_elements(static_cast<std::size_t>(pieces), stream,
                         packed ? scaled_activate_kernel<count, F, R> : scaled_activate_kernel<1, F, R>, x, y, scale,
                         pieces);
}
/// dx = scale f'(x) dy
template <class F, class R>
cudaError_t scaled_activate_backward(const R* x, const R* dy, R* dx, Accumulate<R> scale, std::size_t size,
                                     cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const auto length = static_cast<long long>(size);
  const bool packed = packs(x, length) && packs(dy, length) && packs(dx, length);
  const long long pieces = packed ? length / count : length;
  return launch_elements(
      static_cast<std::size_t>(pieces), stream,
      packed ? scaled_activate_backward_kernel<count, F, R> : scaled_activate_backward_kernel<1, F, R>, x, dy, dx,
      scale, pieces);
}

/// y = a - b
template <class R>
cudaError_t subtract(const R* a, const R* b, R* y, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, subtract_kernel<R>, a, b, y, static_cast<long long>(size));
}

/// y = exp(exponent) x
template <class R>
cudaError_t exp_scale(const R* x, const Accumulate<R>* exponent, R* y, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, exp_scale_kernel<false, R, Accumulate<R>>, x, exponent, y,
                         static_cast<long long>(size));
}
/// dx += exp(exponent) dy
template <class R>
cudaError_t exp_scale_backward(const R* dy, const Accumulate<R>* exponent, R* dx, std::size_t size,
                               cudaStream_t stream) {
  return launch_elements(size, stream, exp_scale_kernel<true, R, Accumulate<R>>, dy, exponent, dx,
                         static_cast<long long>(size));
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
