/// The paper's own shape from scratch, a thousandth of its size: an NFNet by contrast (examples/pretrain/contrastive),
/// a Chinchilla on packaged text (examples/pretrain), and what Flamingo puts between them. FLAMINGO_SMALL is 1, 2 or 3:
/// as in the paper, sizes differ in the language model and the gated blocks, not in the encoder or the Resampler.
#pragma once
#include <flamingo/flamingo.hpp>
#include <flamingo/model/vision/preprocess.hpp>

#include "../pretrain/contrastive_model.hpp"
#include "../pretrain/model.hpp"
#include "ablation.hpp"

namespace caption {

/// The pretrained language model reads windows of 256 tokens; its distances are sinusoids, which go on.
constexpr flamingo::Chinchilla longer(flamingo::Chinchilla lm, int context) {
  lm.context = context;
  return lm;
}

inline constexpr flamingo::FlamingoConfig<flamingo::NfNet, flamingo::Chinchilla> whole{
    .vision = contrastive::config.vision,  // 2 x 2 cells of 64 pixels
    .resampler = {.vision_dim = contrastive::config.vision.dim(),
                  .norm_input = true,
                  .dim = 128,
                  .latents = 8,
                  .layers = 2,
                  .heads = 4,
                  .head_dim = 32,
                  .widening = 2},
    .xattn = {.every = pretrain::size == 3 ? 2 : 1, .heads = 4, .head_dim = 32, .widening = 2},
    .lm = longer(pretrain::config, 4096),
};
inline constexpr auto config = changed(whole, ablation);
inline constexpr flamingo::PixelScale pixel_scale = flamingo::PixelScale::imagenet();
inline constexpr double stream_in_words = 1;  ///< the first gated block stands before all blocks
inline constexpr const char *begin_tag = "</s>", *encoder_name = "contrastive NFNet 64 px mean";

}  // namespace caption
