/// The published dual encoders whose vision towers other models see by.
#pragma once
#include <flamingo/config/clip.hpp>

namespace flamingo::presets {

/// openai/clip-vit-large-patch14 (Radford et al. 2021), OpenFlamingo's vision encoder.
inline constexpr ClipConfig clip_vit_l14{};

/// laion/CLIP-ViT-H-14-laion2B-s32B-b79K (OpenCLIP), Idefics' vision encoder.
inline constexpr ClipConfig open_clip_vit_h14{
    .vision = {.dim = 1280, .layers = 32, .heads = 16, .activation = Activation::gelu},
    .text = {.dim = 1024, .layers = 24, .heads = 16, .activation = Activation::gelu},
    .projection = 1024};

}  // namespace flamingo::presets
