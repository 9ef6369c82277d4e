/// Pictures in memory: 8-bit RGB, and samples as a file holds them; cutting, padding, turning, laying over a colour.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo::io {

/// A picture of 8-bit RGB: `rgb` is row-major, height x width x 3.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;

  friend bool operator==(const Image&, const Image&) = default;
};

/// A colour, red first.
using Colour = std::array<std::uint8_t, 3>;

/// What the samples of a RawImage are. A bilevel picture has 0 and 255; a palette picture is RGBA, its colours looked
/// up already; CMYK is ink, 255 the most.
enum class Mode { bilevel, grey, grey_alpha, rgb, rgba, palette, cmyk };

/// Samples a pixel.
constexpr int channels(Mode mode) {
  switch (mode) {
    case Mode::bilevel:
    case Mode::grey:
      return 1;
    case Mode::grey_alpha:
      return 2;
    case Mode::rgb:
      return 3;
    default:
      return 4;
  }
}

/// A picture as its file holds it, with 8 bits a sample: `samples` is row-major, height x width x channels(mode).
/// Several published preprocessings resize before they convert to RGB, so they start here.
struct RawImage {
  int width = 0, height = 0;
  Mode mode = Mode::rgb;
  std::vector<std::uint8_t> samples;
  /// The alpha channel says only which pixels have the one colour that a PNG without alpha calls transparent. Pillow
  /// gives such a picture no alpha channel.
  bool keyed = false;

  friend bool operator==(const RawImage&, const RawImage&) = default;
};

namespace detail {

inline void check_image(const Image& image, std::string_view where) {
  check(image.width > 0 && image.height > 0 &&
            image.rgb.size() == static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3,
        where, "the picture is ", image.width, " x ", image.height, " with ", image.rgb.size(),
        " bytes, expected at least 1 x 1 and three bytes a pixel");
}

inline std::size_t pixel_count(const RawImage& raw) {
  return static_cast<std::size_t>(raw.width) * static_cast<std::size_t>(raw.height);
}

inline void check_image(const RawImage& raw, std::string_view where) {
  const auto wide = static_cast<std::size_t>(channels(raw.mode));
  check(raw.width > 0 && raw.height > 0 && raw.samples.size() == pixel_count(raw) * wide, where, "the picture is ",
        raw.width, " x ", raw.height, " with ", raw.samples.size(), " bytes, expected at least 1 x 1 and ", wide,
        " a pixel");
}

/// x / 255 of 0 <= x <= 255 * 255, rounded to the nearest (255 is odd, so there are no halves).
constexpr std::uint8_t divide_by_255(unsigned x) { return static_cast<std::uint8_t>((x + 127) / 255); }

/// The RGBA of a pixel.
template <Mode mode>
std::array<std::uint8_t, 4> rgba_of(const std::uint8_t* pixel) {
  switch (mode) {
    case Mode::bilevel:
    case Mode::grey:
      return {pixel[0], pixel[0], pixel[0], 255};
    case Mode::grey_alpha:
      return {pixel[0], pixel[0], pixel[0], pixel[1]};
    case Mode::rgb:
      return {pixel[0], pixel[1], pixel[2], 255};
    case Mode::cmyk: {
      const unsigned light = 255u - pixel[3];
      const auto left = [&](unsigned ink) { return static_cast<std::uint8_t>(light - divide_by_255(ink * light)); };
      return {left(pixel[0]), left(pixel[1]), left(pixel[2]), 255};
    }
    default:
      return {pixel[0], pixel[1], pixel[2], pixel[3]};
  }
}

/// An RGB picture whose pixels are f(RGBA).
template <class F>
Image each_pixel(const RawImage& raw, F f) {
  check_image(raw, "image");
  Image image{raw.width, raw.height, std::vector<std::uint8_t>(pixel_count(raw) * 3)};
  const auto all =
      [&]<Mode mode>(std::integral_constant<Mode, mode>) {  // a loop for each mode: it is in every loader's way
        constexpr auto wide = static_cast<std::size_t>(channels(mode));
        const std::uint8_t* from = raw.samples.data();
        std::uint8_t* to = image.rgb.data();
        for (std::size_t i = pixel_count(raw); i > 0; --i, from += wide, to += 3) {
          const Colour colour = f(rgba_of<mode>(from));
          for (std::size_t c = 0; c < 3; ++c) to[c] = colour[c];
        }
      };
  switch (raw.mode) {
    case Mode::bilevel:
    case Mode::grey:
      all(std::integral_constant<Mode, Mode::grey>{});
      break;
    case Mode::grey_alpha:
      all(std::integral_constant<Mode, Mode::grey_alpha>{});
      break;
    case Mode::rgb:
      all(std::integral_constant<Mode, Mode::rgb>{});
      break;
    case Mode::cmyk:
      all(std::integral_constant<Mode, Mode::cmyk>{});
      break;
    default:
      all(std::integral_constant<Mode, Mode::rgba>{});
  }
  return image;
}

/// A picture of other extents, each of whose pixels of `wide` bytes is the one of `from` at (x, y) = at(x, y).
template <class At>
std::vector<std::uint8_t> rearrange(const std::vector<std::uint8_t>& from, int from_width, std::size_t wide, int width,
                                    int height, At at) {
  std::vector<std::uint8_t> to;
  to.reserve(from.size());
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto [ox, oy] = at(x, y);
      const auto pixel = from.begin() + (std::ptrdiff_t{oy} * from_width + ox) * static_cast<std::ptrdiff_t>(wide);
      to.insert(to.end(), pixel, pixel + static_cast<std::ptrdiff_t>(wide));
    }
  return to;
}

}  // namespace detail

/// RGB without a look at alpha, as Pillow's convert("RGB").
inline Image to_rgb(const RawImage& raw) {
  return detail::each_pixel(raw, [](const std::array<std::uint8_t, 4>& p) { return Colour{p[0], p[1], p[2]}; });
}

/// RGB over a background of one colour, each channel rounded to the nearest.
inline Image over(const RawImage& raw, Colour background = {255, 255, 255}) {
  return detail::each_pixel(raw, [&](const std::array<std::uint8_t, 4>& p) {
    Colour colour;
    for (std::size_t c = 0; c < 3; ++c)
      colour[c] = detail::divide_by_255(unsigned{p[c]} * p[3] + unsigned{background[c]} * (255u - p[3]));
    return colour;
  });
}

/// The samples of an RGB picture.
inline RawImage raw_of(Image image) {
  return {.width = image.width, .height = image.height, .mode = Mode::rgb, .samples = std::move(image.rgb)};
}

/// The picture without the alpha channel that one transparent colour made; others as they are.
inline RawImage without_key(RawImage raw) {
  if (!raw.keyed) return raw;
  const auto wide = static_cast<std::size_t>(channels(raw.mode));
  std::size_t kept = 0;
  for (std::size_t i = 0; i < raw.samples.size(); ++i)
    if (i % wide != wide - 1) raw.samples[kept++] = raw.samples[i];
  raw.samples.resize(kept);
  raw.mode = raw.mode == Mode::grey_alpha ? Mode::grey : Mode::rgb;
  raw.keyed = false;
  return raw;
}

/// The picture turned upright by an EXIF orientation (1 to 8: what the camera's rows and columns show; 1 is upright).
inline RawImage upright(RawImage raw, int orientation) {
  detail::check_image(raw, "upright");
  check(orientation >= 1 && orientation <= 8, "upright", "got orientation ", orientation, ", expected 1 to 8");
  if (orientation == 1) return raw;
  const int right = raw.width - 1, bottom = raw.height - 1;
  const bool turned = orientation >= 5;
  const auto at = [&](int x, int y) -> std::pair<int, int> {
    switch (orientation) {
      case 2:
        return {right - x, y};
      case 3:
        return {right - x, bottom - y};
      case 4:
        return {x, bottom - y};
      case 5:
        return {y, x};
      case 6:
        return {y, bottom - x};
      case 7:
        return {right - y, bottom - x};
      default:
        return {right - y, x};
    }
  };
  const int width = turned ? raw.height : raw.width, height = turned ? raw.width : raw.height;
  raw.samples =
      detail::rearrange(raw.samples, raw.width, static_cast<std::size_t>(channels(raw.mode)), width, height, at);
  raw.width = width;
  raw.height = height;
  return raw;
}

/// The rectangle of width x height whose upper left corner is (x, y). It must lie inside the picture.
inline RawImage crop(const RawImage& raw, int x, int y, int width, int height) {
  detail::check_image(raw, "crop");
  check(x >= 0 && y >= 0 && width > 0 && height > 0 && x <= raw.width - width && y <= raw.height - height, "crop",
        "got ", width, " x ", height, " at (", x, ", ", y, "), expected a rectangle inside ", raw.width, " x ",
        raw.height);
  RawImage result{.width = width, .height = height, .mode = raw.mode, .samples = {}, .keyed = raw.keyed};
  const std::ptrdiff_t wide = channels(raw.mode);
  for (std::ptrdiff_t line = y; line < std::ptrdiff_t{y} + height; ++line) {
    const auto row = raw.samples.begin() + (line * raw.width + x) * wide;
    result.samples.insert(result.samples.end(), row, row + width * wide);
  }
  return result;
}
inline Image crop(const Image& image, int x, int y, int width, int height) {
  detail::check_image(image, "crop");
  return {width, height, crop(raw_of(image), x, y, width, height).samples};
}

/// A canvas of width x height and one colour with the picture's upper left corner at (x, y); it must fit. Throws Error
/// for more than 2^30 pixels: the square around a narrow picture of a small file may be any number of gigabytes.
inline Image place(const Image& image, int width, int height, int x, int y, Colour colour) {
  detail::check_image(image, "place");
  check(x >= 0 && y >= 0 && image.width <= width - x && image.height <= height - y, "place", "got a picture of ",
        image.width, " x ", image.height, " at (", x, ", ", y, "), expected it inside ", width, " x ", height);
  check(std::int64_t{width} * height <= (std::int64_t{1} << 30), "place", "got a canvas of ", width, " x ", height,
        ", expected at most 2^30 pixels");
  Image result{width, height,
               std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)};
  for (std::size_t i = 0; i < result.rgb.size(); ++i) result.rgb[i] = colour[i % 3];
  const std::ptrdiff_t row = std::ptrdiff_t{image.width} * 3;
  for (std::ptrdiff_t line = 0; line < image.height; ++line)
    std::copy_n(image.rgb.begin() + line * row, row, result.rgb.begin() + ((y + line) * width + x) * 3);
  return result;
}

/// The picture in the middle of a square of its longer side, the rest of one colour; an odd rest is larger on the right
/// or below.
inline Image pad_to_square(const Image& image, Colour colour = {255, 255, 255}) {
  detail::check_image(image, "pad_to_square");
  const int side = std::max(image.width, image.height);
  return place(image, side, side, (side - image.width) / 2, (side - image.height) / 2, colour);
}

/// The picture seen in a mirror: left and right exchanged.
inline Image flip_horizontal(const Image& image) {
  detail::check_image(image, "flip_horizontal");
  return {image.width, image.height, upright(raw_of(image), 2).samples};
}

}  // namespace flamingo::io
