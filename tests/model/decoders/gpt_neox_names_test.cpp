#include <flamingo/model/decoders/gpt_neox_names.hpp>

#include <catch2/catch.hpp>

#include <flamingo/model/decoders/gpt_neox.hpp>

#include "model/round_trip.hpp"
#include "support/golden.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr GptNeox five_heads{.dim = 40, .layers = 2, .heads = 5, .hidden = 60, .vocabulary = 66};
constexpr GptNeox divided = [] {
  GptNeox c = five_heads;
  c.vocabulary = 63;
  c.added = 3;
  return c;
}();
template <GptNeox C>
using Decoder = model::GptNeoxDecoder<C, Cpu<float>>;

}  // namespace

TEST_CASE("A GPT-NeoX file is read whole and written back the same") {
  const io::Safetensors file(golden_path("lm_gptneox_sequential/model.safetensors"));
  check_round_trip<Decoder<five_heads>>(file, gpt_neox_names(five_heads));
  check_round_trip<Decoder<divided>>(file, gpt_neox_names(divided));
}

TEST_CASE("GPT-NeoX's queries, keys and values lie head by head in one matrix and one vector") {
  const TensorTable names = gpt_neox_names(five_heads);
  for (int part = 0;
       const char* ours : {"blocks.1.attention.query", "blocks.1.attention.key", "blocks.1.attention.value"}) {
    const TensorPlace weight = names.place(matrix_spec(ours, 40, 40, Init::zero())),
                      bias = names.place(vector_spec((std::string(ours) + "_bias").c_str(), 40, Init::zero()));
    CHECK(weight.name == "gpt_neox.layers.1.attention.query_key_value.weight");
    CHECK(bias.name == "gpt_neox.layers.1.attention.query_key_value.bias");
    for (int h = 0; h < 5; ++h)
      for (int i = 0; i < 8; ++i) {
        CHECK(weight.row(8 * h + i) == 24 * h + 8 * part + i);
        CHECK(bias.row(8 * h + i) == 24 * h + 8 * part + i);
      }
    ++part;
  }
}

TEST_CASE("Buffers of older GPT-NeoX files are no parameters") {
  const TensorTable names = gpt_neox_names(five_heads);
  CHECK(names.ignores("gpt_neox.layers.0.attention.rotary_emb.inv_freq"));
  CHECK(names.ignores("gpt_neox.layers.1.attention.bias"));
  CHECK_FALSE(names.ignores("gpt_neox.layers.1.attention.dense.bias"));
}
