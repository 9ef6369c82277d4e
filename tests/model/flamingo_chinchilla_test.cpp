// Gated blocks inside a Chinchilla with one added row; tests/model/paper_flamingo_test.cpp holds the paper's
// identities, in float too.
#include <catch2/catch.hpp>

#include "model/flamingo_case.hpp"

namespace flamingo_chinchilla_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr FlamingoConfig<NoVision, Chinchilla> over_chinchilla{
    .vision = {},
    .resampler =
        {.vision_dim = 3, .dim = 5, .latents = 2, .layers = 1, .heads = 2, .head_dim = 3, .widening = 2, .frames = 2},
    .xattn = {.every = 2, .heads = 2, .head_dim = 3, .widening = 2},
    .lm = {
        .dim = 8, .layers = 3, .heads = 2, .head_dim = 5, .hidden = 13, .vocabulary = 12, .added = 1, .context = 64}};

using Case = FlamingoCase<over_chinchilla, Cpu<double>>;

}  // namespace

TEST_CASE("at initialisation the model over Chinchilla is the bare language model, bit for bit", "[flamingo]") {
  const double size = GENERATE(0.0, 1.0, 1e4);
  Case c;
  initialise<Case::Connect>(c.connector.views, 37);
  for (double& x : c.features) x *= size;
  c.run();
  const Tensor<double> logits = c.logits(), hidden = c.hidden;
  c.hidden = c.bare_hidden();
  CHECK(c.hidden == hidden);
  CHECK(c.logits() == logits);
  for (std::size_t s = 0; s < 3; ++s) {  // and alone, whatever the longest of the batch was
    Case one = c.alone(s);
    one.run();
    CHECK(one.hidden == rows_of(hidden, c.first_row(s), one.hidden.rows()));
  }
}

TEST_CASE("the connector's gradient through a frozen Chinchilla is that of differences", "[flamingo]") {
  Case c;
  c.run(true);
  CHECK(all_zero(c.lm_gradients.flat));
  check_weight_directions(c.connector, c.connector_gradients, [&] { return c.run(); });
}

}  // namespace flamingo_chinchilla_test
