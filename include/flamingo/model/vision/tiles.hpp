/// Llama 3.2 Vision's input: a picture of any shape laid on a few square tiles.
#pragma once
#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/real.hpp>
#include <flamingo/io/image.hpp>
#include <flamingo/io/resize.hpp>
#include <flamingo/model/vision/preprocess.hpp>
#include <flamingo/model/vision/processors.hpp>

namespace flamingo {

/// How many tiles lie below and beside one another.
struct TileGrid {
  int high = 1, wide = 1;

  constexpr int tiles() const { return high * wide; }
  friend constexpr bool operator==(const TileGrid&, const TileGrid&) = default;
};

/// The grids of at most `max_tiles` tiles, in the order in which a checkpoint's embeddings count them.
inline std::vector<TileGrid> tile_grids(int max_tiles) {
  std::vector<TileGrid> grids;
  for (int high = 1; high <= max_tiles; ++high)
    for (int wide = 1; high * wide <= max_tiles; ++wide) grids.push_back({high, wide});
  return grids;
}

/// The number of a grid in aspect_ratio_ids: 1 for the first of tile_grids(); 0 stands for no picture.
inline int aspect_ratio_id(TileGrid grid, int max_tiles) {
  const std::vector<TileGrid> grids = tile_grids(max_tiles);
  const auto found = std::find(grids.begin(), grids.end(), grid);
  check(found != grids.end(), "aspect_ratio_id", "got ", grid.high, " x ", grid.wide, " tiles, expected at most ",
        max_tiles);
  return static_cast<int>(found - grids.begin()) + 1;
}

/// A tiled picture: `rows` are tiles() x side² rows of 3 numbers, tile after tile (line by line of the grid), each line
/// by line.
template <Real R = float>
struct PictureTiles {
  int side = 0;
  TileGrid grid;
  int aspect_ratio_id = 0;
  std::vector<R> rows;

  int tiles() const { return grid.tiles(); }
};

/// transformers' MllamaImageProcessor: transparency over white; the canvas of tiles that enlarges the picture least, or
/// else reduces it least, the smallest of equals; resized with its aspect into the canvas (never beyond its own size
/// unless that is below a tile's), at the upper left; the rest is black before scaling.
struct MllamaImageProcessor {
  int side = 560, max_tiles = 4;
  io::Filter filter = io::Filter::bilinear;
  PixelScale scale = PixelScale::clip();

  /// The tiles for a picture of that size.
  TileGrid canvas(int width, int height) const {
    // Whether it must be reduced, how far its scale is from 1, how much there is to fill.
    const auto rank = [&](TileGrid grid) {
      const double fits =
          std::min(static_cast<double>(grid.high * side) / height, static_cast<double>(grid.wide * side) / width);
      return std::tuple(fits < 1, fits < 1 ? -fits : fits, grid.tiles());
    };
    const std::vector<TileGrid> grids = tile_grids(max_tiles);
    return *std::min_element(grids.begin(), grids.end(), [&](TileGrid a, TileGrid b) { return rank(a) < rank(b); });
  }

  /// The picture on its canvas of grid.wide * side x grid.high * side.
  std::pair<io::Image, TileGrid> operator()(const io::RawImage& raw) const {
    check(side >= 1 && max_tiles >= 1, "image_processor", "got tiles of ", side, " pixels and at most ", max_tiles,
          " of them, expected at least 1");
    io::Image image = IdeficsImageProcessor::over_white(raw);
    const TileGrid grid = canvas(image.width, image.height);
    const int width = grid.wide * side, height = grid.high * side;
    const int target_width = std::clamp(image.width, side, width),
              target_height = std::clamp(image.height, side, height);
    const double by_width = static_cast<double>(target_width) / image.width,
                 by_height = static_cast<double>(target_height) / image.height;
    // At least one pixel: transformers 4.49 fails where the shorter edge vanishes.
    const auto scaled = [](int extent, double by, int most) {
      return std::clamp(static_cast<int>(std::floor(extent * by)), 1, most);
    };
    const bool wide = by_width < by_height;
    const int new_width = wide ? target_width : scaled(image.width, by_height, target_width);
    const int new_height = wide ? scaled(image.height, by_width, target_height) : target_height;
    image = io::resize(std::move(image), new_width, new_height, filter);
    return {io::place(image, width, height, 0, 0, {0, 0, 0}), grid};
  }
};

template <Real R = float>
PictureTiles<R> tiled_picture(const MllamaImageProcessor& processor, const io::RawImage& raw) {
  const auto [canvas, grid] = processor(raw);
  PictureTiles<R> result{processor.side, grid, aspect_ratio_id(grid, processor.max_tiles), {}};
  result.rows.reserve(canvas.rgb.size());
  for (int y = 0; y < grid.high; ++y)
    for (int x = 0; x < grid.wide; ++x) {
      const int side = processor.side;
      const std::vector<R> tile = scaled_rows<R>(io::crop(canvas, x * side, y * side, side, side), processor.scale);
      result.rows.insert(result.rows.end(), tile.begin(), tile.end());
    }
  return result;
}

}  // namespace flamingo
