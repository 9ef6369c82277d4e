// The paper's ablations of the conditioning architecture in a whole model, against finite differences.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "model/flamingo_case.hpp"
#include "support/gradient_check.hpp"

namespace conditioning_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<double>;
using Config = FlamingoConfig<NoVision, Llama>;

/// Smooth activations: differences across a kink of relu² miss its derivative by the step.
constexpr Config config_of(XattnConfig xattn) {
  xattn.activation = Activation::gelu;
  xattn.heads = 2;
  xattn.head_dim = 3;
  xattn.widening = 1;
  return {.vision = {},
          .resampler = {.dim = 5,
                        .latents = 2,
                        .layers = 1,
                        .heads = 2,
                        .head_dim = 3,
                        .widening = 1,
                        .activation = Activation::gelu,
                        .frames = 2},
          .xattn = xattn,
          .lm = {.dim = 7,
                 .layers = 3,
                 .heads = 2,
                 .kv_heads = 1,
                 .head_dim = 2,
                 .hidden = 5,
                 .vocabulary = 11,
                 .added = 2,
                 .context = 64}};
}
constexpr Config vanilla = config_of({.conditioning = Conditioning::vanilla_xattn, .every = 2, .offset = 1});
constexpr Config grafted = config_of({.conditioning = Conditioning::grafting, .gate = Gate::none, .grafted = 2});

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
  CHECK((c.ctx.arena().kept() == 0 && c.ctx.arena().scratched() == 0));
}

}  // namespace

TEST_CASE("gradients end to end with cross-attention inside decoder blocks", "[flamingo]") {
  using Case = FlamingoCase<vanilla, P>;
  STATIC_REQUIRE(Case::Model::gated_blocks == 1);
  check_differences<vanilla, Case::frozen_lm>();
  check_differences<vanilla, Case::trained_lm>();
}

TEST_CASE("gradients end to end with blocks grafted onto the decoder, without gates", "[flamingo]") {
  using Case = FlamingoCase<grafted, P>;
  STATIC_REQUIRE((Case::Model::gated_blocks == 2 && Case::Model::all_blocks == 5));
  STATIC_REQUIRE(grafted.first_gated() == 3);
  for (std::size_t i = 0; i <= 5; ++i) CHECK(Case::Model::gated_before(i) == (i < 4 ? Case::Model::none : i - 4));
  check_differences<grafted, Case::frozen_lm>();
}

TEST_CASE("VANILLA XATTN begins as the bare decoder, bit for bit; GRAFTING leaves it alone", "[flamingo]") {
  FlamingoCase<vanilla, P> c;
  initialise<model::Connector<vanilla, P>>(c.connector.views, 37);
  c.run();
  CHECK(c.hidden == c.bare_hidden());

  FlamingoCase<grafted, P> stack;
  stack.run(true);
  CHECK(all_zero(stack.lm_gradients.flat));
  auto& views = stack.connector.views;  // blocks whose outputs are nothing pass on what they read
  const auto silence = [](auto& block) {
    std::fill_n(block.attention.out.data, block.attention.out.size(), 0.0);
    std::fill_n(block.dense.down.data, block.dense.down.size(), 0.0);
  };
  for (auto& block : views.grafted) silence(block);
  for (auto& block : views.gated) silence(block);
  stack.run();
  CHECK(stack.hidden == stack.bare_hidden());
}

TEST_CASE("without gates there are no gates' parameters, and VANILLA XATTN has its attention alone", "[xattn]") {
  constexpr int D = 7, E = 5;
  constexpr std::size_t attention = 2 * 6 * D + 2 * 6 * E;
  STATIC_REQUIRE(parameter_count<FlamingoCase<vanilla, P>::Model::Gated>() == attention + 2 * D + 1);
  STATIC_REQUIRE(parameter_count<FlamingoCase<grafted, P>::Model::Gated>() == attention + 4 * D + 2 * D * D);
}

}  // namespace conditioning_test
