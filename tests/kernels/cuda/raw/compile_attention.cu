/// Attention in bf16 with the largest heads, and that of single rows, optimised: resources.py looks at what the
/// compiler made of them. Nothing runs.
#include "compile_attention.cuh"

namespace flamingo::raw {

INSTANTIATE_ATTENTION(128, __nv_bfloat16, None)
INSTANTIATE_DECODE(128, __nv_bfloat16, None)
INSTANTIATE_DECODE(64, __nv_bfloat16, Alibi<float>)

}  // namespace flamingo::raw
