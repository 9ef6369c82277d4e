#include <flamingo/model/decoders/gpt_neox.hpp>

#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/lm.hpp"

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("A GPT-NeoX decoder agrees with transformers") {
  constexpr GptNeox parallel{
      .dim = 32, .layers = 3, .heads = 2, .hidden = 56, .vocabulary = 80, .context = 64, .rotary_share = 0.25f};
  check_agreement(check_lm<parallel>(golden_path("lm_gptneox_io.safetensors")));
}

TEST_CASE("A GPT-NeoX decoder whose branches follow one another agrees with transformers") {
  constexpr GptNeox sequential{.dim = 40,
                               .layers = 2,
                               .heads = 5,
                               .hidden = 60,
                               .vocabulary = 66,
                               .context = 64,
                               .rotary_share = 1,
                               .parallel = false};
  check_agreement(check_lm<sequential>(golden_path("lm_gptneox_sequential_io.safetensors")));
}
