/// A whole model as one value: its parts, each of the type that picks the part's layer.
#pragma once
#include <flamingo/config/resampler.hpp>
#include <flamingo/config/xattn.hpp>

namespace flamingo {

/// Vision is an encoder's config (Vit, EfficientNetLite, a host's own), Lm a decoder's (Llama, ...).
template <class Vision, class Lm>
struct FlamingoConfig {
  Vision vision{};
  ResamplerConfig resampler{};
  XattnConfig xattn{};
  Lm lm{};

  /// New decoder blocks on the decoder's output.
  constexpr int grafted() const { return xattn.conditioning == Conditioning::grafting ? xattn.grafted : 0; }
  /// Decoder blocks that a token passes: the decoder's, then the grafted ones.
  constexpr int blocks() const { return lm.layers + grafted(); }
  /// Whether a gated block stands before decoder block i, or, where i is blocks(), after the last.
  constexpr bool gated(int i) const { return xattn.gated(i, lm.layers); }
  /// Gated blocks before decoder block `end`; by default all of them.
  constexpr int gated_blocks(int end = -1) const {
    int n = 0;
    for (int i = 0; i < (end < 0 ? blocks() + 1 : end); ++i) n += gated(i);
    return n;
  }
  /// The first decoder block with a gated block before it: below it nothing runs backward.
  constexpr int first_gated() const {
    int i = 0;
    while (i < lm.layers && !gated(i)) ++i;
    return i;
  }
};

}  // namespace flamingo
