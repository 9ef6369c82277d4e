/// Sizes and choices of language models.
#pragma once
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// A decoder of the LLaMA type: RMSNorm, rotary positions, grouped queries, SwiGLU, no biases.
struct Llama {
  int dim = 4096;  ///< D
  int layers = 32;
  int heads = 32;          ///< H
  int kv_heads = 32;       ///< G; H is a multiple of it
  int head_dim = 0;        ///< K; 0: D / H
  int hidden = 11008;      ///< F
  int vocabulary = 32000;  ///< V
  int added = 0;           ///< rows after the vocabulary that a host trains while the table stays frozen
  int context = 2048;      ///< most tokens of a sequence
  double rotary_base = 10000;
  RotaryPairs rotary_pairs = RotaryPairs::halves;
  float epsilon = 1e-5f;
  bool tied = false;  ///< the output layer is the embedding table

  constexpr int head_size() const { return head_dim ? head_dim : dim / heads; }
};

}  // namespace flamingo
