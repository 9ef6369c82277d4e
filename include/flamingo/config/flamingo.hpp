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

  /// Whether a gated block stands before decoder block i.
  constexpr bool gated(int i) const { return i % xattn.every == xattn.offset; }
  /// Gated blocks in all.
  constexpr int gated_blocks() const {
    int n = 0;
    for (int i = 0; i < lm.layers; ++i) n += gated(i);
    return n;
  }
  /// The first decoder block with a gated block before it: below it nothing runs backward.
  constexpr int first_gated() const { return xattn.offset; }
};

}  // namespace flamingo
