#include <flamingo/model/decoders/gpt_neox.hpp>

#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/lm.hpp"

namespace gpt_neox_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("A GPT-NeoX decoder agrees with transformers") {
  constexpr GptNeox parallel{
      .dim = 32, .layers = 3, .heads = 2, .hidden = 56, .vocabulary = 80, .context = 64, .rotary_share = 0.25f};
  check_agreement(check_lm<parallel>(golden_path("lm_gptneox_io.safetensors")));
}

}  // namespace gpt_neox_test
