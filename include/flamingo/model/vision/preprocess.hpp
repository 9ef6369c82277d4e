/// From a picture to the pixel rows that an encoder reads.
#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include <flamingo/core/real.hpp>
#include <flamingo/io/image.hpp>
#include <flamingo/io/resize.hpp>

namespace flamingo {

/// (x * unit - mean) / deviation for each channel, with x in 0 .. 255.
struct PixelScale {
  std::array<float, 3> mean{0, 0, 0}, deviation{1, 1, 1};
  double unit = 1;

  /// What EfficientNet-Lite was trained with.
  static constexpr PixelScale efficientnet_lite() { return {{127, 127, 127}, {128, 128, 128}, 1}; }
  /// What CLIP was trained with, and after it OpenFlamingo, Idefics and Llama 3.2 Vision.
  static constexpr PixelScale clip() {
    return {{0.48145466f, 0.4578275f, 0.40821073f}, {0.26862954f, 0.26130258f, 0.27577711f}, 1.0 / 255};
  }
  /// Mean and deviation of ImageNet's pixels.
  static constexpr PixelScale imagenet() { return {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, 1.0 / 255}; }
  /// To -1 .. 1.
  static constexpr PixelScale symmetric() { return {{0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}, 1.0 / 255}; }
};

/// The scaled pixels: width x height rows of 3 numbers, line by line. The arithmetic is float's, as transformers and
/// torchvision do it, whatever R.
template <Real R = float>
std::vector<R> scaled_rows(const io::Image& image, const PixelScale& scale) {
  std::array<std::array<R, 256>, 3> table;
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t x = 0; x < 256; ++x)
      table[c][x] = static_cast<R>((static_cast<float>(static_cast<double>(x) * scale.unit) - scale.mean[c]) /
                                   scale.deviation[c]);
  std::vector<R> rows(image.rgb.size());
  for (std::size_t i = 0; i + 2 < rows.size(); i += 3)
    for (std::size_t c = 0; c < 3; ++c) rows[i + c] = table[c][image.rgb[i + c]];
  return rows;
}

/// The whole picture, padded with white to a square and resized to side x side: side² scaled rows.
template <Real R = float>
std::vector<R> pixel_rows(const io::Image& image, int side, const PixelScale& scale) {
  return scaled_rows<R>(io::resize(io::pad_to_square(image), side, side), scale);
}

}  // namespace flamingo
