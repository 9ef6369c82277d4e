#include <flamingo/model/decoders/llama_names.hpp>

#include <catch2/catch.hpp>

#include "io/gguf_writer.hpp"

using namespace flamingo;
using namespace flamingo::tests;

TEST_CASE("Parameters have the names that GGUF and Hugging Face give them") {
  CHECK(gguf_llama_name("embedding") == "token_embd.weight");
  CHECK(gguf_llama_name("blocks.17.attention.key") == "blk.17.attn_k.weight");
  CHECK(gguf_llama_name("blocks.0.norm_dense.scale") == "blk.0.ffn_norm.weight");
  CHECK(gguf_llama_name("norm.scale") == "output_norm.weight");
  CHECK(hugging_face_llama_name("blocks.17.dense.gate") == "model.layers.17.mlp.gate_proj.weight");
  CHECK(hugging_face_llama_name("output") == "lm_head.weight");
  CHECK(hugging_face_llama_name("unheard.of") == "unheard.of");
}

namespace {

/// The header of a GGUF file whose model has the sizes of `c`, but for `layers`.
std::string header_of(const Llama& c, std::uint32_t layers) {
  constexpr std::uint32_t u32 = 4, f32 = 6, text = 8;
  GgufWriter writer;
  const auto number = [&](const char* key, int value) {
    writer.key(key, u32, bytes_of(static_cast<std::uint32_t>(value)));
  };
  writer.key("general.architecture", text, GgufWriter::string("llama"));
  number("llama.embedding_length", c.dim);
  number("llama.block_count", static_cast<int>(layers));
  number("llama.attention.head_count", c.heads);
  number("llama.attention.head_count_kv", c.kv_heads);
  number("llama.feed_forward_length", c.hidden);
  writer.key("llama.rope.freq_base", f32, bytes_of(static_cast<float>(c.rotary_base)));
  writer.key("llama.attention.layer_norm_rms_epsilon", f32, bytes_of(c.epsilon));
  return writer.file();
}

}  // namespace

TEST_CASE("A GGUF file that contradicts the compiled config is refused, with both numbers") {
  constexpr Llama c{.dim = 12,
                    .layers = 3,
                    .heads = 6,
                    .kv_heads = 2,
                    .hidden = 20,
                    .vocabulary = 31,
                    .rotary_pairs = RotaryPairs::adjacent};
  const TemporaryFolder folder;
  const auto right = folder.write("right.gguf", header_of(c, 3)), wrong = folder.write("wrong.gguf", header_of(c, 5));
  CHECK_NOTHROW(check_gguf_llama(c, io::Gguf(right)));
  CHECK_THROWS_WITH(check_gguf_llama(c, io::Gguf(wrong)),
                    Catch::EndsWith("contradicts the compiled config: llama.block_count is 5, compiled 3"));
  Llama halves = c;
  halves.rotary_pairs = RotaryPairs::halves;
  CHECK_THROWS_WITH(check_gguf_llama(halves, io::Gguf(right)), Catch::Contains("adjacent rotary pairs"));
}
