/// The raw kernels that words need, for the element types of training.
#pragma once
#include <flamingo/kernels/cuda/raw/adamw.cuh>
#include <flamingo/kernels/cuda/raw/arrange.cuh>
#include <flamingo/kernels/cuda/raw/choice.cuh>
#include <flamingo/kernels/cuda/raw/cross_entropy.cuh>
#include <flamingo/kernels/cuda/raw/dropout.cuh>
#include <flamingo/kernels/cuda/raw/rotary.cuh>

namespace flamingo::raw {

#define INSTANTIATE_TEXT(R)                                                                                          \
  template cudaError_t gather<R>(const R*, int, const R*, int, const int*, R*, int, int, cudaStream_t);              \
  template cudaError_t scatter_add<R, R>(const R*, const int*, int, int, R*, int, int, cudaStream_t);                \
  template cudaError_t likeliest<R>(const R*, int, int, const int*, int, int, Choice*, cudaStream_t);                \
  template cudaError_t clear_rows<R>(const int*, int, R*, int, int, cudaStream_t);                                   \
  template cudaError_t rotary<R>(const RotaryFrequencies&, double, bool, const int*, R*, int, int, int, int,         \
                                 cudaStream_t);                                                                      \
  template cudaError_t dropout<R>(PhiloxKey, std::uint64_t, std::uint64_t, Accumulate<R>, const R*, R*, std::size_t, \
                                  cudaStream_t);

#define INSTANTIATE_ENTROPY(R)                                                                              \
  template cudaError_t entropy_update<R>(const R*, int, int, int, const int*, Accumulate<R>, Accumulate<R>, \
                                         Accumulate<R>*, Accumulate<R>*, Accumulate<R>*, cudaStream_t);     \
  template cudaError_t entropy_gradient<R>(R*, int, int, int, const int*, Accumulate<R>, Accumulate<R>,     \
                                           const Accumulate<R>*, const Accumulate<R>*, Accumulate<R>, cudaStream_t);

#define INSTANTIATE_UPDATE(T)                                                                                    \
  template cudaError_t adamw<T>(const AdamWNumbers<T>&, T*, const T*, T*, T*, std::size_t, cudaStream_t);        \
  template cudaError_t entropy_begin<T>(const int*, int, T*, T*, T*, int, cudaStream_t);                         \
  template cudaError_t entropy_finish<T>(T*, const T*, const T*, T*, int, cudaStream_t);                         \
  template cudaError_t sum_of_squares<T>(const T*, std::size_t, double*, double*, cudaStream_t);                 \
  template cudaError_t follow<T>(T, const T*, T*, std::size_t, cudaStream_t);                                    \
  template cudaError_t adamw<T, HalfMoments>(const AdamWNumbers<T>&, T*, const T*, const HalfMoments&, unsigned, \
                                             std::size_t, cudaStream_t);                                         \
  template cudaError_t adamw<T, ByteMoments>(const AdamWNumbers<T>&, T*, const T*, const ByteMoments&, unsigned, \
                                             std::size_t, cudaStream_t);

INSTANTIATE_TEXT(float)
INSTANTIATE_TEXT(__nv_bfloat16)
INSTANTIATE_ENTROPY(float)
INSTANTIATE_ENTROPY(__nv_bfloat16)
INSTANTIATE_UPDATE(float)
template cudaError_t scatter_add<__nv_bfloat16, float>(const __nv_bfloat16*, const int*, int, int, float*, int, int,
                                                       cudaStream_t);

}  // namespace flamingo::raw
