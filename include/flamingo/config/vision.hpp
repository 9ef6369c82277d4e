/// Sizes and choices of vision encoders.
#pragma once
#include <array>
#include <cstddef>
#include <initializer_list>

#include <flamingo/config/nfnet.hpp>
#include <flamingo/core/kinds.hpp>

namespace flamingo {

/// What a vision transformer does with pictures of another size than its table of positions was made for.
enum class OtherSizes {
  refused,
  bicubic,    ///< reads the table between its rows, as transformers' Idefics does (`interpolate_pos_encoding`)
  antialias,  ///< the same by wider averages where the grid shrinks, as OpenCLIP resizes a table it loads
};

/// A vision transformer; the defaults are OpenAI's CLIP ViT-L/14 without its projection, its features those of
/// OpenFlamingo.
struct Vit {
  int image = 224;  ///< pixels along each side; the table of positions is made for them
  int patch = 14;   ///< pixels along each side of a patch; those that fill no last patch are not seen
  int dim = 1024;   ///< D
  int layers = 24;
  int heads = 16;  ///< H
  int hidden = 0;  ///< F; 0: 4 D
  Activation activation = Activation::quick_gelu;
  bool patch_bias = false;
  bool class_token = true;  ///< a learned row before the patches
  bool pre_norm = true;     ///< a LayerNorm between the embeddings and the first block
  bool post_norm = false;   ///< a LayerNorm on the features (OpenFlamingo over OpenCLIP 3; none over OpenCLIP 2)
  bool class_out = false;   ///< the class token is a picture's first feature row (Idefics); else patches alone
  OtherSizes other_sizes = OtherSizes::refused;
  float epsilon = 1e-5f;

  constexpr int hidden_size() const { return hidden ? hidden : 4 * dim; }
  /// Patches along each side.
  constexpr int grid() const { return image / patch; }
};

/// Up to sixteen numbers of layers, in an order that matters.
struct LayerList {
  int count = 0;
  std::array<int, 16> numbers{};

  static constexpr LayerList of(std::initializer_list<int> layers) {
    LayerList list;
    for (const int n : layers) list.numbers[static_cast<std::size_t>(list.count++)] = n;
    return list;
  }
  constexpr int operator[](int i) const { return numbers[static_cast<std::size_t>(i)]; }
};

/// Llama 3.2's vision transformer: a picture is cut into tiles of one size, which see one another in every block;
/// blocks without gates, then blocks with gates. The defaults are the 11B and 90B models'.
struct MllamaVision {
  int image = 560;  ///< pixels along each side of a tile
  int patch = 14;   ///< pixels along each side of a patch
  int tiles = 4;    ///< rows are made for so many tiles of every picture, whether it has them or not
  int ratios = 8;   ///< shapes that pictures are cut into; shape 0 is no picture
  int dim = 1280;   ///< D
  int layers = 32;
  int global_layers = 8;                                       ///< with gates
  int heads = 16;                                              ///< H
  int hidden = 5120;                                           ///< F
  LayerList intermediate = LayerList::of({3, 7, 15, 23, 30});  ///< what enters these layers is part of the features
  Activation activation = Activation::gelu;
  float epsilon = 1e-5f;  ///< of the blocks' norms

  /// Patches along each side of a tile.
  constexpr int grid() const { return image / patch; }
  /// T, feature rows of a tile: a class token and its patches.
  constexpr int tile_rows() const { return grid() * grid() + 1; }
  /// R, feature rows of a picture.
  constexpr int rows() const { return tiles * tile_rows(); }
  /// Width of a feature row: the last block's and the intermediate ones'.
  constexpr int features() const { return dim * (1 + intermediate.count); }
};

/// `repeats` blocks of an EfficientNet, of which the first moves by `stride` and changes the width.
struct MobileStage {
  int repeats = 1, kernel = 3, stride = 1;
  int widening = 6;  ///< hidden channels over the channels that come in
  int out = 16;      ///< channels that leave
};

/// Which rows an EfficientNet gives as features.
enum class EfficientNetFeatures {
  blocks,  ///< what leaves the last block, before any non-linearity
  head,    ///< after the head's convolution and ReLU6, as the classifier sees them
};

/// EfficientNet without squeeze-and-excitation, with ReLU6; the defaults are EfficientNet-Lite0.
struct EfficientNetLite {
  int image = 224;  ///< pixels along each side; any size works
  int stem = 32;    ///< channels
  std::array<MobileStage, 7> stages{{{1, 3, 1, 1, 16},
                                     {2, 3, 2, 6, 24},
                                     {2, 5, 2, 6, 40},
                                     {3, 3, 2, 6, 80},
                                     {3, 5, 1, 6, 112},
                                     {4, 5, 2, 6, 192},
                                     {1, 3, 1, 6, 320}}};
  int head = 1280;     ///< channels
  int classes = 1000;  ///< of the classifier that it was trained with
  EfficientNetFeatures features = EfficientNetFeatures::head;
  float epsilon = 1e-3f;  ///< of the batch norms that are folded into the convolutions

  /// D, channels of a feature row.
  constexpr int dim() const { return features == EfficientNetFeatures::head ? head : stages.back().out; }
  constexpr int blocks() const {
    int n = 0;
    for (const MobileStage& stage : stages) n += stage.repeats;
    return n;
  }
};

}  // namespace flamingo
