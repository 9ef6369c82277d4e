/// Sizes and choices of the GATED XATTN-DENSE blocks, and where they stand in the decoder.
#pragma once
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// Which media a text token sees. `image` is the paper's φ: the last medium announced at or before the token.
enum class Visibility {
  last_image,   ///< the paper: the latents of medium φ alone
  all_earlier,  ///< media 1 .. φ
};
/// What a token does that has no medium to see: none precedes it, or its tag has none (more tags than media).
enum class NoImage {
  zero,     ///< the paper: its cross-attention output is exactly zero
  uniform,  ///< OpenFlamingo's masks: the mean over every medium's values, later ones too
};

struct XattnConfig {
  int every = 4;   ///< a gated block before every `every`-th decoder block ...
  int offset = 0;  ///< ... namely before blocks i with i mod every == offset (the paper 0, OpenFlamingo every - 1)
  int heads = 16;
  int head_dim = 128;
  int widening = 4;
  Activation activation = Activation::squared_relu;
  bool norm_media = false;    ///< LayerNorm on the visual rows inside the block (the paper's; reproductions have none)
  bool vector_gates = false;  ///< one gate a feature instead of one a layer
  Visibility visibility = Visibility::last_image;
  NoImage before_first = NoImage::zero;  ///< tokens with φ = 0 (OpenFlamingo attending to all earlier media: uniform)
  NoImage beyond_last = NoImage::zero;   ///< tokens with φ > M (OpenFlamingo attending to the last medium: uniform)
  float epsilon = 1e-5f;
};

}  // namespace flamingo
