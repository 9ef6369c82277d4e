/// NFNet, the paper's vision encoder (Brock et al. 2021): residual convolutions without normalisation, whose variance
/// is kept by standardised weights and by scalars that the config implies.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// Which rows an NFNet gives as features.
enum class NfNetFeatures {
  stages,  ///< what leaves the last stage, before any non-linearity
  head,    ///< after the last 1 x 1 convolution, if there is one, and the non-linearity
};

/// One block: a bottleneck of two grouped 3 x 3 convolutions, then squeeze-and-excitation.
struct NfNetBlock {
  int in = 0, middle = 0, out = 0;
  int groups = 1;   ///< of the 3 x 3 convolutions
  int squeeze = 0;  ///< hidden width of squeeze-and-excitation
  int stride = 1;

  /// Whether the shortcut is a convolution; else it is the block's input itself.
  constexpr bool transition() const { return in != out || stride > 1; }
  friend constexpr bool operator==(const NfNetBlock&, const NfNetBlock&) = default;
};

/// The defaults are NFNet-F6 as DeepMind published it, without a classifier, at Flamingo's resolution. Fields in which
/// other implementations differ say whose value the default is.
struct NfNet {
  static constexpr int stages = 4;

  int image = 320;                                       ///< pixels along each side; any sizes work
  std::array<int, stages> depths{7, 14, 42, 21};         ///< blocks of each stage
  std::array<int, stages> widths{256, 512, 1536, 1536};  ///< channels that leave each stage
  std::array<int, stages> strides{1, 2, 2, 2};           ///< of each stage's first block
  int stem = 128;  ///< channels that leave the stem; its four convolutions make an 8th, a 4th, half, all of them
  float bottleneck = 0.5f;   ///< middle channels over those that leave the block
  int group = 128;           ///< channels of a group of the 3 x 3 convolutions
  int width_multiple = 1;    ///< of which middle channels are a multiple before they are cut into groups (timm: 8)
  float squeeze = 0.5f;      ///< hidden channels of squeeze-and-excitation over those that leave the block
  int squeeze_multiple = 1;  ///< of which they are a multiple (timm: 8; the published sizes are multiples anyway)
  float squeeze_gain = 2;    ///< 2 σ(0) = 1: at first squeeze-and-excitation changes nothing
  float alpha = 0.2f;        ///< of a residual branch; the variance that is kept account of grows by its square
  /// JAX's gelu is the tanh form; timm's is exact. The two differ by less than 5e-4, but published weights were trained
  /// with the first.
  Activation activation = Activation::gelu_tanh;
  bool gamma_in_weights = false;  ///< the gain of the non-linearity scales the weights (timm's nf_ models), not itself
  WeightVariance variance = WeightVariance::floor;  ///< timm's "added" gives other numbers where weights are tiny alone
  float epsilon = 1e-4f;                            ///< of the rule above (timm: 1e-5)
  int head = 3072;                                  ///< channels of the last convolution; 0: none
  /// Behind the head F6 has the 435 M parameters of the paper's table and the Resampler the 194 M of its own; without
  /// it they would be 431 M and 189 M.
  NfNetFeatures features = NfNetFeatures::head;
  int classes = 0;             ///< of a classifier on the mean of head rows; 0: none
  float stochastic_depth = 0;  ///< probability that training drops the last block's branch; it grows with depth from 0
  float dropout = 0;           ///< of the classifier's input, in training
  bool folded = false;         ///< weights hold what standardisation gives, once for all: frozen encoders, no gains

  constexpr bool has_head() const { return features == NfNetFeatures::head; }
  /// D, channels of a feature row.
  constexpr int dim() const { return has_head() && head ? head : widths.back(); }
  constexpr int blocks() const {
    int n = 0;
    for (const int depth : depths) n += depth;
    return n;
  }

  /// A block of stage s: its first, or any other.
  constexpr NfNetBlock block(int s, bool first) const {
    const auto at = static_cast<std::size_t>(s);
    const int out = widths[at], in = !first ? out : s ? widths[at - 1] : stem;
    const int wide = middle_channels(out), groups = std::max(1, wide / group);
    return {in,
            group % width_multiple ? wide : groups * std::min(group, wide),
            out,
            groups,
            squeezed(out),
            first ? strides[at] : 1};
  }
  /// β of a block: 1 over the deviation that its input is expected to have.
  double beta(int s, int i) const {
    // The branches since the variance was last 1: behind the first convolution and behind each transition's shortcut.
    const int branches = i ? i : s ? depths[static_cast<std::size_t>(s - 1)] : 0;
    return 1 / std::sqrt(1 + branches * double{alpha} * double{alpha});
  }

 private:
  constexpr int middle_channels(int out) const {
    const float wide = static_cast<float>(out) * bottleneck;
    if (width_multiple == 1) return static_cast<int>(wide);
    const int n = std::max(width_multiple, nearest(wide, width_multiple));
    return static_cast<float>(n) < 0.9f * wide ? n + width_multiple : n;  // not narrower than that
  }
  constexpr int squeezed(int out) const {
    const float wide = static_cast<float>(out) * squeeze;
    return std::max(squeeze_multiple, squeeze_multiple == 1 ? static_cast<int>(wide) : nearest(wide, squeeze_multiple));
  }
  static constexpr int nearest(float x, int multiple) {
    return static_cast<int>(x + static_cast<float>(multiple) / 2) / multiple * multiple;
  }
};

/// The same encoder with standardised weights as numbers.
constexpr NfNet folded(NfNet c) {
  c.folded = true;
  return c;
}

}  // namespace flamingo
