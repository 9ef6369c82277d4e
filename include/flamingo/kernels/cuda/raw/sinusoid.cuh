/// Sinusoids of distances on raw pointers.
///
///   y[n] = (sin(d f_0), sin(d f_1) ... cos(d f_0), cos(d f_1) ...),  d = first + n,  f_i = 10000^(-2i/D)
///
/// y (N, D), D even (Vaswani et al. 2017, in the order of Dai et al. 2019).
#pragma once
#include "pointwise.cuh"

namespace flamingo::raw {

/// A thread for a sine and its cosine. In double whatever R is: a float's angle of some thousand radians has three
/// digits left.
template <class R>
static __global__ void __launch_bounds__(pointwise_threads) sinusoid_kernel(R* y, int first, int half, long long size) {
  const long long i = element_index();
  if (i >= size) return;
  const long long n = i / half, c = i % half;
  const double angle =
      static_cast<double>(first + n) * pow(10000.0, -static_cast<double>(c) / static_cast<double>(half));
  R* const row = y + n * 2 * half;
  row[c] = narrow<R>(static_cast<Accumulate<R>>(sin(angle)));
  row[half + c] = narrow<R>(static_cast<Accumulate<R>>(cos(angle)));
}

template <class R>
cudaError_t sinusoid(R* y, int first, int N, int D, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D / 2);
  return launch_elements(size, stream, sinusoid_kernel<R>, y, first, D / 2, static_cast<long long>(size));
}

}  // namespace flamingo::raw
