/// Attention in bf16 with the largest heads, optimised: resources.py looks at what the compiler made of it. Nothing
/// runs.
#include "compile_attention.cuh"

namespace flamingo::raw {

INSTANTIATE_ATTENTION(128, __nv_bfloat16, None)

}  // namespace flamingo::raw
