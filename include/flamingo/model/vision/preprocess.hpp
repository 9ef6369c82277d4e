/// From a picture to the pixel rows that an encoder reads.
#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include <flamingo/core/real.hpp>
#include <flamingo/io/image.hpp>

namespace flamingo {

/// (x - mean) / deviation for each channel, with x in 0 .. 255.
struct PixelScale {
  std::array<float, 3> mean{0, 0, 0}, deviation{1, 1, 1};

  /// What EfficientNet-Lite was trained with.
  static constexpr PixelScale efficientnet_lite() { return {{127, 127, 127}, {128, 128, 128}}; }
  /// What CLIP was trained with.
  static constexpr PixelScale clip() {
    return {{0.48145466f * 255, 0.4578275f * 255, 0.40821073f * 255},
            {0.26862954f * 255, 0.26130258f * 255, 0.27577711f * 255}};
  }
};

/// The whole picture, padded with white to a square and resized to side x side: side² rows of 3 numbers, line by line.
template <Real R = float>
std::vector<R> pixel_rows(const io::Image& image, int side, const PixelScale& scale) {
  const io::Image square = io::resize(io::pad_to_square(image), side, side);
  std::vector<R> rows(square.rgb.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<R>((static_cast<float>(square.rgb[i]) - scale.mean[i % 3]) / scale.deviation[i % 3]);
  return rows;
}

}  // namespace flamingo
