#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/open_flamingo.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr FlamingoConfig<Vit, Mpt> over_mpt{
    .vision = {.image = 28, .patch = 7, .dim = 24, .layers = 3, .heads = 3},
    .resampler =
        {.dim = 24, .latents = 6, .layers = 2, .heads = 4, .head_dim = 8, .activation = Activation::gelu, .frames = 0},
    .xattn = {.every = 2,
              .offset = 1,
              .heads = 4,
              .head_dim = 8,
              .activation = Activation::gelu,
              .beyond_last = NoImage::uniform},
    .lm = {.dim = 32, .layers = 4, .heads = 4, .vocabulary = 96, .added = 3, .context = 64}};

constexpr FlamingoConfig<Vit, GptNeox> over_neox{
    .vision = {.image = 30, .patch = 10, .dim = 24, .layers = 2, .heads = 2, .activation = Activation::gelu},
    .resampler =
        {.dim = 24, .latents = 5, .layers = 2, .heads = 3, .head_dim = 8, .activation = Activation::gelu, .frames = 0},
    .xattn = {.every = 1,
              .offset = 0,
              .heads = 3,
              .head_dim = 8,
              .activation = Activation::gelu,
              .beyond_last = NoImage::uniform},
    .lm = {.dim = 32,
           .layers = 3,
           .heads = 4,
           .hidden = 72,
           .vocabulary = 88,
           .added = 3,
           .context = 64,
           .rotary_share = 1,
           .parallel = false}};

}  // namespace

TEST_CASE("OpenFlamingo over MPT agrees with its own code", "[open_flamingo]") {
  check_agreement(check_open_flamingo<over_mpt>(golden_path("openflamingo_mpt.safetensors")));
}

TEST_CASE("OpenFlamingo over GPT-NeoX agrees with its own code", "[open_flamingo]") {
  check_agreement(check_open_flamingo<over_neox>(golden_path("openflamingo_neox.safetensors")));
}
