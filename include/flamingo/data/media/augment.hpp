/// From a decoded picture to the square that an encoder reads: antialiased resizing, padding or cutting, flips and
/// changes of colour.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/io/image.hpp>
#include <flamingo/io/resize.hpp>

namespace flamingo {

/// How a picture of any shape becomes a square: all of it, with a border (the paper); its middle; all of it, distorted.
enum class Fit { pad, crop, stretch };

/// What was drawn for one picture, or once for all frames of a video.
struct Augmentation {
  bool flip = false;
  float scale = 1;           ///< part of the picture's width and height that is kept
  float x = 0.5f, y = 0.5f;  ///< where: 0 is left and above, 1 right and below
  float brightness = 1, contrast = 1, saturation = 1;
};

namespace detail {

/// torchvision's order: brightness, contrast (about the mean grey), saturation (about each pixel's grey).
inline void change_colours(io::Image& image, const Augmentation& a) {
  if (a.brightness == 1 && a.contrast == 1 && a.saturation == 1) return;
  const auto grey = [&](std::size_t i) {
    return 0.299f * image.rgb[i] + 0.587f * image.rgb[i + 1] + 0.114f * image.rgb[i + 2];
  };
  double sum = 0;
  if (a.contrast != 1)
    for (std::size_t i = 0; i < image.rgb.size(); i += 3) sum += grey(i);
  const float mean = a.brightness * static_cast<float>(sum / (static_cast<double>(image.rgb.size()) / 3));
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    const auto lift = [&](float value) { return mean + (a.brightness * value - mean) * a.contrast; };
    const float middle = lift(grey(i));
    for (std::size_t c = 0; c < 3; ++c) {
      const float value = middle + (lift(image.rgb[i + c]) - middle) * a.saturation;
      image.rgb[i + c] = static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f) + 0.5f);
    }
  }
}

}  // namespace detail

struct ImageTransform {
  int side = 320;
  Fit fit = Fit::pad;
  io::Filter filter = io::Filter::bicubic;
  io::Colour border = {124, 116, 104};  ///< of Fit::pad: ImageNet's mean, which is 0 once scaled
  float flip = 0;                       ///< how often it is mirrored
  float smallest = 1;                   ///< a random part of at least this share of width and height is kept
  float brightness = 0, contrast = 0, saturation = 0;  ///< each factor is drawn from 1 - x .. 1 + x

  /// Takes seven numbers of `random`, whatever the options, so that one option does not change what another draws.
  Augmentation draw(Random& random) const {
    Augmentation a;
    a.flip = random.uniform() < flip;
    a.scale = smallest + (1 - smallest) * random.uniform();
    a.x = random.uniform();
    a.y = random.uniform();
    const auto factor = [&](float x) { return 1 + x * (2 * random.uniform() - 1); };
    a.brightness = factor(brightness);
    a.contrast = factor(contrast);
    a.saturation = factor(saturation);
    if (smallest == 1) a.x = a.y = 0.5f;
    return a;
  }

  /// The shortest edge that a decoder may deliver where it can decode smaller: twice what is needed, so that resizing
  /// still has its filter to average with.
  int at_least() const {
    return static_cast<int>(std::lround(2.0f * static_cast<float>(side) / std::max(smallest, 0.1f)));
  }

  /// The square of side x side, transparency over white.
  io::Image operator()(const io::RawImage& raw, const Augmentation& a = {}) const { return (*this)(io::over(raw), a); }
  io::Image operator()(io::Image image, const Augmentation& a = {}) const {
    check(side > 0 && smallest > 0 && smallest <= 1, "image_transform", "got the side ", side,
          " and the smallest part ", smallest, ", expected a side of at least 1 and a part in (0, 1]");
    const auto part = [](int extent, double share) {
      return std::clamp(static_cast<int>(std::lround(extent * share)), 1, extent);
    };
    const auto at = [](int extent, int kept, float place) {
      return static_cast<int>(static_cast<float>(extent - kept) * place);
    };
    const auto cut = [&](int width, int height) {
      if (width == image.width && height == image.height) return;
      image = io::crop(image, at(image.width, width, a.x), at(image.height, height, a.y), width, height);
    };
    if (a.scale < 1) cut(part(image.width, a.scale), part(image.height, a.scale));
    if (fit == Fit::crop) cut(std::min(image.width, image.height), std::min(image.width, image.height));
    int width = side, height = side;
    if (fit == Fit::pad) {
      const double ratio = static_cast<double>(side) / std::max(image.width, image.height);
      width = std::clamp(static_cast<int>(std::lround(image.width * ratio)), 1, side);
      height = std::clamp(static_cast<int>(std::lround(image.height * ratio)), 1, side);
    }
    image = io::resize(std::move(image), width, height, filter);
    if (a.flip) image = io::flip_horizontal(image);
    detail::change_colours(image, a);
    if (width == side && height == side) return image;
    return io::place(image, side, side, (side - width) / 2, (side - height) / 2, border);
  }
};

}  // namespace flamingo
