/// A decoder of the Chinchilla type (Hoffmann et al. 2022), the language model of Flamingo: RMSNorm, Transformer-XL's
/// relative positions with a projection and two biases a block, GELU, biases.
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/model/decoders/stack.hpp>

namespace flamingo {

constexpr NormKind norm_of(const Chinchilla& c) { return c.norm_bias ? NormKind::rms_biased : NormKind::rms; }
constexpr TransformerBlockConfig block_of(const Chinchilla& c) {
  return {
      .attention = {.dim = c.dim,
                    .source_dim = c.dim,
                    .heads = c.heads,
                    .kv_heads = c.heads,
                    .head_dim = c.head_size(),
                    .bias = c.bias,
                    .relative = true,
                    .split = c.split},
      .dense = {.dim = c.dim, .hidden = c.hidden_size(), .activation = c.activation, .bias = c.bias, .split = c.split},
      .norm = norm_of(c),
      .epsilon = c.epsilon};
}

namespace model {

template <Chinchilla C, Platform P>
using ChinchillaBlock = nn::TransformerBlock<block_of(C), P>;

template <Chinchilla C, Platform P>
struct ChinchillaDecoder : DecoderStack<value_of(C), ChinchillaBlock<C, P>, norm_of(C), P> {
  static_assert(C.head_dim > 0 || C.dim % C.heads == 0, "Chinchilla: heads must divide dim, or head_dim must be given");
};

}  // namespace model
}  // namespace flamingo
