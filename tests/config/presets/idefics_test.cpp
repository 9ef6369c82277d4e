#include <flamingo/config/presets/idefics.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <span>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/dry.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/encoder.hpp>

namespace idefics_test {

using namespace flamingo;

namespace {

template <class Layer>
double count() {
  double n = 0;
  auto add = [&n](const Spec& spec) { n += static_cast<double>(spec.size()); };
  Layer::each(add);
  return n;
}

/// The same by hand, from the shapes of transformers' modules.
struct ByHand {
  double D, F, L, gated, added;

  static double vision() {
    const double d = 1280, f = 5120;
    return 32 * (4 * (d * d + d) + 2 * d * f + f + d + 4 * d) + d + 3 * 14 * 14 * d + 257 * d + 2 * d;
  }
  static double resampler() {
    const double d = 1280, k = 96, q = 16 * k;
    return 6 * (4 * q * d + 4 * k + 4 * d + 2 * d + 2 * d * 4 * d) + 64 * d + 2 * d;
  }
  double gated_blocks() const { return gated * (2 * D * D + 2 * 1280 * D + 2 * 128 + 3 * D * F + 2 * D + 2); }
  double lm() const { return 2 * (32000 + added) * D + L * (4 * D * D + 3 * D * F + 2 * D) + D; }
};

/// The preset's parts on a platform that only counts.
template <auto C>
struct Sizes {
  using P = Dry<Cpu<float>>;
  using Vision = Encoder<C.vision, P>;
  using Model = model::Flamingo<C, P>;

  static double total() {
    return count<Vision>() + count<typename Model::Connect>() + count<typename Model::Decoder>();
  }
  static void check(const ByHand& hand) {
    CHECK(count<Vision>() == ByHand::vision());
    CHECK(count<typename Model::ResamplerLayer>() == ByHand::resampler());
    CHECK(count<typename Model::Connect>() == ByHand::resampler() + hand.gated_blocks());
    CHECK(count<typename Model::Decoder>() == hand.lm());
  }
};

/// Two pictures and 1024 tokens through every part.
template <auto C>
void run_dry(const ByHand& hand) {
  using S = Sizes<C>;
  using P = typename S::P;
  using Vision = typename S::Vision;
  using Model = typename S::Model;
  constexpr int tokens = 1024;
  Context<P> ctx;
  const typename Vision::template Parameters<Stored<P>> vision{};
  const typename Model::Connect::template Parameters<Stored<P>> connector{};
  const typename Model::Decoder::template Parameters<Stored<P>> lm{};
  const std::vector<Grid> grids{{0, 224, 224}, {224 * 224, 224, 224}};
  const int rows = Vision::features(grids[0]).rows();
  CHECK(rows == 257);
  const auto pixels = keep<3>(ctx, 2 * 224 * 224);
  const auto features = keep<1280>(ctx, 2 * rows);
  Vision::forward(ctx, vision, pixels, grids, features);
  // Two operations a weight and row; attention costs 4 times its keys times its width, a row and block.
  const double seen = ctx.operations(), width = 1280,
               blocks = 32 * (4 * width * width + 2 * width * 5120 + 2 * 257 * width);
  CHECK(seen == 2 * 2 * (257 * blocks + 256 * 3 * 14 * 14 * width));

  const std::vector<Medium> media{{0, rows, 1, 0}, {rows, rows, 1, 1}};
  const auto resampling = ResamplerPlan::of(C.resampler, media);
  const auto latents = keep<Model::E>(ctx, 2 * Model::R);
  Model::ResamplerLayer::template forward<no_gradients>(ctx, connector.resampler, features, resampling, latents);
  Sequence s;
  s.ids.assign(tokens, 5);
  s.phi.assign(tokens, 2);
  s.media = 2;
  const auto plan = DecoderPlan::of(std::span(&s, 1), C.xattn, Model::R);
  const auto hidden = keep<Model::D>(ctx, tokens);
  Model::template forward<typename Model::Trained{}>(ctx, connector, lm, plan, latents, hidden);
  const auto logits = keep<Model::V>(ctx, 1);
  Model::Decoder::logits(ctx, lm, hidden.slice(0, 1), logits);
  // Each token passes every weight of the decoder's and the gated blocks but those that read media.
  const double weights = hand.lm() - 2 * (32000 + hand.added) * hand.D + hand.gated_blocks();
  CHECK(ctx.operations() - seen > 1.9 * tokens * weights);
  CHECK(ctx.operations() - seen < 2.4 * tokens * weights);
}

}  // namespace

constexpr ByHand by_hand_9b{4096, 11008, 32, 8, 2}, by_hand_80b{8192, 22016, 80, 20, 2};

TEST_CASE("Idefics-9B has its published size, 8.93 billion parameters", "[presets]") {
  using S = Sizes<presets::idefics_9b>;
  S::check(by_hand_9b);
  CHECK(std::round(S::total() / 1e7) / 100 == 8.93);
  CHECK(count<Sizes<presets::idefics_9b_instruct>::Model::Decoder>() == ByHand{4096, 11008, 32, 8, 3}.lm());
}

TEST_CASE("Idefics-80B has its published size, 79.9 billion parameters", "[presets]") {
  using S = Sizes<presets::idefics_80b>;
  S::check(by_hand_80b);
  CHECK(std::floor(S::total() / 1e8) / 10 == 79.9);
}

TEST_CASE("Idefics runs dry in its full sizes, from pixels to logits", "[presets]") {
  run_dry<presets::idefics_9b>(by_hand_9b);
  run_dry<presets::idefics_80b>(by_hand_80b);
}

}  // namespace idefics_test
