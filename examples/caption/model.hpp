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

#ifdef FLAMINGO_SMALL  // the model from scratch in place of these backbones
#include "../mixture/small.hpp"
#else
#include "smollm2.hpp"

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
    .lm = smollm2,
};
inline constexpr flamingo::PixelScale pixel_scale = flamingo::PixelScale::efficientnet_lite();
/// About how long the residual stream is before the first gated block, in lengths of a word's embedding.
inline constexpr double stream_in_words = 64;
inline constexpr const char *begin_tag = "<|endoftext|>", *encoder_name = "efficientnet_lite0 160 px mean";

}  // namespace caption
#endif

namespace caption {

using P = flamingo::Cpu<float>;
using Model = flamingo::model::Flamingo<config, P>;
using Connector = Model::Connect;
using Lm = Model::Decoder;
using LmWeights = Lm::Parameters<flamingo::Packed<P>>;
using Encoder = flamingo::EncoderOf<config.vision, P>::type;
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
                        flamingo::Arrangement arrangement = flamingo::Arrangement::rows);
};

/// Features (cells each, 1280) of pictures.
std::vector<float> encode(flamingo::Context<P>& ctx, const Backbones& backbones,
                          std::span<const flamingo::io::Image> images);

}  // namespace caption
