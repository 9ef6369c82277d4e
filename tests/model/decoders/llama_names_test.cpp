#include <flamingo/model/decoders/llama_names.hpp>

#include <catch2/catch.hpp>

#include <flamingo/model/decoders/llama.hpp>

#include "io/gguf_writer.hpp"
#include "model/round_trip.hpp"
#include "support/golden.hpp"

namespace llama_names_test {

using namespace flamingo;
using namespace flamingo::tests;

TEST_CASE("A LLaMA file is read whole and written back the same") {
  using Decoder = model::LlamaDecoder<test::lm_llama, Cpu<float>>;
  const io::Safetensors file(test::golden_path("lm_llama/model.safetensors"));
  test::check_round_trip<Decoder>(file, hugging_face_llama_names(test::lm_llama));
}

TEST_CASE("Parameters have the names that GGUF and Hugging Face give them") {
  constexpr Llama tied{.added = 2, .tied = true};
  const TensorTable gguf = gguf_llama_names(tied), hugging_face = hugging_face_llama_names(tied);
  const auto name = [](const TensorTable& table, const char* ours) {
    return table.place(matrix_spec(ours, 2, 2, Init::zero())).name;
  };
  CHECK(name(gguf, "embedding") == "token_embd.weight");
  CHECK(name(gguf, "blocks.17.attention.key") == "blk.17.attn_k.weight");
  CHECK(name(gguf, "blocks.0.norm_dense.scale") == "blk.0.ffn_norm.weight");
  CHECK(name(gguf, "norm.scale") == "output_norm.weight");
  CHECK(name(hugging_face, "blocks.17.dense.gate") == "model.layers.17.mlp.gate_proj.weight");
  CHECK(name(hugging_face, "output") == "lm_head.weight");
  CHECK_THROWS_WITH(name(hugging_face, "unheard.of"), Catch::Contains("unheard.of"));
  CHECK(hugging_face.place(matrix_spec("added", 2, 2, Init::zero())).row(1) == 32001);
  CHECK(hugging_face.ignores("lm_head.weight"));
  CHECK_FALSE(hugging_face_llama_names({}).ignores("lm_head.weight"));
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

}  // namespace llama_names_test
