#include <flamingo/config/presets/mllama.hpp>

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/dry.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/mllama_vision.hpp>

namespace mllama_test {

using namespace flamingo;

namespace {

template <const auto& C>
constexpr std::size_t parameters() {
  using P = Cpu<float>;
  return parameter_count<model::MllamaVisionTransformer<C.vision, P>>() + parameter_count<model::Connector<C, P>>() +
         parameter_count<DecoderOf<C.lm, P>>();
}

/// Layers of cross-attention in transformers' numbering.
template <class C>
std::vector<int> published(const C& c) {
  std::vector<int> layers;
  for (int i = 0; i <= c.lm.layers; ++i)
    if (c.gated(i)) layers.push_back(i + static_cast<int>(layers.size()));
  return layers;
}

/// A picture of two tiles and eleven tokens through all of a model, on a platform that only counts.
template <const auto& C>
double dry_run() {
  using P = Dry<Cpu<float>>;
  using Vision = model::MllamaVisionTransformer<C.vision, P>;
  using Model = model::Flamingo<C, P>;
  const auto vision = std::make_unique<typename Vision::template Parameters<Stored<P>>>();
  const auto connector = std::make_unique<typename Model::Connect::template Parameters<Stored<P>>>();
  const auto lm = std::make_unique<typename Model::Decoder::template Parameters<Stored<P>>>();
  Context<P> ctx;
  const std::vector<TiledPicture> pictures{{.tiles = 2, .aspect_ratio_id = 2}};
  const std::vector<Medium> media{{.first = 0, .rows = Model::R, .visible = 2 * C.vision.tile_rows()}};
  const auto pixels = keep<3>(ctx, 2 * C.vision.image * C.vision.image);
  const auto features = keep<C.vision.features()>(ctx, Model::R);
  const auto latents = keep<Model::E>(ctx, Model::R);
  Vision::forward(ctx, *vision, {pixels.data, pixels.rows, {}}, pictures, features);
  Model::ResamplerLayer::template forward<no_gradients>(ctx, connector->resampler, {features.data, features.rows, {}},
                                                        ResamplerPlan::of(C.resampler, media), latents);
  Sequence s;
  s.ids.assign(11, 5);
  s.phi = phi_of(std::vector<int>{1}, 11);
  s.media = 1;
  const auto plan = DecoderPlan::of(std::span(&s, 1), C.xattn, Model::R, visible_rows(media, Model::R));
  const auto hidden = keep<Model::D>(ctx, 11);
  const auto saved = std::make_unique<typename Model::template Saved<typename Model::Trained{.connector = false}>>(
      Model::template forward<typename Model::Trained{.connector = false}>(ctx, *connector, *lm, plan, latents,
                                                                           hidden));
  const auto logits = keep<Model::V>(ctx, 11);
  Model::Decoder::logits(ctx, *lm, hidden, logits);
  return ctx.operations();
}

}  // namespace

TEST_CASE("Llama 3.2 Vision has as many parameters as published", "[presets]") {
  STATIC_REQUIRE(parameters<presets::llama_3_2_vision_11b>() == 10670220835);
  STATIC_REQUIRE(parameters<presets::llama_3_2_vision_90b>() == 88593355323);  // "90B", 88.6 B
}

TEST_CASE("Llama 3.2 Vision's cross-attention is where it is published", "[presets]") {
  CHECK(published(presets::llama_3_2_vision_11b) == std::vector<int>{3, 8, 13, 18, 23, 28, 33, 38});
  const auto all = published(presets::llama_3_2_vision_90b);
  CHECK(all.size() == 20);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == 3 + 5 * static_cast<int>(i));
}

TEST_CASE("Llama 3.2 Vision's text alone is Llama 3.1, and its 8 added rows are read alone", "[presets]") {
  constexpr Llama lm = presets::llama_3_2_vision_11b.lm;
  STATIC_REQUIRE(read_ids(lm) == 128264);
  STATIC_REQUIRE(written_ids(lm) == 128256);
  STATIC_REQUIRE(parameter_count<DecoderOf<lm, Cpu<float>>>() == 8030261248 + 8 * 4096);  // Llama 3.1 8B's
}

TEST_CASE("Llama 3.2 Vision runs at full size", "[presets]") {
  // Multiplications and additions of the 11B's products: two for each weight and row that it acts on.
  const double D = 1280, rows = 4 * 1608, there = 2 * 1601, blocks = 40 * (4 * D * D + 2 * D * 5120),
               text = 11 * (32 * (2 * 4096.0 * 4096 + 2 * 4096.0 * 1024 + 3 * 4096.0 * 14336) +
                            8 * (2 * 4096.0 * 4096 + 3 * 4096.0 * 14336) + 128256 * 4096.0),
               media = 6404.0 * (7680 * 4096 + 8 * 2 * 4096.0 * 1024), patches = 2 * 1600 * D * 588;
  // What is there of a picture of two tiles sees all rows, padding what is there.
  const double pairs = there * rows + (rows - there) * there, seen = 40 * pairs * 2 * D;
  const double all = dry_run<presets::llama_3_2_vision_11b>();
  CHECK(all == Approx(2 * (rows * blocks + text + media + patches + seen)).epsilon(1e-3));  // and the text's attention
  CHECK(dry_run<presets::llama_3_2_vision_90b>() > all);
}

}  // namespace mllama_test
