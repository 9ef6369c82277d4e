/// Which layer computes a decoder's config. A host specialises DecoderLayer for a config type of its own.
#pragma once
#include <concepts>
#include <type_traits>

#include <flamingo/core/kinds.hpp>
#include <flamingo/model/decoders/chinchilla.hpp>
#include <flamingo/model/decoders/gpt_neox.hpp>
#include <flamingo/model/decoders/llama.hpp>
#include <flamingo/model/decoders/mpt.hpp>

namespace flamingo {

/// Names, as `type`, the layer of a decoder's config; picked by the config's type.
template <auto C, Platform P>
struct DecoderLayer;

template <auto C, Platform P>
  requires detail::same_config<C, Llama>
struct DecoderLayer<C, P> {
  using type = model::LlamaDecoder<value_of(C), P>;
};
template <auto C, Platform P>
  requires detail::same_config<C, Mpt>
struct DecoderLayer<C, P> {
  using type = model::MptDecoder<value_of(C), P>;
};
template <auto C, Platform P>
  requires detail::same_config<C, GptNeox>
struct DecoderLayer<C, P> {
  using type = model::GptNeoxDecoder<value_of(C), P>;
};
template <auto C, Platform P>
  requires detail::same_config<C, Chinchilla>
struct DecoderLayer<C, P> {
  using type = model::ChinchillaDecoder<value_of(C), P>;
};

/// The decoder of config value C on P: Llama -> model::LlamaDecoder.
template <auto C, Platform P>
using DecoderOf = typename DecoderLayer<C, P>::type;

}  // namespace flamingo
