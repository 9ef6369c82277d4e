/// The published OpenFlamingo models (Awadalla et al. 2023) and the language models below them.
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/config/flamingo.hpp>
#include <flamingo/config/vision.hpp>

namespace flamingo::presets {

/// mosaicml/mpt-1b-redpajama-200b, with or without -dolly.
inline constexpr Mpt mpt_1b{.dim = 2048, .layers = 24, .heads = 16, .qk_norm = true};
/// mosaicml/mpt-7b
inline constexpr Mpt mpt_7b{.dim = 4096, .layers = 32, .heads = 32};
/// togethercomputer/RedPajama-INCITE-Base-3B-v1 and -Instruct-3B-v1
inline constexpr GptNeox red_pajama_3b{.dim = 2560, .layers = 32, .heads = 32, .rotary_share = 1, .parallel = false};

/// A Flamingo as OpenFlamingo builds it over CLIP ViT-L/14, a gated block before the last of every `every` decoder
/// blocks. Of the decoder's table are left the 50277 entries of its tokenizer; <|endofchunk|>, <image> and <PAD> are
/// added.
template <class Lm>
constexpr FlamingoConfig<Vit, Lm> open_flamingo(Lm lm, int every) {
  lm.vocabulary = 50277;
  lm.added = 3;
  return {.vision = {},
          .resampler = {.dim = 1024,
                        .latents = 64,
                        .layers = 6,
                        .heads = 8,
                        .head_dim = 64,
                        .activation = Activation::gelu,
                        .frames = 0},
          .xattn = {.every = every,
                    .offset = every - 1,
                    .heads = 8,
                    .head_dim = 64,
                    .activation = Activation::gelu,
                    .beyond_last = NoImage::uniform},
          .lm = lm};
}

/// openflamingo/OpenFlamingo-3B-vitl-mpt1b, and its -langinstruct
inline constexpr FlamingoConfig<Vit, Mpt> open_flamingo_3b = open_flamingo(mpt_1b, 1);
/// openflamingo/OpenFlamingo-4B-vitl-rpj3b, and its -langinstruct
inline constexpr FlamingoConfig<Vit, GptNeox> open_flamingo_4b = open_flamingo(red_pajama_3b, 2);
/// openflamingo/OpenFlamingo-9B-vitl-mpt7b
inline constexpr FlamingoConfig<Vit, Mpt> open_flamingo_9b = open_flamingo(mpt_7b, 4);

}  // namespace flamingo::presets
