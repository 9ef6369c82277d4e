/// SmolLM2-135M, whose GGUF file examples/data/fetch brings.
#pragma once
#include <flamingo/config/decoder.hpp>

namespace caption {

inline constexpr flamingo::Llama smollm2{.dim = 576,
                                         .layers = 30,
                                         .heads = 9,
                                         .kv_heads = 3,
                                         .hidden = 1536,
                                         .vocabulary = 49152,
                                         .context = 8192,
                                         .rotary_base = 100000,
                                         .rotary_pairs = flamingo::RotaryPairs::adjacent,
                                         .tied = true};

}  // namespace caption
