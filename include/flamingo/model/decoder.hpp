/// Which layer a decoder's config picks. A host specialises DecoderOf for a config of its own.
#pragma once
#include <flamingo/model/decoders/llama.hpp>

namespace flamingo {

namespace detail {
template <class Config>
struct DecoderLayer;
template <>
struct DecoderLayer<Llama> {
  template <Llama C, Platform P>
  using Layer = model::LlamaDecoder<C, P>;
};
}  // namespace detail

/// The decoder of config value C on P: Llama -> model::LlamaDecoder.
template <auto C, Platform P>
using DecoderOf = typename detail::DecoderLayer<std::remove_const_t<decltype(C)>>::template Layer<C, P>;

}  // namespace flamingo
