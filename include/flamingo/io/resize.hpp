/// Resizing as Pillow does it, bit for bit.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// Sixteen neighbours, of which each tap makes one product: whole registers whatever the channels. The arithmetic is
/// exact, so nothing but its speed depends on how it is done.
constexpr std::size_t lanes = 16;
using Bytes [[gnu::vector_size(16)]] = std::uint8_t;
using EightBytes [[gnu::vector_size(8)]] = std::uint8_t;
using EightShorts [[gnu::vector_size(16)]] = std::int16_t;
using EightNumbers [[gnu::vector_size(32)]] = std::int32_t;

inline void add_weighted(const std::uint8_t* from, std::int32_t weight, EightNumbers& sum) {
#if defined(__AVX2__) && !defined(__clang__)  // one instruction, of which g++ makes nine in the general form
  using Half [[gnu::vector_size(16)]] = std::uint64_t;
  using Characters [[gnu::vector_size(16)]] = char;
  Half bytes{};
  std::memcpy(&bytes, from, 8);
  const EightNumbers numbers = __builtin_ia32_pmovzxbd256(reinterpret_cast<Characters>(bytes));
#else
  EightBytes bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  const EightNumbers numbers = __builtin_convertvector(__builtin_convertvector(bytes, EightShorts), EightNumbers);
#endif
  sum += numbers * weight;
}
inline void round_to_bytes(EightNumbers sum, std::uint8_t* to) {
  sum >>= weight_bits;
  sum = sum < 0 ? EightNumbers{} : sum;
  sum = sum > 255 ? EightNumbers{} + 255 : sum;
  const EightBytes bytes = __builtin_convertvector(__builtin_convertvector(sum, EightShorts), EightBytes);
  std::memcpy(to, &bytes, sizeof(bytes));
}
/// The weighted sum of elements that lie `step` bytes apart.
inline void weigh(const std::uint8_t* from, std::size_t step, const Taps& tap, std::uint8_t* to) {
  EightNumbers low = EightNumbers{} + (1 << (weight_bits - 1)), high = low;
  for (const std::int32_t weight : tap.weights) {
    add_weighted(from, weight, low);
    add_weighted(from + lanes / 2, weight, high);
    from += step;
  }
  round_to_bytes(low, to);
  round_to_bytes(high, to + lanes / 2);
}

/// A square of 16 x 16 bytes turned over its diagonal: each round interleaves the rows of its halves.
inline void turn(std::array<Bytes, lanes>& rows) {
  for (int round = 0; round < 4; ++round) {
    std::array<Bytes, lanes> next;
    for (std::size_t j = 0; j < lanes / 2; ++j) {
      const Bytes a = rows[j], b = rows[j + lanes / 2];
      next[2 * j] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * j + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    rows = next;
  }
}
/// At most sixteen bytes.
inline void copy_some(const void* from, std::size_t count, void* to) {
  if (count == lanes)
    std::memcpy(to, from, lanes);
  else
    std::memcpy(to, from, count);
}
/// Sixteen rows of `size` bytes as columns: to[i * 16 + row].
inline void to_columns(const std::array<const std::uint8_t*, lanes>& rows, std::size_t size, std::uint8_t* to) {
  std::array<Bytes, lanes> square{};
  for (std::size_t i = 0; i < size; i += lanes, to += lanes * lanes) {
    const std::size_t count = std::min(lanes, size - i);
    for (std::size_t r = 0; r < lanes; ++r) copy_some(rows[r] + i, count, &square[r]);
    turn(square);
    std::memcpy(to, square.data(), count * lanes);
  }
}
/// The first `count` of sixteen rows back out of columns.
inline void to_rows(const std::uint8_t* from, std::size_t size, const std::array<std::uint8_t*, lanes>& rows,
                    std::size_t count) {
  std::array<Bytes, lanes> square{};
  for (std::size_t i = 0; i < size; i += lanes, from += lanes * lanes) {
    const std::size_t some = std::min(lanes, size - i);
    std::memcpy(square.data(), from, some * lanes);
    turn(square);
    for (std::size_t r = 0; r < count; ++r) copy_some(&square[r], some, rows[r] + i);
  }
}

/// Row-major samples, `wide` bytes a pixel.
struct Samples {
  int width, height;
  std::vector<std::uint8_t> bytes;
};

/// One pass along the rows of pixels of C bytes, sixteen rows at a time.
template <std::size_t C>
Samples resize_width(const Samples& image, int width, Filter filter) {
  const std::size_t in = static_cast<std::size_t>(image.width) * C, out = static_cast<std::size_t>(width) * C;
  const std::size_t rows = static_cast<std::size_t>(image.height);
  Samples result{width, image.height, std::vector<std::uint8_t>(rows * out)};
  const std::vector<Taps> all = taps(image.width, width, filter);
  std::vector<std::uint8_t> columns(in * lanes), resized(out * lanes);
  for (std::size_t y = 0; y < rows; y += lanes) {
    std::array<const std::uint8_t*, lanes> from;
    std::array<std::uint8_t*, lanes> to;
    for (std::size_t r = 0; r < lanes; ++r) {
      const std::size_t row = std::min(y + r, rows - 1);  // the last one fills up the last block
      from[r] = image.bytes.data() + row * in;
      to[r] = result.bytes.data() + row * out;
    }
    to_columns(from, in, columns.data());
    for (std::size_t x = 0; x < all.size(); ++x)
      for (std::size_t c = 0; c < C; ++c)
        weigh(&columns[(all[x].first * C + c) * lanes], C * lanes, all[x], &resized[(x * C + c) * lanes]);
    to_rows(resized.data(), out, to, std::min(lanes, rows - y));
  }
  return result;
}

/// One pass along the columns.
inline Samples resize_height(const Samples& image, int height, std::size_t wide, Filter filter) {
  const std::size_t row = static_cast<std::size_t>(image.width) * wide;
  Samples result{image.width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(height) * row)};
  const std::vector<Taps> all = taps(image.height, height, filter);
  for (std::size_t y = 0; y < all.size(); ++y) {
    const std::uint8_t* from = image.bytes.data() + all[y].first * row;
    std::uint8_t* to = result.bytes.data() + y * row;
    std::size_t i = 0;
    for (; i + lanes <= row; i += lanes) weigh(from + i, row, all[y], to + i);
    for (; i < row; ++i) {
      std::int32_t sum = 1 << (weight_bits - 1);
      const std::uint8_t* at = from + i;
      for (const std::int32_t weight : all[y].weights) {
        sum += *at * weight;
        at += row;
      }
      to[i] = static_cast<std::uint8_t>(std::clamp(sum >> weight_bits, 0, 255));
    }
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
