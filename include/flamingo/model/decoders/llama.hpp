/// A decoder of the LLaMA type (Touvron et al. 2023): RMSNorm, rotary positions, grouped queries, SwiGLU.
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/model/decoders/stack.hpp>

namespace flamingo {

constexpr TransformerBlockConfig block_of(const Llama& c) {
  return {.attention = {.dim = c.dim,
                        .source_dim = c.dim,
                        .heads = c.heads,
                        .kv_heads = c.kv_heads,
                        .head_dim = c.head_size(),
                        .rotary = true,
                        .rotary_base = c.rotary_base,
                        .rotary_pairs = c.rotary_pairs,
                        .rotary_scaling = c.rotary_scaling,
                        .split = c.split},
          .dense = {.dim = c.dim, .hidden = c.hidden, .activation = Activation::silu, .split = c.split},
          .gated_dense = true,
          .norm = NormKind::rms,
          .epsilon = c.epsilon};
}

namespace model {

template <Llama C, Platform P>
using LlamaBlock = nn::TransformerBlock<block_of(C), P>;

template <Llama C, Platform P>
struct LlamaDecoder : DecoderStack<value_of(C), LlamaBlock<C, P>, NormKind::rms, P> {
  static_assert(C.head_dim > 0 || C.dim % C.heads == 0, "Llama: heads must divide dim, or head_dim must be given");
};

}  // namespace model
}  // namespace flamingo
