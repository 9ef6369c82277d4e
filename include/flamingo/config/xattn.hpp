/// Sizes and choices of what conditions the decoder on media: the GATED XATTN-DENSE blocks, and where they stand in it.
#pragma once
#include <cstdint>
#include <initializer_list>

#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// How the frozen decoder is told what the media show (the paper's ablation of the conditioning architecture).
enum class Conditioning {
  /// The paper: a cross-attention and a feed-forward of their own before a decoder block.
  gated_xattn_dense,
  /// VANILLA XATTN, the original Transformer's decoder: a cross-attention between a block's frozen self-attention and
  /// its frozen feed-forward, with no feed-forward of its own. The paper's row keeps the gate.
  vanilla_xattn,
  /// GRAFTING: the decoder as it is, and on what its last block gives `grafted` new blocks like its own, each with a
  /// cross-attention and a feed-forward after it; the frozen last norm and embedding make logits. The paper tells of
  /// "interleaved self-attention and cross-attention layers" and 3.3 B; 12 of each in its 3B make 3.27 B (inferred).
  grafting,
};
/// What a conditioning branch passes before it is added.
enum class Gate {
  tanh,  ///< the paper: y = x + tanh(α) branch, α = 0 at first, so that training begins at the bare decoder
  none,  ///< y = x + branch: the paper's ablation of it, worse and unstable
};
/// Which media a text token sees. `image` is the paper's φ: the last medium announced at or before the token.
enum class Visibility {
  last_image,   ///< the paper: the latents of medium φ alone
  all_earlier,  ///< media 1 .. φ
  last_run,     ///< the media announced by a run of adjacent tags, the last of them φ (Llama 3.2)
};
/// What a token does that has no medium to see: none precedes it in its document, or its tag has none (more tags than
/// media).
enum class NoImage {
  zero,      ///< the paper: its cross-attention output is exactly zero
  uniform,   ///< OpenFlamingo's masks, and Idefics' in transformers 4.35: the mean over every medium's values, later
             ///< ones too
  unmasked,  ///< transformers' Llama 3.2: every row of every medium by its score, also tiles that are not there
};

/// A set of numbers 0 ... 127.
struct Places {
  std::uint64_t low = 0, high = 0;

  static constexpr Places of(std::initializer_list<int> numbers) {
    Places places;
    for (const int n : numbers) (n < 64 ? places.low : places.high) |= std::uint64_t{1} << (n % 64);
    return places;
  }
  constexpr bool any() const { return low || high; }
  constexpr bool has(int n) const { return n < 128 && ((n < 64 ? low : high) >> (n % 64) & 1); }
};

struct XattnConfig {
  Conditioning conditioning = Conditioning::gated_xattn_dense;
  Gate gate = Gate::tanh;
  int grafted = 0;   ///< new decoder blocks of GRAFTING, after the last; every and places say nothing then
  int every = 4;     ///< a gated block before every `every`-th decoder block ...
  int offset = 0;    ///< ... namely before blocks i with i mod every == offset (the paper 0, OpenFlamingo every - 1)
  Places places{};   ///< or, where not empty, before these blocks; L, the number of blocks, is after the last
  int heads = 16;    ///< H
  int kv_heads = 0;  ///< G; 0: as many as heads
  int head_dim = 128;
  QkNorm qk_norm = QkNorm::none;
  int widening = 4;
  int hidden = 0;  ///< F of the dense half; 0: widening D
  Activation activation = Activation::squared_relu;
  bool gated_dense = false;         ///< the dense half is SwiGLU or its like (Idefics, Llama 3.2)
  NormKind norm = NormKind::layer;  ///< before both halves
  bool norm_media = false;    ///< LayerNorm on the visual rows inside the block (the paper's; reproductions have none)
  bool vector_gates = false;  ///< one gate a feature instead of one a layer
  Visibility visibility = Visibility::last_image;
  NoImage before_first = NoImage::zero;  ///< tokens with φ = 0 (OpenFlamingo attending to all earlier media: uniform)
  NoImage beyond_last = NoImage::zero;   ///< tokens with φ > M (OpenFlamingo attending to the last medium: uniform)
  int end_of_document = -1;  ///< id after which tokens see no medium until the next one (Idefics' </s>); -1: none
  bool mask_dense = false;   ///< the dense half, too, gives zero for tokens that have no medium to see (Llama 3.2)
  float epsilon = 1e-5f;
  int split = 1;  ///< processes that divide heads and hidden features between them

  /// Whether a gated block stands before block i of `layers`, or after the last where i is `layers`. Grafted blocks
  /// are numbered on: layers ... layers + grafted - 1. VANILLA XATTN stands inside block i.
  constexpr bool gated(int i, int layers) const {
    if (conditioning == Conditioning::grafting) return i > layers && i <= layers + grafted;
    return places.any() ? places.has(i) && i <= layers : i < layers && i % every == offset;
  }
  constexpr int key_heads() const { return kv_heads ? kv_heads : heads; }
};

}  // namespace flamingo
