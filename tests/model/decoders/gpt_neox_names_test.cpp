#include <flamingo/model/decoders/gpt_neox_names.hpp>

#include <catch2/catch.hpp>

#include <flamingo/model/decoders/gpt_neox.hpp>

#include "model/round_trip.hpp"
#include "support/golden.hpp"

namespace gpt_neox_names_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr GptNeox two_heads{.dim = 32, .layers = 3, .heads = 2, .hidden = 56, .vocabulary = 80};
constexpr GptNeox divided = [] {
  GptNeox c = two_heads;
  c.vocabulary = 77;
  c.added = 3;
  return c;
}();
template <GptNeox C>
using Decoder = model::GptNeoxDecoder<C, Cpu<float>>;

}  // namespace

TEST_CASE("A GPT-NeoX file is read whole and written back the same") {
  const io::Safetensors file(golden_path("lm_gptneox/model.safetensors"));
  check_round_trip<Decoder<two_heads>>(file, gpt_neox_names(two_heads));
  check_round_trip<Decoder<divided>>(file, gpt_neox_names(divided));
}

TEST_CASE("GPT-NeoX's queries, keys and values lie head by head in one matrix and one vector") {
  const TensorTable names = gpt_neox_names(two_heads);
  for (int part = 0;
       const char* ours : {"blocks.1.attention.query", "blocks.1.attention.key", "blocks.1.attention.value"}) {
    const TensorPlace weight = names.place(matrix_spec(ours, 32, 32, Init::zero())),
                      bias = names.place(vector_spec((std::string(ours) + "_bias").c_str(), 32, Init::zero()));
    CHECK(weight.name == "gpt_neox.layers.1.attention.query_key_value.weight");
    CHECK(bias.name == "gpt_neox.layers.1.attention.query_key_value.bias");
    for (int h = 0; h < 2; ++h)
      for (int i = 0; i < 16; ++i) {
        CHECK(weight.row(16 * h + i) == 48 * h + 16 * part + i);
        CHECK(bias.row(16 * h + i) == 48 * h + 16 * part + i);
      }
    ++part;
  }
}

TEST_CASE("Buffers of older GPT-NeoX files are no parameters") {
  const TensorTable names = gpt_neox_names(two_heads);
  CHECK(names.ignores("gpt_neox.layers.0.attention.rotary_emb.inv_freq"));
  CHECK(names.ignores("gpt_neox.layers.1.attention.bias"));
  CHECK_FALSE(names.ignores("gpt_neox.layers.1.attention.dense.bias"));
}

}  // namespace gpt_neox_names_test
