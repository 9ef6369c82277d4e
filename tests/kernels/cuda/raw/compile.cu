/// The raw kernels for every element type, compiled by nvcc in one file, which costs less than several: nothing runs.
/// Attention in bf16 is in compile_attention.cu too.
#include <flamingo/kernels/cuda/raw/few_rows.cuh>
#include <flamingo/kernels/cuda/raw/layer_norm.cuh>
#include <flamingo/kernels/cuda/raw/linear.cuh>
#include <flamingo/kernels/cuda/raw/packed_rows.cuh>

#include "compile_attention.cuh"
#include "compile_text.cuh"
#include "compile_vision.cuh"

namespace flamingo::raw {

#define INSTANTIATE_NORM(R, W)                                                                                         \
  template cudaError_t layer_norm_forward<R, W>(const R*, const W*, const W*, R*, Accumulate<R>*, Accumulate<R>*, int, \
                                                int, Accumulate<R>, cudaStream_t);                                     \
  template cudaError_t layer_norm_backward<R, W>(const R*, const R*, const W*, const Accumulate<R>*,                   \
                                                 const Accumulate<R>*, R*, Accumulate<R>*, Accumulate<R>*,             \
                                                 Accumulate<R>*, int, int, cudaStream_t);                              \
  template cudaError_t rms_norm_forward<R, W>(const R*, const W*, R*, Accumulate<R>*, int, int, Accumulate<R>,         \
                                              cudaStream_t);                                                           \
  template cudaError_t rms_norm_backward<R, W>(const R*, const R*, const W*, const Accumulate<R>*, R*, Accumulate<R>*, \
                                               Accumulate<R>*, int, int, cudaStream_t);

#define INSTANTIATE_LINEAR(R)                                                                                 \
  template cudaError_t linear_forward<R>(const R*, const R*, const R*, R*, int, int, int, cudaStream_t);      \
  template cudaError_t few_rows_forward<R, R>(const R*, const R*, const R*, R*, int, int, int, cudaStream_t); \
  template cudaError_t linear_backward_input<R>(const R*, const R*, R*, int, int, int, cudaStream_t);         \
  template cudaError_t linear_backward_weight<R>(const R*, const R*, Accumulate<R>*, int, int, int, cudaStream_t);

#define INSTANTIATE_PACKED(R)                                                                               \
  template cudaError_t unpack_rows<R>(const PackedView&, const R*, int, const int*, R*, int, cudaStream_t); \
  template cudaError_t packed_rows_forward<R>(const R*, const PackedView&, R*, int, cudaStream_t);

#define INSTANTIATE_ALL(R) \
  INSTANTIATE_NORM(R, R)   \
  INSTANTIATE_LINEAR(R)    \
  INSTANTIATE_PACKED(R)

INSTANTIATE_ALL(float)
INSTANTIATE_ALL(double)
INSTANTIATE_ALL(__nv_bfloat16)
INSTANTIATE_NORM(__nv_bfloat16, float)

INSTANTIATE_ATTENTION(64, float, None)
INSTANTIATE_ATTENTION(64, float, ByDistance<float>)
INSTANTIATE_ATTENTION(96, float, Alibi<float>)
INSTANTIATE_ATTENTION(16, double, None)
INSTANTIATE_ATTENTION(80, __nv_bfloat16, Alibi<float>)
INSTANTIATE_ATTENTION(80, __nv_bfloat16, ByDistance<__nv_bfloat16>)
INSTANTIATE_DECODE(96, float, Alibi<float>)
INSTANTIATE_DECODE(128, double, None)

}  // namespace flamingo::raw
