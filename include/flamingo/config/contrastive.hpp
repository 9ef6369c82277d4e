/// Sizes and choices of contrastive pretraining: the paper's dual encoder of a vision encoder and a BERT.
#pragma once
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// BERT's text transformer (Devlin et al. 2019). The paper does not print the size of its main run; the defaults are
/// BERT-mini, which its ablation of the mixture names, over ALIGN's vocabulary and context.
struct BertText {
  int context = 64;         ///< most tokens of a text
  int vocabulary = 100000;  ///< V
  /// Rows of BERT's table of segments; 0: none. A caption is one segment, so that all its tokens read row 0: positions
  /// can learn the same sum. BERT's own weights have 2.
  int segments = 0;
  int dim = 256;  ///< E
  int layers = 4;
  int heads = 4;   ///< H
  int hidden = 0;  ///< F; 0: 4 E
  Activation activation = Activation::gelu;
  float epsilon = 1e-12f;

  constexpr int hidden_size() const { return hidden ? hidden : 4 * dim; }
};

/// A vision encoder and a BERT, the means of their rows, and the space in which these meet. Vision is any config that
/// EncoderOf knows the layer of.
template <class Vision>
struct ContrastiveConfig {
  Vision vision{};
  BertText text{};
  int projection = 1376;  ///< J, width of the common space
  /// Logarithm of a new model's β, which multiplies the cosines. The paper trains β and does not print where it begins.
  /// ALIGN begins at 1, from which Adam needs thousands of updates: they move a logarithm by about the rate each, 1e-3
  /// at most, and all the while the logits of a batch hardly differ. log(1 / 0.07) is CLIP's, near to where β settles.
  float first_log_scale = 2.66f;
  /// Share of each target that is spread evenly over the whole batch, its own pair included.
  float smoothing = 0.1f;
};

}  // namespace flamingo
