#include <flamingo/model/decoder.hpp>

#include <catch2/catch.hpp>
#include <type_traits>

#include <flamingo/config/flamingo.hpp>

namespace decoder_test {

using namespace flamingo;

namespace {

/// A host's own language model: no more than what a config must say.
struct Bigrams {
  int dim = 5, layers = 3, vocabulary = 7, added = 0;
};
template <Bigrams C, Platform P>
struct BigramDecoder {
  static constexpr int V = C.vocabulary;
};

}  // namespace
}  // namespace decoder_test

template <decoder_test::Bigrams C, flamingo::Platform P>
struct flamingo::DecoderLayer<C, P> {
  using type = decoder_test::BigramDecoder<C, P>;
};

namespace decoder_test {

TEST_CASE("a config's type picks its decoder, a host's own too", "[decoder]") {
  using P = Cpu<float>;
  constexpr Llama llama{.dim = 12, .layers = 2, .heads = 3, .kv_heads = 3, .hidden = 17, .vocabulary = 19};
  STATIC_REQUIRE(std::is_same_v<DecoderOf<llama, P>, model::LlamaDecoder<llama, P>>);
  STATIC_REQUIRE(std::is_same_v<DecoderOf<Bigrams{}, P>, BigramDecoder<Bigrams{}, P>>);
  constexpr FlamingoConfig<Llama, Bigrams> config{};  // any type will do for vision
  STATIC_REQUIRE(std::is_same_v<DecoderOf<config.lm, P>, BigramDecoder<Bigrams{}, P>>);
  CHECK(config.gated_blocks() == 1);
}

}  // namespace decoder_test
