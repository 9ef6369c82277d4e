/// Sizes and choices of language models.
#pragma once
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// A decoder of the LLaMA type: RMSNorm, rotary positions, grouped queries, SwiGLU, no biases.
struct Llama {
  int dim = 4096;  ///< D
  int layers = 32;
  int heads = 32;            ///< H
  int kv_heads = 32;         ///< G; H is a multiple of it
  int head_dim = 0;          ///< K; 0: D / H
  int hidden = 11008;        ///< F
  int vocabulary = 32000;    ///< V
  int added = 0;             ///< rows after the vocabulary that a host trains while the table stays frozen
  bool added_output = true;  ///< the added rows are written too; else read alone (Llama 3.2's image token)
  int context = 2048;        ///< most tokens of a sequence
  double rotary_base = 10000;
  RotaryPairs rotary_pairs = RotaryPairs::halves;
  RotaryScaling rotary_scaling{};
  float epsilon = 1e-5f;
  bool tied = false;  ///< the output layer is the embedding table
  int split = 1;      ///< processes that divide each block's heads and hidden features between them

  constexpr int head_size() const { return head_dim ? head_dim : dim / heads; }
};

/// A decoder of the MPT type (MosaicML 2023): LayerNorm, linear biases of distance, GELU, no biases at all, the output
/// layer tied to the embedding.
struct Mpt {
  int dim = 4096;  ///< D
  int layers = 32;
  int heads = 32;          ///< H
  int hidden = 0;          ///< F; 0: 4 D
  int vocabulary = 50432;  ///< V
  int added = 0;           ///< rows after the vocabulary that a host trains while the table stays frozen
  int context = 2048;      ///< most tokens of a sequence
  float alibi = 8;         ///< largest exponent of the biases' slopes
  float clamp = 0;         ///< queries, keys and values lie within [-clamp, clamp] (clip_qkv); 0: not clamped
  bool qk_norm = false;    ///< LayerNorm without bias over the whole rows of queries and keys (MPT-1B's attn_qk_ln)
  float epsilon = 1e-5f;
  bool tied = true;

  constexpr int head_size() const { return dim / heads; }
  constexpr int hidden_size() const { return hidden ? hidden : 4 * dim; }
};

/// A decoder of the GPT-NeoX type (Black et al. 2022): LayerNorm, rotary positions on a part of each head, biases, both
/// branches of a block side by side or one after the other.
struct GptNeox {
  int dim = 6144;  ///< D
  int layers = 44;
  int heads = 64;              ///< H
  int hidden = 0;              ///< F; 0: 4 D
  int vocabulary = 50432;      ///< V
  int added = 0;               ///< rows after the vocabulary that a host trains while the table stays frozen
  int context = 2048;          ///< most tokens of a sequence
  float rotary_share = 0.25f;  ///< of a head's features that turn (rotary_pct)
  double rotary_base = 10000;
  bool parallel = true;  ///< use_parallel_residual
  Activation activation = Activation::gelu;
  float epsilon = 1e-5f;
  bool tied = false;
  int split = 1;  ///< processes that divide each block's heads and hidden features between them

  constexpr int head_size() const { return dim / heads; }
  constexpr int hidden_size() const { return hidden ? hidden : 4 * dim; }
  constexpr int turned() const { return static_cast<int>(static_cast<float>(head_size()) * rotary_share); }
};

/// A decoder of the Chinchilla type (Hoffmann et al. 2022, after Gopher, Rae et al. 2021), Flamingo's own: RMSNorm,
/// Transformer-XL's relative positions, GELU, biases, the output layer tied to the embedding. No weights or code of it
/// were published; what the papers leave open is a field.
struct Chinchilla {
  int dim = 2048;  ///< D
  int layers = 24;
  int heads = 16;          ///< H
  int head_dim = 128;      ///< K; 0: D / H
  int hidden = 0;          ///< F; 0: 4 D
  int vocabulary = 32000;  ///< V
  int added = 0;       ///< rows after the vocabulary that a host trains while the table stays frozen: Flamingo's <EOC>
  int context = 2048;  ///< most tokens of a sequence; relative positions tell so many distances apart
  /// "GELU" in the papers; jax.nn.gelu, which their authors' published code calls, is the approximation by tanh unless
  /// told otherwise.
  Activation activation = Activation::gelu_tanh;
  bool bias = true;  ///< of all projections but that of the distances: Table A9's counts have room for them
  /// RMSNorm as published has a scale alone. The count that gives Table A9's 1,429.5 M and 6,796.3 M has two vectors a
  /// norm; the table prints whole millions, which the scale alone gives too. The default is the count's.
  bool norm_bias = true;
  float epsilon = 1e-5f;  ///< not told; that of the norms of their authors' library
  bool tied = true;       ///< the count has one table
  int split = 1;          ///< processes that divide each block's heads and hidden features between them

  constexpr int head_size() const { return head_dim ? head_dim : dim / heads; }
  constexpr int hidden_size() const { return hidden ? hidden : 4 * dim; }
};

/// Ids that a decoder reads: its vocabulary, then the added rows.
template <class Lm>
constexpr int read_ids(const Lm& c) {
  return c.vocabulary + c.added;
}
/// Ids that it writes: as many logits.
template <class Lm>
constexpr int written_ids(const Lm& c) {
  if constexpr (requires { c.added_output; })
    return c.added_output ? read_ids(c) : c.vocabulary;
  else
    return read_ids(c);
}

}  // namespace flamingo
