/// Small closed sets of choices that configs name and ops compute.
#pragma once
#include <string_view>

namespace flamingo {

/// The non-linearity of a feed-forward layer.
enum class Activation {
  identity,
  gelu,          ///< z/2 (1 + erf(z / √2))
  gelu_tanh,     ///< z/2 (1 + tanh(√(2/π) (z + 0.044715 z³)))
  quick_gelu,    ///< z σ(1.702 z), as OpenAI's CLIP
  silu,          ///< z σ(z)
  relu,          ///< max(z, 0)
  relu6,         ///< min(max(z, 0), 6)
  squared_relu,  ///< max(z, 0)², as the paper's new layers
};

/// Which two features of a head turn together under rotary positions.
enum class RotaryPairs {
  halves,    ///< feature i with feature i + K/2 (GPT-NeoX, Hugging Face's LLaMA)
  adjacent,  ///< feature 2i with feature 2i + 1 (the original, GGUF's LLaMA)
};

}  // namespace flamingo
