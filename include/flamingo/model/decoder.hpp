/// Which layer computes a decoder's config. A host specialises DecoderLayer for a config type of its own.
#pragma once
#include <flamingo/model/decoders/chinchilla.hpp>
#include <flamingo/model/decoders/gpt_neox.hpp>
#include <flamingo/model/decoders/llama.hpp>
#include <flamingo/model/decoders/mpt.hpp>

namespace flamingo {

/// Names, as `type`, the layer of a decoder's config; picked by the config's type.
template <auto C, Platform P>
struct DecoderLayer;

template <Llama C, Platform P>
struct DecoderLayer<C, P> {
  using type = model::LlamaDecoder<C, P>;
};
template <Mpt C, Platform P>
struct DecoderLayer<C, P> {
  using type = model::MptDecoder<C, P>;
};
template <GptNeox C, Platform P>
struct DecoderLayer<C, P> {
  using type = model::GptNeoxDecoder<C, P>;
};
template <Chinchilla C, Platform P>
struct DecoderLayer<C, P> {
  using type = model::ChinchillaDecoder<C, P>;
};

/// The decoder of config value C on P: Llama -> model::LlamaDecoder.
template <auto C, Platform P>
using DecoderOf = typename DecoderLayer<C, P>::type;

}  // namespace flamingo
