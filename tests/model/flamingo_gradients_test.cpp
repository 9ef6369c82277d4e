// The whole model, end to end, against finite differences: features -> Resampler -> gated blocks -> decoder ->
// cross-entropy over a vocabulary with added rows; for several intervals and options, the decoder frozen or trained.
#include <catch2/catch.hpp>
#include <cmath>

#include "model/flamingo_case.hpp"
#include "support/gradient_check.hpp"

namespace flamingo_gradients_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<double>;

constexpr ResamplerConfig resampler{.vision_dim = 3,
                                    .norm_input = true,
                                    .dim = 5,
                                    .latents = 2,
                                    .layers = 2,
                                    .heads = 2,
                                    .head_dim = 3,
                                    .widening = 2,
                                    .frames = 2};
constexpr Llama lm{.dim = 7,
                   .layers = 3,
                   .heads = 4,
                   .kv_heads = 2,
                   .head_dim = 2,
                   .hidden = 5,
                   .vocabulary = 11,
                   .added = 2,
                   .context = 64};
constexpr Llama tied{.dim = 7,
                     .layers = 3,
                     .heads = 2,
                     .kv_heads = 1,
                     .head_dim = 4,
                     .hidden = 5,
                     .vocabulary = 11,
                     .added = 2,
                     .context = 64,
                     .rotary_pairs = RotaryPairs::adjacent,
                     .tied = true};
using Config = FlamingoConfig<NoVision, Llama>;

constexpr Config every_block{
    .vision = {}, .resampler = resampler, .xattn = {.every = 1, .heads = 2, .head_dim = 3, .widening = 2}, .lm = lm};
constexpr Config every_second{.vision = {},
                              .resampler = resampler,
                              .xattn = {.every = 2,
                                        .offset = 1,
                                        .heads = 3,
                                        .head_dim = 2,
                                        .widening = 1,
                                        .activation = Activation::gelu,
                                        .norm_media = true,
                                        .vector_gates = true},
                              .lm = tied};
constexpr Config every_third{.vision = {},
                             .resampler = resampler,
                             .xattn = {.every = 3,
                                       .offset = 2,
                                       .heads = 2,
                                       .head_dim = 3,
                                       .widening = 1,
                                       .activation = Activation::silu,
                                       .visibility = Visibility::all_earlier,
                                       .before_first = NoImage::uniform},
                             .lm = tied};

template <auto C, auto trained>
void check_differences() {
  FlamingoCase<C, P> c;
  c.template run<trained>(true);
  const auto loss = [&] { return c.template run<trained>(); };
  const Tensor<double> d = differences(c.features, loss);
  const double norm = std::sqrt(inner(d, d));
  CHECK(distance(c.dfeatures, d).relative * norm < gradient_bound(norm, loss()));
  check_weight_directions(c.connector, c.connector_gradients, loss);
  if constexpr (trained.lm) check_weight_directions(c.lm, c.lm_gradients, loss);
  CHECK(c.ctx.arena().kept() == 0);
  CHECK(c.ctx.arena().scratched() == 0);
}
template <auto C>
void check_differences() {
  using Case = FlamingoCase<C, P>;
  STATIC_REQUIRE(Case::Model::gated_blocks == C.gated_blocks());
  check_differences<C, Case::frozen_lm>();
  check_differences<C, Case::trained_lm>();
}

}  // namespace

TEST_CASE("gradients end to end, a gated block before every block", "[flamingo]") { check_differences<every_block>(); }
TEST_CASE("gradients end to end, before every second: vector gates, normed media, tied output", "[flamingo]") {
  check_differences<every_second>();
}
TEST_CASE("gradients end to end, before every third: all earlier media, leading text sees all", "[flamingo]") {
  check_differences<every_third>();
}

}  // namespace flamingo_gradients_test
