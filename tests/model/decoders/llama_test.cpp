#include <flamingo/model/decoders/llama.hpp>

#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/lm.hpp"

namespace llama_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("A LLaMA decoder agrees with transformers") {
  check_agreement(check_lm<lm_llama>(golden_path("lm_llama_io.safetensors")));
}

}  // namespace llama_test
