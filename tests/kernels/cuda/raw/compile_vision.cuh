/// The raw kernels of vision encoders, for the element types of training.
#pragma once
#include <flamingo/kernels/cuda/raw/combine.cuh>
#include <flamingo/kernels/cuda/raw/convolution.cuh>
#include <flamingo/kernels/cuda/raw/excitation.cuh>
#include <flamingo/kernels/cuda/raw/pooling.cuh>
#include <flamingo/kernels/cuda/raw/scaled.cuh>
#include <flamingo/kernels/cuda/raw/sinusoid.cuh>
#include <flamingo/kernels/cuda/raw/standardise.cuh>

namespace flamingo::raw {

#define INSTANTIATE_CONVOLUTION(R)                                                                                   \
  template cudaError_t convolution_forward<R>(const R*, const R*, const Accumulate<R>*, R*, const Pictures&,         \
                                              const Window&, const Channels&, ClipTo<Accumulate<R>>, Accumulate<R>*, \
                                              cudaStream_t);                                                         \
  template cudaError_t convolution_backward_input<R>(const R*, const R*, R*, const Pictures&, const Window&,         \
                                                     const Channels&, Accumulate<R>*, cudaStream_t);                 \
  template cudaError_t convolution_backward_weight<R>(const R*, const R*, Accumulate<R>*, const Pictures&,           \
                                                      const Window&, const Channels&, Accumulate<R>*, cudaStream_t); \
  template cudaError_t convolution_backward_bias<R>(const R*, Accumulate<R>*, Accumulate<R>*, int, int, cudaStream_t);

#define INSTANTIATE_POOLING(R)                                                                                    \
  template cudaError_t max_pool<R>(const R*, R*, const Pictures&, const Window&, int, cudaStream_t);              \
  template cudaError_t max_pool_backward<R>(const R*, const R*, R*, const Pictures&, const Window&, int,          \
                                            cudaStream_t);                                                        \
  template cudaError_t average_pool<R>(const R*, R*, const Pictures&, const Window&, int, cudaStream_t);          \
  template cudaError_t average_pool_backward<R>(const R*, R*, const Pictures&, const Window&, int, cudaStream_t); \
  template cudaError_t picture_mean<R>(const R*, R*, const Pictures&, int, cudaStream_t);                         \
  template cudaError_t picture_mean_backward<R>(const R*, R*, const Pictures&, int, cudaStream_t);

#define INSTANTIATE_EXCITATION(R)                                                                                      \
  template cudaError_t excitation<R>(const R*, const Accumulate<R>*, const Accumulate<R>*, R*, int, int,               \
                                     cudaStream_t);                                                                    \
  template cudaError_t excitation_backward<R>(const R*, const Accumulate<R>*, const Accumulate<R>*, const R*, R*, int, \
                                              int, cudaStream_t);                                                      \
  template cudaError_t excitation_backward_gain<R>(const R*, const Accumulate<R>*, const R*, Accumulate<R>*,           \
                                                   Accumulate<R>*, int, int, cudaStream_t);                            \
  template cudaError_t excite<R>(const R*, const R*, const R*, R*, const Pictures&, int, cudaStream_t);                \
  template cudaError_t excite_backward<R>(const R*, const R*, const R*, R*, R*, const Pictures&, int, cudaStream_t);

#define INSTANTIATE_STANDARDISE(R)                                                                                   \
  template cudaError_t standardise<R>(const R*, const Accumulate<R>*, R*, int, int, StandardiseRule<Accumulate<R>>,  \
                                      cudaStream_t);                                                                 \
  template cudaError_t standardise_backward<R>(const R*, const Accumulate<R>*, const Accumulate<R>*, Accumulate<R>*, \
                                               Accumulate<R>*, int, int, StandardiseRule<Accumulate<R>>,             \
                                               cudaStream_t);

#define INSTANTIATE_COMBINE(R)                                                                                      \
  template cudaError_t combine<R>(const R*, int, const TapPlace*, int, R*, int, int, cudaStream_t);                 \
  template cudaError_t combine_backward<R, Accumulate<R>>(const R*, const TapPlace*, int, int, Accumulate<R>*, int, \
                                                          int, cudaStream_t);                                       \
  template cudaError_t write_columns<R>(const R*, R*, int, int, int, int, int, cudaStream_t);                       \
  template cudaError_t read_columns<R>(const R*, R*, int, int, int, int, int, cudaStream_t);

#define INSTANTIATE_SCALED(R)                                                                                       \
  template cudaError_t scaled_activate<Gelu, R>(const R*, R*, Accumulate<R>, std::size_t, cudaStream_t);            \
  template cudaError_t scaled_activate_backward<Gelu, R>(const R*, const R*, R*, Accumulate<R>, std::size_t,        \
                                                         cudaStream_t);                                             \
  template cudaError_t subtract<R>(const R*, const R*, R*, std::size_t, cudaStream_t);                              \
  template cudaError_t exp_scale<R>(const R*, const Accumulate<R>*, R*, std::size_t, cudaStream_t);                 \
  template cudaError_t exp_scale_backward<R>(const R*, const Accumulate<R>*, R*, std::size_t, cudaStream_t);        \
  template cudaError_t exp_scale_backward_exponent<R>(const R*, const R*, Accumulate<R>*, Accumulate<R>*, int, int, \
                                                      cudaStream_t);

#define INSTANTIATE_VISION(R) \
  INSTANTIATE_COMBINE(R)      \
  INSTANTIATE_CONVOLUTION(R)  \
  INSTANTIATE_POOLING(R)      \
  INSTANTIATE_EXCITATION(R)   \
  INSTANTIATE_SCALED(R)       \
  INSTANTIATE_STANDARDISE(R)  \
  template cudaError_t sinusoid<R>(R*, int, int, int, cudaStream_t);

INSTANTIATE_VISION(float)
INSTANTIATE_VISION(__nv_bfloat16)

}  // namespace flamingo::raw
