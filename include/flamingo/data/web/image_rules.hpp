/// Which pictures are worth training on (the Flamingo paper, appendix A.1.1): not too small, not too narrow, not empty.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <flamingo/io/image.hpp>

namespace flamingo::web {

/// The paper: dropped where an edge is below 64 pixels, the aspect ratio above 3 either way, or the quality clearly low
/// (a single colour). What "low" is, it does not say: here, how many bits a pixel's colour tells.
struct ImageRules {
  int least_edge = 64;
  double most_aspect = 3;
  double least_entropy = 0.05;  ///< bits a pixel, of a histogram of 4 x 4 x 4 colours
};

enum class ImageFault : std::uint8_t { none, too_small, too_narrow, low_information };

constexpr std::string_view name_of(ImageFault fault) {
  constexpr std::array<std::string_view, 4> names{"none", "too_small", "too_narrow", "low_information"};
  return names[static_cast<std::size_t>(fault)];
}

/// By size alone, which a file's header tells.
constexpr ImageFault size_fault(int width, int height, const ImageRules& rules = {}) {
  if (std::min(width, height) < rules.least_edge) return ImageFault::too_small;
  if (std::max(width, height) > rules.most_aspect * std::min(width, height)) return ImageFault::too_narrow;
  return ImageFault::none;
}

/// Bits a pixel of the histogram of colours, two bits a channel.
inline double colour_entropy(const io::Image& image) {
  std::array<std::uint32_t, 64> counts{};
  for (std::size_t i = 0; i + 2 < image.rgb.size(); i += 3)
    ++counts[(image.rgb[i] >> 6u) * 16u + (image.rgb[i + 1] >> 6u) * 4u + (image.rgb[i + 2] >> 6u)];
  const double pixels = static_cast<double>(image.rgb.size() / 3);
  double bits = 0;
  for (const std::uint32_t count : counts)
    if (count > 0) bits -= count / pixels * std::log2(count / pixels);
  return bits;
}

inline ImageFault image_fault(const io::Image& image, const ImageRules& rules = {}) {
  if (const ImageFault fault = size_fault(image.width, image.height, rules); fault != ImageFault::none) return fault;
  return colour_entropy(image) < rules.least_entropy ? ImageFault::low_information : ImageFault::none;
}

}  // namespace flamingo::web
