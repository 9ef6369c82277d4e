/// What a token runs, in bf16, for tests/structure/resources.py: what registers, and whether a kernel that may begin
/// early waits before it touches memory.
#include <flamingo/kernels/cuda/raw/few_rows.cuh>
#include <flamingo/kernels/cuda/raw/layer_norm.cuh>
#include <flamingo/kernels/cuda/raw/packed_rows.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>
#include <flamingo/kernels/cuda/raw/rotary.cuh>

namespace flamingo::raw {

using B = __nv_bfloat16;
template cudaError_t few_rows_forward<B, float>(const B*, const B*, const float*, B*, int, int, int, cudaStream_t);
template cudaError_t few_rows_activate<SquaredRelu, B>(const B*, const B*, const float*, B*, int, int, int,
                                                       cudaStream_t);
template cudaError_t few_rows_activate<Gelu, B>(const B*, const B*, const float*, B*, int, int, int, cudaStream_t);
template cudaError_t few_rows_gate_activate<Silu, B>(const B*, const B*, const B*, B*, int, int, int, cudaStream_t);
template cudaError_t few_rows_forward<float, float>(const float*, const float*, const float*, float*, int, int, int,
                                                    cudaStream_t);
template cudaError_t packed_rows_forward<float>(const float*, const PackedView&, float*, int, cudaStream_t);
template cudaError_t packed_rows_forward<B>(const B*, const PackedView&, B*, int, cudaStream_t);
template cudaError_t norm_forward<true, B, float>(const B*, const float*, const float*, B*, float*, float*, int, int,
                                                  float, cudaStream_t);
template cudaError_t norm_forward<false, B, float>(const B*, const float*, const float*, B*, float*, float*, int, int,
                                                   float, cudaStream_t);
template cudaError_t rotary<B>(const RotaryFrequencies&, double, bool, const int*, B*, int, int, int, int,
                               cudaStream_t);
template cudaError_t add<B>(const B*, const B*, B*, std::size_t, cudaStream_t);
template cudaError_t gated_add<B>(const B*, const float*, int, const B*, B*, int, int, cudaStream_t);
template cudaError_t activate<SquaredRelu, B>(const B*, B*, std::size_t, cudaStream_t);
template cudaError_t gate_activate<Silu, B>(const B*, const B*, B*, std::size_t, cudaStream_t);

}  // namespace flamingo::raw
