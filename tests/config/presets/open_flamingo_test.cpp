#include <flamingo/config/presets/open_flamingo.hpp>

#include <catch2/catch.hpp>

#include <flamingo/core/store.hpp>
#include <flamingo/dry.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/vit.hpp>

namespace open_flamingo_test {

using namespace flamingo;

namespace {

// Nothing of these sizes is held: the dry platform counts.
using P = Dry<Cpu<float>>;

/// Numbers in OpenFlamingo's checkpoint.pt: the connector and the tables of tokens.
template <auto C>
std::size_t checkpoint() {
  const auto table = static_cast<std::size_t>((C.lm.vocabulary + C.lm.added) * C.lm.dim);
  return parameter_count<model::Connector<C, P>>() + (C.lm.tied ? 1 : 2) * table;
}

/// Multiplications and additions of `tokens` tokens after `media` pictures of a document, through all blocks.
template <auto C>
double operations(double tokens, double media) {
  const double D = C.lm.dim, E = C.resampler.dim, rows = media * C.resampler.latents, hk = 8 * 64;
  const double dense = 2 * C.lm.hidden_size() * D, block = 4 * D * D + dense,
               gated = 2 * D * hk + 2 * 4 * D * D;  // weights that each token meets
  const double pairs = tokens * (tokens + 1) / 2, seen = tokens * C.resampler.latents;
  return 2 * tokens * (C.lm.layers * block + C.gated_blocks() * gated) + C.gated_blocks() * 2 * rows * E * 2 * hk +
         2 * 2 * (C.lm.layers * pairs * D + C.gated_blocks() * seen * hk);
}

/// A whole forward pass of the full size, as a run would make it but for the numbers.
template <auto C>
void check_dry_run() {
  using Model = model::Flamingo<C, P>;
  constexpr int tokens = 37, media = 3;
  Context<P> ctx;
  Sequence s{.ids = std::vector<int>(tokens, 5), .phi = std::vector<int>(tokens, media), .media = media};
  const std::vector<Sequence> one{s};
  const auto plan = DecoderPlan::of(one, C.xattn, Model::R);
  const typename Model::Connect::template Parameters<Stored<P>> connector{};
  const typename Model::Decoder::template Parameters<Stored<P>> lm{};
  const auto latents = keep<Model::E>(ctx, media * Model::R);
  const auto hidden = keep<Model::D>(ctx, tokens);
  Model::template forward<typename Model::Trained{}>(ctx, connector, lm, plan, latents, hidden);
  CHECK(ctx.operations() == Approx(operations<C>(tokens, media)).epsilon(1e-12));
}

}  // namespace

TEST_CASE("The language models below OpenFlamingo have as many parameters as published", "[presets]") {
  CHECK(parameter_count<DecoderOf<presets::mpt_1b, P>>() == 1'311'442'944);
  CHECK(parameter_count<DecoderOf<presets::mpt_7b, P>>() == 6'649'286'656);
  CHECK(parameter_count<DecoderOf<presets::red_pajama_3b, P>>() == 2'775'864'320);
  CHECK(parameter_count<model::VisionTransformer<presets::open_flamingo_3b.vision, P>>() + 2 * 1024 == 303'179'776);
}

TEST_CASE("What OpenFlamingo trains has the size of its files", "[presets]") {
  STATIC_REQUIRE(presets::open_flamingo_3b.gated_blocks() == 24);
  STATIC_REQUIRE(presets::open_flamingo_4b.gated_blocks() == 16);
  STATIC_REQUIRE(presets::open_flamingo_9b.gated_blocks() == 8);
  STATIC_REQUIRE(presets::open_flamingo_4b.gated(1));
  STATIC_REQUIRE(presets::open_flamingo_9b.first_gated() == 3);
  STATIC_REQUIRE(parameter_count<model::Resampler<presets::open_flamingo_9b.resampler, P>>() == 63'019'008);
  // 4.19, 4.87 and 5.54 GB of float32 as listed
  CHECK(checkpoint<presets::open_flamingo_3b>() == 1'046'992'944);
  CHECK(checkpoint<presets::open_flamingo_4b>() == 1'218'197'536);
  CHECK(checkpoint<presets::open_flamingo_9b>() == 1'384'781'840);
}

TEST_CASE("OpenFlamingos of the full size run dry", "[presets]") {
  check_dry_run<presets::open_flamingo_3b>();
  check_dry_run<presets::open_flamingo_4b>();
  check_dry_run<presets::open_flamingo_9b>();
}

}  // namespace open_flamingo_test
