/// A decoder of the GPT-NeoX type (Black et al. 2022), the language model of OpenFlamingo 4B (RedPajama-INCITE-3B).
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/model/decoders/stack.hpp>

namespace flamingo {

constexpr TransformerBlockConfig block_of(const GptNeox& c) {
  return {
      .attention = {.dim = c.dim,
                    .source_dim = c.dim,
                    .heads = c.heads,
                    .kv_heads = c.heads,
                    .head_dim = c.head_size(),
                    .bias = true,
                    .rotary = true,
                    .turned = c.turned(),
                    .rotary_base = c.rotary_base,
                    .split = c.split},
      .dense = {.dim = c.dim, .hidden = c.hidden_size(), .activation = c.activation, .bias = true, .split = c.split},
      .epsilon = c.epsilon,
      .parallel = c.parallel};
}

namespace model {

template <GptNeox C, Platform P>
using GptNeoxBlock = nn::TransformerBlock<block_of(C), P>;

template <GptNeox C, Platform P>
struct GptNeoxDecoder : DecoderStack<value_of(C), GptNeoxBlock<C, P>, NormKind::layer, P> {
  static_assert(C.dim % C.heads == 0, "GptNeox: heads must divide dim");
};

}  // namespace model
}  // namespace flamingo
