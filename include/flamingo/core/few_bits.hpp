/// Numbers of few bits that are updated step after step: an optimiser's moments in bfloat16 or in a byte each.
///
/// They are rounded up or down at random, in proportion to the distance. A moment moves by 1 - β of itself in a step,
/// 0.1 % of a second moment, and between two numbers of bfloat16 lie 0.4 to 0.8 %: rounded to nearest it would stand
/// still for ever. At random it moves in the mean as it should. For the same reason the grid of a byte's numbers does
/// not depend on its block: their shared scale is a power of two, as in the MX formats (Rouhani et al. 2023).
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <flamingo/core/real.hpp>

namespace flamingo {

/// Sixteen random bits for each of two numbers at place `index` of a buffer (MurmurHash3's finaliser): the same whoever
/// asks, in any order.
constexpr std::uint32_t rounding_bits(std::uint32_t key, std::uint32_t index) {
  std::uint32_t x = index + key;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}
/// In place of random bits: to the nearest number.
inline constexpr std::uint32_t to_nearest = 0x8000u;

/// The bits of |x|, which are ordered as magnitudes are.
constexpr std::int32_t magnitude_bits(float x) {
  return static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffu);
}

/// x (finite) in bfloat16, up or down as 16 random bits say.
constexpr bfloat16 rounded(float x, std::uint32_t draw) {
  bfloat16 y;
  y.bits = static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(x) + draw) >> 16);
  return y;
}

/// A byte a number, 16 of them with one exponent of a byte: ± (1 + f / 8) 2^(k - j), f in 0 .. 7. First moments have a
/// sign and j in 0 .. 15, second moments no sign and j in 0 .. 31. Below that lies 0; a second moment, by whose root
/// others are divided, becomes 0 only where it is.
template <bool Signed>
struct BlockOf16 {
  static constexpr std::size_t size = 16;
  static constexpr std::int32_t binades = Signed ? 15 : 31, most = Signed ? 127 : 255;

  /// The shared exponent of a block, with a float's bias, by the bits of its largest magnitude: none is rounded over
  /// it.
  static constexpr std::uint8_t exponent_of(std::int32_t largest) {
    return static_cast<std::uint8_t>((largest + 0xfffff) >> 23);
  }
  static constexpr std::uint8_t encode(float x, std::uint8_t exponent, std::uint32_t draw) {
    const std::int32_t magnitude = magnitude_bits(x), least = !Signed && magnitude > 0 ? 1 : 0,
                       code = (magnitude - lowest(exponent) + static_cast<std::int32_t>(draw << 4)) >> 20,
                       sign = Signed && x < 0 ? 128 : 0;
    return static_cast<std::uint8_t>(std::min(std::max(code, least), most) | sign);
  }
  static constexpr float decode(std::uint8_t byte, std::uint8_t exponent) {
    const std::int32_t code = byte & most;
    const std::int32_t magnitude = code == 0 ? 0 : std::max((code << 20) + lowest(exponent), 0);
    const std::uint32_t sign = Signed ? static_cast<std::uint32_t>(byte >> 7) << 31 : 0;
    return std::bit_cast<float>(static_cast<std::uint32_t>(magnitude) | sign);
  }

 private:
  /// The bits of 2^(k - binades) as a float, or a number below zero where no float is so small.
  static constexpr std::int32_t lowest(std::uint8_t exponent) { return (exponent - binades) * (1 << 23); }
};

}  // namespace flamingo
