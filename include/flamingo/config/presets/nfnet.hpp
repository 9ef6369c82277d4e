/// NFNet-F0 to F6 (Brock et al. 2021) as DeepMind published them, without their classifiers of ImageNet. Pictures are
/// of the resolution they were tested at, a third to two fifths above that of training. Flamingo's encoder is F6,
/// trained anew from pictures and their texts, at 320 pixels.
#pragma once
#include <flamingo/config/nfnet.hpp>

namespace flamingo::presets {

/// `n` = 0 .. 6; dropout and stochastic depth are those of ImageNet's recipe.
constexpr NfNet nfnet_f(int n, int image, float dropout) {
  const int d = n + 1;
  return {.image = image, .depths = {d, 2 * d, 6 * d, 3 * d}, .stochastic_depth = 0.25f, .dropout = dropout};
}
inline constexpr NfNet nfnet_f0 = nfnet_f(0, 256, 0.2f), nfnet_f1 = nfnet_f(1, 320, 0.3f),
                       nfnet_f2 = nfnet_f(2, 352, 0.4f), nfnet_f3 = nfnet_f(3, 416, 0.4f),
                       nfnet_f4 = nfnet_f(4, 512, 0.5f), nfnet_f5 = nfnet_f(5, 544, 0.5f),
                       nfnet_f6 = nfnet_f(6, 576, 0.5f);

/// With the classifier of 1000 classes, whose parameters the published numbers count.
constexpr NfNet with_classifier(NfNet c, int classes = 1000) {
  c.classes = classes;
  return c;
}

}  // namespace flamingo::presets
