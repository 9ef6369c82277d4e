#include <flamingo/model/resampler_layers.hpp>

#include <algorithm>
#include <catch2/catch.hpp>

#include "model/resampler_case.hpp"
#include "support/platforms.hpp"

namespace resampler_layers_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr ResamplerConfig transformer{.kind = ResamplerKind::transformer,
                                      .vision_dim = 7,
                                      .dim = 5,
                                      .latents = 3,
                                      .layers = 2,
                                      .heads = 2,
                                      .head_dim = 3,
                                      .widening = 2,
                                      .frames = 3,
                                      .media = 2,
                                      .out_dim = 11};
constexpr ResamplerConfig bare_transformer{.kind = ResamplerKind::transformer,
                                           .dim = 5,
                                           .latents = 3,
                                           .layers = 1,
                                           .heads = 2,
                                           .head_dim = 3,
                                           .widening = 2,
                                           .frames = 0,
                                           .final_norm = false};
constexpr ResamplerConfig mlp{.kind = ResamplerKind::mlp,
                              .vision_dim = 7,
                              .dim = 5,
                              .latents = 3,
                              .layers = 2,
                              .widening = 2,
                              .frames = 3,
                              .media = 2};
constexpr ResamplerConfig bare_mlp{
    .kind = ResamplerKind::mlp, .dim = 5, .latents = 3, .layers = 1, .widening = 2, .frames = 0, .final_norm = false};

/// H K = 4/3 D, as in the paper's: attention has 16/3 D², the feed-forward 8 D².
constexpr ResamplerConfig perceiver{.dim = 6, .latents = 5, .layers = 6, .heads = 2, .head_dim = 4, .frames = 0};
constexpr ResamplerConfig of_kind(ResamplerKind kind, int layers) {
  ResamplerConfig c = perceiver;
  c.kind = kind;
  c.layers = layers;
  return c;
}

/// A medium's latents are what they are alone, bit for bit.
template <ResamplerConfig C, Platform P>
void check_alone() {
  using Layer = model::Resampler<C, P>;
  ResamplerCase<C, P> together(drawn<Layer, P>(5), mixed);
  together.forward();
  CHECK(together.y.intact());
  for (std::size_t m = 0; m < mixed.size(); ++m) {
    ResamplerCase<C, P> alone(drawn<Layer, P>(5), {{0, mixed[m].rows, mixed[m].frames, mixed[m].place}});
    alone.features = rows_of(together.features, mixed[m].first, mixed[m].rows);
    alone.forward();
    CHECK(alone.y == rows_of(together.y, static_cast<int>(m) * C.latents, C.latents));
  }
}

}  // namespace

TEST_CASE("gradients of a plain Transformer and of an MLP are those of finite differences", "[resampler]") {
  check_resampler_differences<transformer>();
  check_resampler_differences<bare_transformer>();
  check_resampler_differences<mlp>();
  check_resampler_differences<bare_mlp>();
}

TEMPLATE_LIST_TEST_CASE("other kinds of Resampler keep media apart too", "[resampler]", Platforms) {
  check_alone<transformer, TestType>();
  check_alone<mlp, TestType>();
}

TEST_CASE("a plain Transformer has the Perceiver's numbers but for one norm a layer, an MLP those of 10 / 6 the layers",
          "[resampler]") {
  using P = Cpu<float>;
  constexpr auto count = parameter_count<model::Resampler<perceiver, P>>();
  STATIC_REQUIRE(parameter_count<model::Resampler<of_kind(ResamplerKind::transformer, 6), P>>() == count - 6 * 2 * 6);
  STATIC_REQUIRE(parameter_count<model::Resampler<of_kind(ResamplerKind::mlp, 10), P>>() ==
                 count - 5 * 6 - (6 * 3 - 10) * 2 * 6);
}

TEST_CASE("an MLP's latents are means of neighbouring rows", "[resampler]") {
  const std::vector<Medium> media{{0, 3, 1, 0}, {3, 7, 1, 0}, {10, 2, 1, 0}};
  const auto means = ResamplerPlan::of(bare_mlp, media).means;
  REQUIRE(means.size() % 9 == 0);
  const std::size_t room = means.size() / 9;
  const auto rows_of_latent = [&](std::size_t latent) {
    std::vector<int> rows;
    for (std::size_t i = latent * room; i < (latent + 1) * room; ++i)
      if (means[i].weight > 0) rows.push_back(means[i].row);
    for (std::size_t i = latent * room; i < (latent + 1) * room; ++i)
      CHECK((means[i].weight == 0 || means[i].weight == 1 / static_cast<float>(rows.size())));
    return rows;
  };
  using Rows = std::vector<int>;
  CHECK((rows_of_latent(0) == Rows{0} && rows_of_latent(1) == Rows{1} && rows_of_latent(2) == Rows{2}));
  CHECK(
      (rows_of_latent(3) == Rows{3, 4, 5} && rows_of_latent(4) == Rows{5, 6, 7} && rows_of_latent(5) == Rows{7, 8, 9}));
  CHECK((rows_of_latent(6) == Rows{10} && rows_of_latent(7) == Rows{10, 11} && rows_of_latent(8) == Rows{11}));
}

}  // namespace resampler_layers_test
