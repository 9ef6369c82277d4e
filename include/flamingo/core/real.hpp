/// Number types: bfloat16 and half as storage, and the type in which sums, statistics and gradients of weights are
/// kept.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace flamingo {

/// The upper half of a float (8 exponent, 7 fraction bits). A storage type: arithmetic happens in float.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  /// Rounds to nearest, ties to even; NaN stays NaN.
  constexpr explicit bfloat16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u)
      bits = static_cast<std::uint16_t>((u >> 16) | 0x40u);
    else
      bits = static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  constexpr explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
  friend constexpr bool operator==(bfloat16, bfloat16) = default;
};

/// IEEE binary16 (5 exponent, 10 fraction bits). A storage type: arithmetic happens in float.
struct half {
  std::uint16_t bits = 0;

  half() = default;
  /// Rounds to nearest, ties to even; overflow gives infinity, NaN stays NaN.
  constexpr explicit half(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
    std::uint32_t h = 0;
    if (magnitude >= 0x47800000u) {  // 65536 and more, infinity, NaN
      h = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    } else if (magnitude >= 0x38800000u) {  // normal: rebias the exponent from 127 to 15
      const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
      h = (rounded - 0x38000000u) >> 13;
    } else if (magnitude >= 0x33000000u) {  // subnormal: shift the fraction with its hidden bit
      const std::uint32_t shift = 126u - (magnitude >> 23), fraction = (magnitude & 0x7fffffu) | 0x800000u;
      h = fraction >> shift;
      const std::uint32_t rest = fraction & ((1u << shift) - 1u), middle = 1u << (shift - 1u);
      h += (rest > middle || (rest == middle && (h & 1u))) ? 1u : 0u;
    }
    bits = static_cast<std::uint16_t>(sign | h);
  }
  constexpr explicit operator float() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
    const float value = static_cast<float>(magnitude) * 0x1p-24f;  // subnormal: a multiple of 2^-24, exact in float
    return sign ? -value : value;
  }
  friend constexpr bool operator==(half, half) = default;
};

template <class R>
concept Real = std::same_as<R, float> || std::same_as<R, double> || std::same_as<R, bfloat16> || std::same_as<R, half>;

/// The type of sums, statistics, master weights, weight gradients, moments, gates and losses: double for double, else
/// float.
template <Real R>
using Accumulate = std::conditional_t<std::same_as<R, double>, double, float>;

}  // namespace flamingo
