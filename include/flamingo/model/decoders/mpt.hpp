/// A decoder of the MPT type (MosaicML 2023), the language model of OpenFlamingo 3B and 9B.
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/model/decoders/stack.hpp>

namespace flamingo {

constexpr TransformerBlockConfig block_of(const Mpt& c) {
  return {.attention = {.dim = c.dim,
                        .source_dim = c.dim,
                        .heads = c.heads,
                        .kv_heads = c.heads,
                        .head_dim = c.head_size(),
                        .clamp = c.clamp,
                        .qk_norm = c.qk_norm ? QkNorm::rows_layer : QkNorm::none,
                        .epsilon = c.epsilon,
                        .alibi = c.alibi},
          .dense = {.dim = c.dim, .hidden = c.hidden_size(), .activation = Activation::gelu},
          .norm = NormKind::layer_unbiased,
          .epsilon = c.epsilon};
}

namespace model {

template <Mpt C, Platform P>
using MptBlock = nn::TransformerBlock<block_of(C), P>;

template <Mpt C, Platform P>
struct MptDecoder : DecoderStack<value_of(C), MptBlock<C, P>, NormKind::layer_unbiased, P> {
  static_assert(C.dim % C.heads == 0, "Mpt: heads must divide dim");
};

}  // namespace model
}  // namespace flamingo
