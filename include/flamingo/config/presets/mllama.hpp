/// Llama 3.2 Vision (Meta, 2024) in its published sizes: a vision transformer over tiles, a projector, and
/// cross-attention layers in Llama 3.1.
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/config/flamingo.hpp>
#include <flamingo/config/vision.hpp>

namespace flamingo {

/// Who computes the rows of tokens that have no medium to see.
enum class MllamaMasks {
  meant,         ///< both halves of a cross-attention layer give zero, as the authors' own code has it
  transformers,  ///< attention sees all rows of all media, padding tiles too, and the dense half gives zero
};

/// The model around a vision transformer and a decoder. Its layers of
/// cross-attention stand before blocks 3, 7, 11, ..., as published, or before `places`.
constexpr FlamingoConfig<MllamaVision, Llama> mllama(const MllamaVision& vision, const Llama& lm,
                                                     MllamaMasks masks = MllamaMasks::meant, Places places = {},
                                                     Visibility visibility = Visibility::last_run) {
  return {.vision = vision,
          .resampler = {.vision_dim = vision.features(),
                        .dim = lm.dim,
                        .latents = vision.rows(),
                        .layers = 0,
                        .project = true,
                        .frames = 0},
          .xattn = {.every = 4,
                    .offset = 3,
                    .places = places,
                    .heads = lm.heads,
                    .kv_heads = lm.kv_heads,
                    .head_dim = lm.head_size(),
                    .qk_norm = QkNorm::heads_rms,
                    .hidden = lm.hidden,
                    .activation = Activation::silu,
                    .gated_dense = true,
                    .norm = NormKind::rms,
                    .visibility = visibility,
                    .before_first = masks == MllamaMasks::meant ? NoImage::zero : NoImage::unmasked,
                    .mask_dense = true,
                    .epsilon = lm.epsilon},
          .lm = lm};
}

namespace presets {

constexpr Llama llama_3_1(int dim, int layers, int heads, int hidden) {
  return {.dim = dim,
          .layers = layers,
          .heads = heads,
          .kv_heads = 8,
          .hidden = hidden,
          .vocabulary = 128256,
          .added = 8,
          .added_output = false,
          .context = 131072,
          .rotary_base = 500000,
          .rotary_scaling = {.factor = 8, .low = 1, .high = 4, .context = 8192}};
}
inline constexpr auto llama_3_2_vision_11b = mllama({}, llama_3_1(4096, 32, 32, 14336)),
                      llama_3_2_vision_90b = mllama({}, llama_3_1(8192, 80, 64, 28672));

}  // namespace presets
}  // namespace flamingo
