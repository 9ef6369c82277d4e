/// Features of pictures as a checkpoint's encoder makes them.
#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/flamingo.hpp>
#include <flamingo/vision.hpp>

namespace opened {

using P = flamingo::Cpu<float>;

/// A picture as a model's encoder saw it.
struct Features {
  std::vector<float> rows;
  int count = 0;    ///< rows
  int visible = 0;  ///< rows of the medium that a text may see; 0: all
};

/// Encodes a picture of one piece: `pixels` are side² rows of 3.
template <class Vision, class Weights>
Features encode_square(flamingo::Context<P>& ctx, const Weights& weights, const std::vector<float>& pixels, int side) {
  const std::array grid{flamingo::Grid{0, side, side}};
  Features features;
  features.count = Vision::features(grid[0]).rows();
  features.rows.resize(static_cast<std::size_t>(features.count * Vision::D));
  const auto scope = ctx.scope();
  Vision::forward(ctx, weights, flamingo::Rows<P, 3, const float>{pixels.data(), side * side, {}}, grid,
                  flamingo::Rows<P, Vision::D>{features.rows.data(), features.count, {}});
  return features;
}

/// Encodes a picture of tiles: `pixels` are side² rows of 3 for each tile, one after another.
template <flamingo::MllamaVision C, class Vision, class Weights>
Features encode_tiles(flamingo::Context<P>& ctx, const Weights& weights, const std::vector<float>& pixels,
                      flamingo::TiledPicture picture) {
  const std::array cut{picture};
  Features features;
  features.count = C.tiles * C.tile_rows();
  features.visible = picture.tiles * C.tile_rows();
  features.rows.resize(static_cast<std::size_t>(features.count) * static_cast<std::size_t>(C.features()));
  const auto scope = ctx.scope();
  Vision::forward(ctx, weights,
                  flamingo::Rows<P, 3, const float>{pixels.data(), static_cast<int>(pixels.size()) / 3, {}}, cut,
                  flamingo::Rows<P, C.features()>{features.rows.data(), features.count, {}});
  return features;
}

}  // namespace opened
