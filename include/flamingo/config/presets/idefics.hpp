/// Idefics (Hugging Face, 2023; an open reproduction of Flamingo-80B and a smaller one) in its published sizes:
/// OpenCLIP's ViT-H/14, a Resampler, and gated SwiGLU blocks before every fourth block of LLaMA.
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/config/flamingo.hpp>
#include <flamingo/config/vision.hpp>

namespace flamingo::presets {

using Idefics = FlamingoConfig<Vit, Llama>;

/// `added` rows follow the vocabulary: <fake_token_around_image> and <image>, and <end_of_utterance> in the instructed
/// models. Their files say how many (additional_vocab_size).
constexpr Idefics idefics(const Llama& lm) {
  return {.vision = {.image = 224,
                     .patch = 14,
                     .dim = 1280,
                     .layers = 32,
                     .heads = 16,
                     .hidden = 5120,
                     .activation = Activation::gelu,
                     .class_out = true},
          .resampler = {.dim = 1280,
                        .latents = 64,
                        .layers = 6,
                        .heads = 16,
                        .head_dim = 96,
                        .qk_norm = QkNorm::heads_layer,
                        .activation = Activation::relu,
                        .frames = 0},
          .xattn = {.every = 4,
                    .heads = lm.heads,
                    .head_dim = lm.head_size(),
                    .qk_norm = QkNorm::heads_rms,
                    .hidden = lm.hidden,
                    .activation = Activation::silu,
                    .gated_dense = true,
                    .norm = NormKind::rms,
                    .end_of_document = 2,
                    .epsilon = lm.epsilon},
          .lm = lm};
}

inline constexpr Idefics idefics_9b = idefics({.dim = 4096,
                                               .layers = 32,
                                               .heads = 32,
                                               .kv_heads = 32,
                                               .hidden = 11008,
                                               .vocabulary = 32000,
                                               .added = 2,
                                               .epsilon = 1e-6f});
inline constexpr Idefics idefics_80b = idefics({.dim = 8192,
                                                .layers = 80,
                                                .heads = 64,
                                                .kv_heads = 64,
                                                .hidden = 22016,
                                                .vocabulary = 32000,
                                                .added = 2,
                                                .epsilon = 1e-5f});

/// With one row more, for <end_of_utterance>.
constexpr Idefics instructed(Idefics c) {
  c.lm.added = 3;
  return c;
}
inline constexpr Idefics idefics_9b_instruct = instructed(idefics_9b), idefics_80b_instruct = instructed(idefics_80b);

}  // namespace flamingo::presets
