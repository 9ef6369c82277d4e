/// The model that the layers' benchmarks time: the sizes of examples/caption, over SmolLM2-135M's. Weights are zeros,
/// which take as long as any numbers.
#pragma once
#include <flamingo/core/store.hpp>
#include <flamingo/dry.hpp>
#include <flamingo/model/flamingo.hpp>

#include "support/op.hpp"

namespace flamingo::bench {

struct NoEncoder {};
inline constexpr FlamingoConfig<NoEncoder, Llama> sizes{
    .vision = {},
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
           .context = 2048,
           .rotary_base = 100000,
           .rotary_pairs = RotaryPairs::adjacent,
           .tied = true},
};

/// What `run(context of Dry<P>)` counts: the operations of the timed call, by the code of the call.
template <class Run>
double operations_of(const Run& run) {
  Context<Dry<P>> dry;
  run(dry);
  return dry.operations();
}

/// `documents` documents of `tokens` tokens, each with a picture of 25 cells announced by its second token; the last
/// `asked` tokens are asked for.
struct Documents {
  std::vector<Medium> media;
  std::vector<Sequence> sequences;

  Documents(int documents, int tokens, int asked) {
    for (int d = 0; d < documents; ++d) {
      media.push_back({25 * d, 25, 1, 0});
      Sequence s;
      for (int t = 0; t < tokens; ++t) {
        s.ids.push_back(t % sizes.lm.vocabulary);
        s.phi.push_back(t > 0);
        s.targets.push_back(t + asked >= tokens ? 7 : -1);
      }
      s.first_medium = d;
      s.media = 1;
      sequences.push_back(std::move(s));
    }
  }
};

}  // namespace flamingo::bench
