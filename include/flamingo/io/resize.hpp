/// Resizing as Pillow does it, bit for bit.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/image.hpp>

namespace flamingo::io {

/// The filter of resize(): the nearest pixel, a box, a triangle, the cubic of Keys with a = -0.5, or Lanczos' windowed
/// sinc of three lobes.
enum class Filter { nearest, box, bilinear, bicubic, lanczos };

namespace detail {

/// Half the width of a filter that is not stretched.
constexpr double support(Filter filter) {
  switch (filter) {
    case Filter::box:
      return 0.5;
    case Filter::bilinear:
      return 1.0;
    case Filter::bicubic:
      return 2.0;
    default:
      return 3.0;
  }
}

constexpr double keys_cubic(double x) {
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

inline double sinc(double x) { return x == 0 ? 1.0 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }

inline double filter_weight(Filter filter, double x) {
  switch (filter) {
    case Filter::box:
      return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
    case Filter::bilinear:
      return std::max(0.0, 1.0 - std::abs(x));
    case Filter::bicubic:
      return keys_cubic(std::abs(x));
    default:
      return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
  }
}

constexpr int weight_bits = 22;

/// The input elements that make one output element of an axis, and their weights times 2^22.
struct Taps {
  std::size_t first = 0;
  std::vector<std::int32_t> weights;
};

/// Pillow's coefficients: when an axis shrinks, the filter is stretched by the ratio, which averages (antialias).
inline std::vector<Taps> taps(int in, int out, Filter filter) {
  const double scale = static_cast<double>(in) / out, stretch = std::max(scale, 1.0);
  const double reach = support(filter) * stretch;
  std::vector<Taps> result(static_cast<std::size_t>(out));
  std::vector<double> weights;
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - reach + 0.5));
    const int last = std::min(in, static_cast<int>(centre + reach + 0.5));
    weights.clear();
    double sum = 0;
    for (int j = first; j < last; ++j) {
      weights.push_back(filter_weight(filter, (j - centre + 0.5) * (1.0 / stretch)));
      sum += weights.back();
    }
    Taps& tap = result[static_cast<std::size_t>(i)];
    tap.first = static_cast<std::size_t>(first);
    for (const double weight : weights) {
      const double fixed = (sum != 0 ? weight / sum : weight) * (1 << weight_bits);
      tap.weights.push_back(static_cast<std::int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return result;
}

inline std::uint8_t to_byte(std::int32_t fixed) {
  return static_cast<std::uint8_t>(std::clamp(fixed >> weight_bits, 0, 255));
}

/// Row-major samples, `wide` bytes a pixel.
struct Samples {
  int width, height;
  std::vector<std::uint8_t> bytes;
};

/// One pass along the rows of pixels of C bytes.
template <std::size_t C>
Samples resize_width(const Samples& image, int width, Filter filter) {
  const std::size_t in = static_cast<std::size_t>(image.width), out = static_cast<std::size_t>(width);
  const std::size_t rows = static_cast<std::size_t>(image.height);
  Samples result{width, image.height, std::vector<std::uint8_t>(rows * out * C)};
  const std::vector<Taps> all = taps(image.width, width, filter);
  for (std::size_t y = 0; y < rows; ++y)
    for (std::size_t x = 0; x < out; ++x) {
      const Taps& tap = all[x];
      const std::uint8_t* from = image.bytes.data() + (y * in + tap.first) * C;
      std::array<std::int32_t, C> sum;
      sum.fill(1 << (weight_bits - 1));
      for (const std::int32_t weight : tap.weights)
        for (std::size_t c = 0; c < C; ++c) sum[c] += *from++ * weight;
      for (std::size_t c = 0; c < C; ++c) result.bytes[(y * out + x) * C + c] = to_byte(sum[c]);
    }
  return result;
}

/// One pass along the columns.
inline Samples resize_height(const Samples& image, int height, std::size_t wide, Filter filter) {
  const std::size_t row = static_cast<std::size_t>(image.width) * wide;
  Samples result{image.width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(height) * row)};
  const std::vector<Taps> all = taps(image.height, height, filter);
  std::vector<std::int32_t> sums(row);
  for (std::size_t y = 0; y < all.size(); ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (weight_bits - 1));
    const std::uint8_t* from = image.bytes.data() + all[y].first * row;
    for (const std::int32_t weight : all[y].weights)
      for (std::size_t i = 0; i < row; ++i) sums[i] += *from++ * weight;
    std::transform(sums.begin(), sums.end(), result.bytes.begin() + static_cast<std::ptrdiff_t>(y * row), to_byte);
  }
  return result;
}

/// Two passes, each rounded to 8 bits; a pass that changes nothing is left out.
template <std::size_t C>
std::vector<std::uint8_t> resize_passes(Samples image, int width, int height, Filter filter) {
  const auto widths = [&](Samples from) {
    return width == from.width ? std::move(from) : resize_width<C>(from, width, filter);
  };
  const auto heights = [&](Samples from) {
    return height == from.height ? std::move(from) : resize_height(from, height, C, filter);
  };
  // The order shows in the rounding. Pillow 13 takes the heights first where they shrink by more than twice what the
  // widths do; versions that have no such rule always resize the widths first.
  const std::int64_t fewer_rows = std::int64_t{image.height} - height,
                     fewer_columns = std::int64_t{image.width} - width;
  return fewer_rows > 0 && fewer_rows > 2 * fewer_columns ? widths(heights(std::move(image))).bytes
                                                          : heights(widths(std::move(image))).bytes;
}

/// For each output element of an axis the input element under its middle; positions are summed up as Pillow does.
inline std::vector<int> nearest(int in, int out) {
  const double step = static_cast<double>(in) / out;
  std::vector<int> from(static_cast<std::size_t>(out));
  double at = step * 0.5;
  for (int& i : from) {
    i = std::min(static_cast<int>(at), in - 1);
    at += step;
  }
  return from;
}

/// Colours times alpha, and back: rounded to the nearest, and down.
inline void premultiply(std::vector<std::uint8_t>& samples, std::size_t wide) {
  for (std::size_t i = 0; i < samples.size(); i += wide)
    for (std::size_t c = 0; c + 1 < wide; ++c)
      samples[i + c] = divide_by_255(unsigned{samples[i + c]} * samples[i + wide - 1]);
}
inline void unpremultiply(std::vector<std::uint8_t>& samples, std::size_t wide) {
  for (std::size_t i = 0; i < samples.size(); i += wide) {
    const unsigned alpha = samples[i + wide - 1];
    if (alpha == 0) continue;
    for (std::size_t c = 0; c + 1 < wide; ++c)
      samples[i + c] = static_cast<std::uint8_t>(std::min(255u, 255u * samples[i + c] / alpha));
  }
}

inline void check_size(int width, int height) {
  check(width > 0 && height > 0 && std::int64_t{width} * height <= (std::int64_t{1} << 30), "resize", "got the size ",
        width, " x ", height, ", expected at least 1 x 1 and at most 2^30 pixels");
}

}  // namespace detail

/// Resizes to width x height in the picture's own mode as Pillow 13 does, bit for bit: weights of 22 fractional bits,
/// each pass rounded to 8 bits. Colours are weighted by alpha where there is an alpha channel; bilevel and palette
/// pictures are resized with the nearest pixel whatever the filter; the transparent colour of a `keyed` picture is
/// forgotten, since it does not survive mixing. Throws Error for a size below 1 x 1.
inline RawImage resize(RawImage raw, int width, int height, Filter filter = Filter::bicubic) {
  detail::check_image(raw, "resize");
  detail::check_size(width, height);
  raw = without_key(std::move(raw));
  if (width == raw.width && height == raw.height) return raw;
  const auto wide = static_cast<std::size_t>(channels(raw.mode));
  if (filter == Filter::nearest || raw.mode == Mode::bilevel || raw.mode == Mode::palette) {
    const std::vector<int> xs = detail::nearest(raw.width, width), ys = detail::nearest(raw.height, height);
    raw.samples = detail::rearrange(raw.samples, raw.width, wide, width, height, [&](int x, int y) {
      return std::pair(xs[static_cast<std::size_t>(x)], ys[static_cast<std::size_t>(y)]);
    });
  } else {
    const bool alpha = raw.mode == Mode::grey_alpha || raw.mode == Mode::rgba;
    if (alpha) detail::premultiply(raw.samples, wide);
    detail::Samples from{raw.width, raw.height, std::move(raw.samples)};
    switch (wide) {
      case 1:
        raw.samples = detail::resize_passes<1>(std::move(from), width, height, filter);
        break;
      case 2:
        raw.samples = detail::resize_passes<2>(std::move(from), width, height, filter);
        break;
      case 3:
        raw.samples = detail::resize_passes<3>(std::move(from), width, height, filter);
        break;
      default:
        raw.samples = detail::resize_passes<4>(std::move(from), width, height, filter);
    }
    if (alpha) detail::unpremultiply(raw.samples, wide);
  }
  raw.width = width;
  raw.height = height;
  return raw;
}

/// The same for RGB.
inline Image resize(Image image, int width, int height, Filter filter = Filter::bicubic) {
  detail::check_image(image, "resize");
  detail::check_size(width, height);
  return {width, height, resize(raw_of(std::move(image)), width, height, filter).samples};
}

}  // namespace flamingo::io
