/// Sizes and choices of CLIP's dual encoders.
#pragma once
#include <flamingo/config/vision.hpp>
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// Which row of a text stands for it.
enum class TextPooling {
  highest_id,  ///< the first row of its highest id: OpenAI's CLIP, OpenCLIP, transformers where eos_token_id is 2
  first_end,   ///< the first row whose id is `end`: transformers where eos_token_id is any other
};

/// CLIP's text transformer; the defaults are those of ViT-L/14.
struct ClipText {
  int context = 77;        ///< most tokens of a text
  int vocabulary = 49408;  ///< V
  int dim = 768;           ///< E
  int layers = 12;
  int heads = 12;  ///< H
  int hidden = 0;  ///< F; 0: 4 E
  Activation activation = Activation::quick_gelu;
  TextPooling pooling = TextPooling::highest_id;
  int end = 49407;  ///< for TextPooling::first_end
  float epsilon = 1e-5f;

  constexpr int hidden_size() const { return hidden ? hidden : 4 * dim; }
};

/// Both towers and the space in which they meet; the defaults are OpenAI's ViT-L/14.
struct ClipConfig {
  Vit vision{};  ///< its class token is pooled: `class_out` and `post_norm` are not asked
  ClipText text{};
  int projection = 768;           ///< J, width of the common space
  float first_log_scale = 2.66f;  ///< logarithm of a new model's scale of logits, log(1 / 0.07)
};

}  // namespace flamingo
