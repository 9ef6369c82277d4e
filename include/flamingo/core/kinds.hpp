/// Small closed sets of choices that configs name and ops compute.
#pragma once
#include <string_view>
#include <type_traits>

namespace flamingo {

/// c itself. As a template argument nvcc can write down the value of a call, but not that of another parameter: a class
/// template that hands its config on to one that hosts name calls this.
template <class C>
constexpr C value_of(const C& c) {
  return c;
}

namespace detail {
/// In place of a parameter of that type, by which nvcc does not tell specialisations apart.
template <auto C, class Config>
inline constexpr bool same_config = std::is_same_v<std::remove_cvref_t<decltype(C)>, Config>;
}  // namespace detail

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

/// The norms of a residual branch.
enum class NormKind {
  layer,           ///< mean and deviation, scale and bias
  layer_unbiased,  ///< the same without a bias (MPT)
  rms,             ///< root mean square and scale
  rms_biased,      ///< the same with a bias
};

/// Norms of queries and keys, each with parameters of its own, before positions are put into them.
enum class QkNorm {
  none,
  heads_rms,    ///< RMS norm over each head's features (Idefics' and Llama 3.2's cross-attention)
  heads_layer,  ///< LayerNorm over each head's features (Idefics' Resampler)
  rows_layer,   ///< LayerNorm without bias over all heads at once (MPT)
};

/// How the variance v of a filter's N weights is kept from zero where they are standardised.
enum class WeightVariance {
  floor,  ///< √max(N v, ε), as DeepMind's code
  added,  ///< √(N (v + ε)), as timm's
};

/// Which two features of a head turn together under rotary positions.
enum class RotaryPairs {
  halves,    ///< feature i with feature i + K/2 (GPT-NeoX, Hugging Face's LLaMA)
  adjacent,  ///< feature 2i with feature 2i + 1 (the original, GGUF's LLaMA)
};

/// Rotary frequencies stretched for contexts longer than those of training (Llama 3.1's rule). Waves that turn more
/// than `high` times within `context` tokens stay, those that turn less than `low` times are slowed by `factor`, and
/// between the two it goes over smoothly.
struct RotaryScaling {
  float factor = 1;  ///< 1: none
  float low = 1, high = 4;
  int context = 8192;

  friend constexpr bool operator==(const RotaryScaling&, const RotaryScaling&) = default;
};

}  // namespace flamingo
