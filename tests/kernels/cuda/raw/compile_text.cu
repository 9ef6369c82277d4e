/// The raw kernels that words need, for every element type, compiled by nvcc: nothing runs.
#include <flamingo/kernels/cuda/raw/arrange.cuh>

namespace flamingo::raw {

#define INSTANTIATE_ALL(R)                                                                              \
  template cudaError_t gather<R>(const R*, int, const R*, int, const int*, R*, int, int, cudaStream_t); \
  template cudaError_t scatter_add<R, R>(const R*, const int*, int, int, R*, int, int, cudaStream_t);   \
  template cudaError_t clear_rows<R>(const int*, int, R*, int, int, cudaStream_t);

INSTANTIATE_ALL(float)
INSTANTIATE_ALL(double)
INSTANTIATE_ALL(__nv_bfloat16)
template cudaError_t scatter_add<__nv_bfloat16, float>(const __nv_bfloat16*, const int*, int, int, float*, int, int,
                                                       cudaStream_t);

}  // namespace flamingo::raw
