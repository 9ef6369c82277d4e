#include "kernels/cuda/model.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

#include "kernels/cuda/alike.hpp"

namespace flamingo::test {
extern template ModelReport mini_model<Cpu<double, Isa::portable>, connector_alone>(int);
extern template ModelReport mini_model<Cpu<double, Isa::portable>, every_part>(int);
}  // namespace flamingo::test

namespace model_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

template <TrainedParts parts>
void check_training(int updates) {
  const ModelReport got = mini_model<Cuda<double>, parts>(updates),
                    expected = mini_model<Cpu<double, Isa::portable>, parts>(updates);
  REQUIRE(got.losses.size() == 2 * static_cast<std::size_t>(updates));
  check_alike(got.losses, expected.losses);
  check_alike(got.norms, expected.norms);
  check_alike(got.weights, expected.weights);
  CHECK(got.losses.back() < got.losses[1]);
  CHECK(got.ids == expected.ids);
  check_alike(got.log_p, expected.log_p);
  check_alike(got.answers, expected.answers);
}

}  // namespace

TEST_CASE("a connector trained on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  check_training<connector_alone>(20);
}
TEST_CASE("a whole model trained on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  check_training<every_part>(4);
}

#if !defined(__CUDACC__)
/// A token is short kernels one after another, so their number is what it costs beside the weights: 16 and 11 of them
/// before products had what follows them. Where keys are divided (more than 64) a block has one more.
TEST_CASE("a token runs nine kernels a block, seven a gated one, and eight more", "[cuda]") {
  using P = Cuda<double>;
  using Model = model::Flamingo<mini_config, P>;
  Context<P> ctx = small_context<P>();
  const Store<Model::Connect, P> connector(drawn<Model::Connect, HostOf<P>>(40).flat);
  const Store<Model::Decoder, P> lm(drawn<Model::Decoder, HostOf<P>>(41).flat);
  auto engine = make_engine<Model>(ctx, connector.views, lm.views, {.text_rows = 128, .media = 4});
  const auto scope = ctx.scope();
  const auto features = scratch<6>(ctx, 3);
  clear_numbers(ctx, features.data, features.size());
  const std::vector<CachedMedium> media{engine.add_medium(features)};
  std::vector<TextState> states{engine.begin({.ids = {12, 1, 4}, .phi = {1, 1, 1}}, media)};
  std::vector<long> before;
  generate(engine, std::span(states), {.max_new_tokens = 8},
           [&](std::size_t, int) { before.push_back(emulator::machine().launches); });
  REQUIRE(before.size() > 3);
  constexpr long blocks = mini_config.lm.layers, gated = Model::gated_blocks;
  for (std::size_t i = 2; i < before.size(); ++i) CHECK(before[i] - before[i - 1] == 9 * blocks + 7 * gated + 8);
}
#endif

}  // namespace model_test
