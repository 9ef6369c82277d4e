/// The model of the examples: a connector of our own between EfficientNet-Lite0 and SmolLM2-135M-Instruct, both frozen.
#pragma once
#include <filesystem>
#include <memory>

#include <flamingo/cpu.hpp>
#include <flamingo/files.hpp>
#include <flamingo/flamingo.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/model/vision/preprocess.hpp>
#include <flamingo/vision.hpp>

namespace caption {

inline constexpr flamingo::FlamingoConfig<flamingo::EfficientNetLite, flamingo::Llama> config{
    .vision = {.image = 160},  // 5 x 5 cells of 1280 channels
    .resampler = {.vision_dim = 1280,
                  .norm_input = true,
                  .dim = 384,
                  .latents = 8,
                  .layers = 2,
                  .heads = 6,
                  .head_dim = 64,
                  .widening = 2},
    .xattn = {.every = 6, .offset = 2, .heads = 8, .head_dim = 64, .widening = 1},
    .lm = {.dim = 576,
           .layers = 30,
           .heads = 9,
           .kv_heads = 3,
           .hidden = 1536,
           .vocabulary = 49152,
           .context = 8192,
           .rotary_base = 100000,
           .rotary_pairs = flamingo::RotaryPairs::adjacent,
           .tied = true},
};

using P = flamingo::Cpu<float>;
using Model = flamingo::model::Flamingo<config, P>;
using Connector = Model::Connect;
using Lm = Model::Decoder;
using LmWeights = Lm::Parameters<flamingo::Packed<P>>;
using Encoder = flamingo::model::EfficientNet<config.vision, P>;
static_assert(Encoder::D == config.resampler.features());

/// Cells of a picture's feature grid.
inline constexpr int cells = Encoder::features({0, config.vision.image, config.vision.image}).rows();

/// The two frozen models and the tokenizer, out of the folder that examples/data/fetch fills.
struct Backbones {
  flamingo::Store<Encoder, P> vision;
  flamingo::PackedWeights<Lm, P> lm;
  flamingo::io::Tokenizer tokenizer;
  flamingo::Tags tags;

  static Backbones load(const std::filesystem::path& folder, flamingo::Held held,
                        flamingo::Arrangement arrangement = flamingo::Arrangement::rows) {
    const auto gguf = std::make_shared<const flamingo::io::Gguf>(folder / "SmolLM2-135M-Instruct.Q4_1.gguf");
    flamingo::check_gguf_llama(config.lm, *gguf);
    auto tokenizer = flamingo::io::Tokenizer::from_gguf(*gguf);
    // The language model knows these words: " image" begins a picture, a full stop ends what is said of it.
    auto tags = flamingo::Tags::of(tokenizer, "<|endoftext|>", " image", ".");
    return {
        flamingo::load_efficientnet<config.vision, P>(
            flamingo::io::Safetensors(folder / "efficientnet_lite0.safetensors")),
        flamingo::PackedWeights<Lm, P>::load(gguf, held, flamingo::gguf_llama_names(config.lm), nullptr, arrangement),
        std::move(tokenizer), std::move(tags)};
  }
};

/// Features (cells each, 1280) of pictures.
inline std::vector<float> encode(flamingo::Context<P>& ctx, const Backbones& backbones,
                                 std::span<const flamingo::io::Image> images) {
  constexpr int side = config.vision.image;
  std::vector<float> pixels;
  std::vector<flamingo::Grid> grids;
  for (const flamingo::io::Image& image : images) {
    grids.push_back({static_cast<int>(pixels.size() / 3), side, side});
    const auto rows = flamingo::pixel_rows(image, side, flamingo::PixelScale::efficientnet_lite());
    pixels.insert(pixels.end(), rows.begin(), rows.end());
  }
  std::vector<float> features(images.size() * static_cast<std::size_t>(cells * Encoder::D));
  const auto scope = ctx.scope();
  Encoder::forward(ctx, backbones.vision.views,
                   flamingo::Rows<P, 3, const float>{pixels.data(), static_cast<int>(pixels.size() / 3), {}}, grids,
                   flamingo::Rows<P, Encoder::D>{features.data(), static_cast<int>(images.size()) * cells, {}});
  return features;
}

}  // namespace caption
