/// A hash of what a picture looks like: copies in another size, format or quality have nearly the same bits.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numbers>

#include <flamingo/io/image.hpp>
#include <flamingo/io/resize.hpp>

namespace flamingo::web {

/// pHash: the picture as 32 x 32 greys, their discrete cosine transform, and of its 64 lowest frequencies (the constant
/// one aside) a bit each: above their median or not. Row by row from the lowest, the first in the lowest bit.
inline std::uint64_t perceptual_hash(const io::Image& image) {
  constexpr int size = 32, low = 8;
  const io::Image little = io::resize(image, size, size, io::Filter::bilinear);
  static const auto cosines = [] {
    std::array<std::array<double, size>, low + 1> table{};
    for (std::size_t k = 0; k <= low; ++k)
      for (std::size_t x = 0; x < size; ++x)
        table[k][x] =
            std::cos(std::numbers::pi * static_cast<double>(k) * (2.0 * static_cast<double>(x) + 1) / (2 * size));
    return table;
  }();
  std::array<std::array<double, low + 1>, size> rows{};  // transformed along x
  for (std::size_t y = 0; y < size; ++y)
    for (std::size_t x = 0; x < size; ++x) {
      const std::uint8_t* pixel = little.rgb.data() + 3 * (y * size + x);
      const double grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
      for (std::size_t k = 0; k <= low; ++k) rows[y][k] += grey * cosines[k][x];
    }
  std::array<double, low * low> frequencies{};
  for (std::size_t v = 0; v < low; ++v)
    for (std::size_t u = 0; u < low; ++u) {
      // The constant one gives its place to the next of its row.
      const std::size_t k = u == 0 && v == 0 ? low : u;
      for (std::size_t y = 0; y < size; ++y) frequencies[v * low + u] += rows[y][k] * cosines[v][y];
    }
  std::array<double, low* low> sorted = frequencies;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  const double median = sorted[sorted.size() / 2];
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < frequencies.size(); ++i) hash |= std::uint64_t{frequencies[i] > median} << i;
  return hash;
}

/// In how many bits two hashes differ: 0 to 64; below about 6 the pictures have one shape.
constexpr int hamming(std::uint64_t a, std::uint64_t b) { return std::popcount(a ^ b); }

/// What a picture looks like: its shape, and its colours in 8 x 8 squares, red, green, blue. A picture and what a
/// filter made of it have one shape; copies have the colours too.
struct Look {
  std::uint64_t hash = 0;
  std::array<std::uint8_t, 192> colours{};
};

inline Look look_of(const io::Image& image) {
  Look look{.hash = perceptual_hash(image)};
  const io::Image squares = io::resize(image, 8, 8, io::Filter::box);
  std::copy(squares.rgb.begin(), squares.rgb.end(), look.colours.begin());
  return look;
}

/// What two looks may differ in and still be of one picture: bits of the hash, levels of 255 in the mean. Strict: it is
/// worse to take the result of a filter for a copy than to keep a copy in another size.
struct LookRules {
  int most_bits = 2;
  double most_levels = 1;
};

inline bool are_copies(const Look& a, const Look& b, const LookRules& rules = {}) {
  if (hamming(a.hash, b.hash) > rules.most_bits) return false;
  int levels = 0;
  for (std::size_t i = 0; i < a.colours.size(); ++i) levels += std::abs(int{a.colours[i]} - int{b.colours[i]});
  return levels <= rules.most_levels * static_cast<double>(a.colours.size());
}

}  // namespace flamingo::web
