/// The sizes of the comparison with OpenFlamingo (bench_open_flamingo.py's), its prompts, and what its tasks take.
#pragma once
#include <flamingo/config/presets/open_flamingo.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/data/document.hpp>

namespace flamingo::bench {

using P = Cpu<float>;
using OpenFlamingo = FlamingoConfig<Vit, Mpt>;

/// What OpenFlamingo makes of a CLIP encoder and an MPT decoder; the last three rows of the table are added ones.
constexpr OpenFlamingo over(Vit vision, Mpt lm, int every, ResamplerConfig resampler, int heads) {
  lm.added = 3;
  lm.vocabulary -= lm.added;
  OpenFlamingo c = presets::open_flamingo(lm, every);
  c.lm.vocabulary = lm.vocabulary;
  c.vision = vision;
  c.resampler.dim = vision.dim;
  c.resampler.latents = resampler.latents;
  c.resampler.layers = resampler.layers;
  c.resampler.heads = resampler.heads;
  c.xattn.heads = heads;
  return c;
}
inline constexpr OpenFlamingo of_mini =
    over({.image = 64, .patch = 8, .dim = 192, .layers = 4, .heads = 3},
         {.dim = 256, .layers = 6, .heads = 4, .vocabulary = 8192}, 2, {.latents = 16, .layers = 2, .heads = 4}, 4);
inline constexpr OpenFlamingo of_small =
    over({.image = 224, .patch = 14, .dim = 384, .layers = 12, .heads = 6},
         {.dim = 768, .layers = 12, .heads = 12, .vocabulary = 32000}, 2, {.latents = 64, .layers = 6, .heads = 8}, 8);
inline constexpr OpenFlamingo of_3b = over({}, {.dim = 2048, .layers = 24, .heads = 16, .vocabulary = 50280}, 1,
                                           {.latents = 64, .layers = 6, .heads = 8}, 8);

inline constexpr OpenFlamingo config = FLAMINGO_BENCH_SIZE;
inline constexpr int cells = config.vision.grid() * config.vision.grid(), words = config.lm.vocabulary;

/// `shots` demonstrations, <image> and `text` tokens and <|endofchunk|>, and a query: an image and as many tokens.
inline Sequence prompt(Random& random, int shots, int text) {
  Sequence s;
  const auto put = [&](int id) {
    s.ids.push_back(id);
    s.phi.push_back(s.media);
  };
  for (int i = 0; i <= shots; ++i) {
    ++s.media;
    put(words + 1);  // <image>
    for (int t = 0; t < text; ++t) put(random.below(words));
    if (i < shots) put(words);  // <|endofchunk|>
  }
  return s;
}
/// One image, and so much text that the prompt is `tokens` long.
inline Sequence prompt_of(Random& random, int tokens) { return prompt(random, 0, tokens - 1); }

/// Operations of products and attention, counted by the code of the tasks.
double vision_operations();
double resample_operations();
double prefill_operations(const Sequence& prompt);  ///< the keys and values of its media in the gated blocks included

/// Bytes that the memory plan predicts beside the program's own: the encoder, connector and decoder in this format, and
/// a run that encodes `media` pictures, reads a prompt of them and writes the last `written` of `tokens`.
double planned_bytes(Format format, int tokens, int media, int written);

}  // namespace flamingo::bench
