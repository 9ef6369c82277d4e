#include <flamingo/model/resampler.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>

#include "check/agree.hpp"
#include "check/resampler.hpp"
#include "model/resampler_case.hpp"
#include "support/platforms.hpp"

namespace resampler_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

template <class R>
void check_all_peers() {
  constexpr auto gelu = Activation::gelu;
  check_agreement(check_resampler<
                  ResamplerConfig{
                      .dim = 24, .latents = 6, .layers = 2, .heads = 4, .head_dim = 8, .activation = gelu, .frames = 0},
                  Cpu<R>>(golden_path("resampler_openflamingo_plain.safetensors")));
  check_agreement(
      check_resampler<
          ResamplerConfig{
              .dim = 20, .latents = 5, .layers = 3, .heads = 2, .head_dim = 16, .activation = gelu, .frames = 8},
          Cpu<R>>(golden_path("resampler_openflamingo_frames.safetensors")));
  check_agreement(check_resampler<ResamplerConfig{.dim = 16,
                                                  .latents = 4,
                                                  .layers = 2,
                                                  .heads = 2,
                                                  .head_dim = 8,
                                                  .widening = 2,
                                                  .activation = gelu,
                                                  .frames = 6,
                                                  .media = 5},
                                  Cpu<R>>(golden_path("resampler_openflamingo_media.safetensors")));
  check_agreement(
      check_resampler<
          ResamplerConfig{
              .dim = 16, .latents = 64, .layers = 1, .heads = 8, .head_dim = 64, .activation = gelu, .frames = 0},
          Cpu<R>>(golden_path("resampler_openflamingo_default.safetensors")));
  check_agreement(check_resampler<ResamplerConfig{.dim = 20,
                                                  .latents = 6,
                                                  .layers = 2,
                                                  .heads = 4,
                                                  .head_dim = 8,
                                                  .activation = gelu,
                                                  .frames = 0,
                                                  .media = 4},
                                  Cpu<R>>(golden_path("resampler_lucidrains.safetensors")));
}

constexpr ResamplerConfig small{.vision_dim = 7,
                                .norm_input = true,
                                .dim = 5,
                                .latents = 3,
                                .layers = 2,
                                .heads = 2,
                                .head_dim = 3,
                                .widening = 2,
                                .frames = 3,
                                .media = 2};
/// The paper's parameter counts ask for visual tokens of the decoder's width.
constexpr ResamplerConfig wide{.vision_dim = 7,
                               .dim = 5,
                               .latents = 3,
                               .layers = 1,
                               .heads = 2,
                               .head_dim = 3,
                               .widening = 2,
                               .frames = 3,
                               .out_dim = 11};
constexpr ResamplerConfig bare{.dim = 5,
                               .latents = 3,
                               .layers = 2,
                               .heads = 2,
                               .head_dim = 3,
                               .widening = 3,
                               .activation = Activation::gelu_tanh,
                               .frames = 0,
                               .final_norm = false};
/// Idefics': a LayerNorm over each head's queries and keys, ReLU. The large ε keeps differences near the derivative
/// where a head's few features happen to be alike.
constexpr ResamplerConfig idefics{.dim = 5,
                                  .latents = 3,
                                  .layers = 2,
                                  .heads = 2,
                                  .head_dim = 3,
                                  .qk_norm = QkNorm::heads_layer,
                                  .widening = 2,
                                  .activation = Activation::relu,
                                  .frames = 0,
                                  .epsilon = 0.1f};

template <int latents, class R>
void check_sizes() {
  using P = Cpu<R>;
  constexpr ResamplerConfig C{.vision_dim = 3,
                              .dim = 5,
                              .latents = latents,
                              .layers = 1,
                              .heads = 2,
                              .head_dim = 3,
                              .widening = 1,
                              .frames = 8};
  using Layer = model::Resampler<C, P>;
  std::vector<Medium> media;
  int rows = 0;
  for (const int frames : {1, 7, 30})
    for (int side = 4; side <= 15; side += frames < 30 ? 1 : 11) {
      media.push_back({rows, frames * side * side, frames, 0});
      rows += frames * side * side;
    }
  ResamplerCase<C, P> together(drawn<Layer, P>(5), media);
  together.forward();
  CHECK(together.y.rows() == 26 * latents);
  CHECK(together.y.intact());
  CHECK(std::all_of(together.y.begin(), together.y.end(), [](R x) { return std::isfinite(x) && x != R(7); }));
  for (const std::size_t m : {std::size_t{0}, std::size_t{13}, std::size_t{25}}) {  // each is what it is alone
    ResamplerCase<C, P> alone(drawn<Layer, P>(5), {{0, media[m].rows, media[m].frames, 0}});
    alone.features = rows_of(together.features, media[m].first, media[m].rows);
    alone.forward();
    CHECK(alone.y == rows_of(together.y, static_cast<int>(m) * latents, latents));
  }
}

}  // namespace

TEST_CASE("the resampler agrees with the peers' in float", "[resampler][golden]") { check_all_peers<float>(); }
TEST_CASE("the resampler agrees with the peers' in double", "[resampler][golden]") { check_all_peers<double>(); }

TEST_CASE("the resampler's gradients are those of finite differences", "[resampler]") {
  check_resampler_differences<small>();
  check_resampler_differences<wide>();
  check_resampler_differences<bare>();
  check_resampler_differences<idefics>();
}

TEMPLATE_LIST_TEST_CASE("any frames and cells give R latents", "[resampler]", Platforms) {
  check_sizes<5, typename TestType::Real>();
  check_sizes<64, typename TestType::Real>();
}

TEMPLATE_LIST_TEST_CASE("the order of a frame's cells does not matter, that of frames does", "[resampler]", Platforms) {
  using R = typename TestType::Real;
  using Layer = model::Resampler<small, TestType>;
  const std::vector<Medium> media{{0, 22, 2, 0}, {22, 13, 1, 1}};
  ResamplerCase<small, TestType> c(drawn<Layer, TestType>(3), media), turned(drawn<Layer, TestType>(3), media),
      swapped(drawn<Layer, TestType>(3), media);
  for (int row = 0; row < 35; ++row) {
    const int frame = std::min(row / 11, 2), first = frame * 11, cells = frame < 2 ? 11 : 13;
    const int to = first + (row - first) * 4 % cells;  // 4 is prime to both
    for (int i = 0; i < 7; ++i) {
      turned.features(to, i) = c.features(row, i);
      swapped.features(frame == 0 ? row + 11 : frame == 1 ? row - 11 : row, i) = c.features(row, i);
    }
  }
  for (auto* one : {&c, &turned, &swapped}) one->forward();
  // Reordered are sums of 25 keys; what they pass on goes through some 100 more roundings in two blocks.
  CHECK(distance(turned.y, c.y).relative < chain_bound<R>(2 * (25 + 100)));
  CHECK(distance(swapped.y, c.y).relative > 1e-3);
}

TEST_CASE("what is not trained gets no gradient and changes no other", "[resampler]") {
  using P = Cpu<double>;
  using Layer = model::Resampler<small, P>;
  ResamplerCase<small, P> all(drawn<Layer, P>(11), mixed), weights(drawn<Layer, P>(11), mixed),
      inputs(drawn<Layer, P>(11), mixed);
  all.backward();
  const auto s = weights.run<weight_gradients>();
  Layer::backward(weights.ctx, weights.weights.views, s, weights.plan, weights.dy.rows_on<P, small.dim>(), NoGrad{},
                  weights.gradients.views);
  CHECK(weights.gradients.flat == all.gradients.flat);
  const auto i = inputs.run<input_gradients>();
  Layer::backward(inputs.ctx, inputs.weights.views, i, inputs.plan, inputs.dy.rows_on<P, small.dim>(),
                  inputs.dfeatures.rows_on<P, Layer::E>(), frozen<Layer>);
  CHECK(inputs.dfeatures == all.dfeatures);
  CHECK(inputs.y == all.y);
  CHECK(all.ctx.arena().scratched() == 0);
}

TEST_CASE("a medium that makes no sense is refused", "[resampler]") {
  const auto plan = [](std::vector<Medium> media) { return ResamplerPlan::of(small, media); };
  CHECK_THROWS_WITH(
      plan({{0, 4, 2, 0}, {4, 7, 2, 1}}),
      "[resampler] medium 1 has 7 rows in 2 frames: each frame must have the same number of rows, at least one");
  CHECK_THROWS_WITH(
      plan({{0, 0, 1, 0}}),
      "[resampler] medium 0 has 0 rows in 1 frames: each frame must have the same number of rows, at least one");
  CHECK_THROWS_WITH(plan({{0, 4, 2, 0}, {4, 4, 2, 2}}),
                    "[resampler] medium 2 of a document: the table of places has 2 rows");
  CHECK_THROWS_WITH(plan({{0, 4, 2, 0}, {5, 4, 2, 1}}),
                    "[resampler] medium 1 begins at row 5, expected 4: media lie one after another");
}

TEST_CASE("without layers features pass as they are, forward and backward", "[resampler]") {
  using P = Cpu<double>;
  constexpr ResamplerConfig C{.dim = 5, .latents = 7, .layers = 0};
  using Layer = model::ResamplerOf<C, P>::type;
  STATIC_REQUIRE(std::same_as<Layer, model::NoResampler<C, P>>);
  STATIC_REQUIRE(std::same_as<model::ResamplerOf<small, P>::type, model::Resampler<small, P>>);
  CHECK(parameter_count<Layer>() == 0);
  const std::vector<Medium> media{{0, 7, 1, 0}, {7, 7, 1, 1}};
  const auto plan = ResamplerPlan::of(C, media);
  const Tensor<double> features = drawn_rows<double>(14, 5, 1), dy = drawn_rows<double>(14, 5, 2);
  Tensor<double> y(14, 5), dfeatures(14, 5);
  Context<P> ctx(1, 1 << 20);
  Store<Layer, P> weights, gradients;
  const auto saved =
      Layer::forward<all_gradients>(ctx, weights.views, features.rows_on<P, 5>(), plan, y.rows_on<P, 5>());
  Tensor<double> in = dy;
  Layer::backward(ctx, weights.views, saved, plan, in.rows_on<P, 5>(), dfeatures.rows_on<P, 5>(), gradients.views);
  Layer::backward(ctx, weights.views, saved, plan, in.rows_on<P, 5>(), NoGrad{}, frozen<Layer>);
  CHECK(y == features);
  CHECK(dfeatures == dy);
  const std::vector<Medium> other{{0, 7, 1, 0}, {7, 6, 1, 1}};
  CHECK_THROWS_WITH(ResamplerPlan::of(C, other), "[resampler] medium 1 has 6 rows, expected 7: there is no Resampler");
}

}  // namespace resampler_test
