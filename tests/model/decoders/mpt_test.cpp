#include <flamingo/model/decoders/mpt.hpp>

#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/lm.hpp"

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("An MPT decoder agrees with transformers") {
  constexpr Mpt plain{.dim = 32, .layers = 3, .heads = 4, .vocabulary = 90, .context = 64};
  check_agreement(check_lm<plain>(golden_path("lm_mpt_io.safetensors")));
}

TEST_CASE("An MPT decoder with clamped projections and six heads agrees with transformers") {
  constexpr Mpt clamped{.dim = 48, .layers = 2, .heads = 6, .vocabulary = 70, .context = 40, .clamp = 1.5f};
  check_agreement(check_lm<clamped>(golden_path("lm_mpt_6heads_clipqkv_io.safetensors")));
}
