/// Products of rows rounded to whole numbers of 16 bits with matrices of int8: two neighbours of k are a pair, in the
/// place of one float, and a step over k is one instruction for 32 products where the processor has it (vpdpwssd).
///
///   y[n][o] = step[n] scale[o] sum over k of round(x[n][k] / step[n]) w[o][k],   step[n] = max |x[n]| / 32,000
///
/// Nothing is widened to floats. Sums over 512 columns are exact; each is rounded to a float, and those are added.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>
#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#define FLAMINGO_INT8_PAIRS
#include <immintrin.h>
#endif

#include <flamingo/core/panels.hpp>
#include <flamingo/core/threads.hpp>
#include <flamingo/kernels/cpu/bf16_pairs.hpp>
#include <flamingo/kernels/cpu/panels.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>

namespace flamingo::kernels {
#ifdef FLAMINGO_INT8_PAIRS

/// sum + a₀ b₀ + a₁ b₁ in whole numbers, a and each lane of b a pair. `most` leaves room for a block of the product's
/// steps with numbers of 128. Processors that have products of bfloat16 have these: the instruction set in the types
/// tells both.
template <Isa Set>
struct IntegerPairs {
  using V = typename VectorMath<float, Set>::Vector;
  using Sum = typename Neighbours<Set, 16>::template Vector<std::int32_t>;
  static constexpr int numbers = 2;  ///< of k
  static constexpr Format format = Format::int8;
  static constexpr float most = 32'000;

  [[gnu::always_inline]] static Sum add(Sum sum, float a, V b) {
    std::int32_t bits;
    std::memcpy(&bits, &a, sizeof(bits));
    return reinterpret_cast<Sum>(
        _mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(b), _mm512_set1_epi32(bits)));
  }
  [[gnu::always_inline]] static V ended(Sum sum) { return __builtin_convertvector(sum, V); }
};

/// The columns of a panel of int8 two by two, in the place of a panel's columns (panels.hpp): rows 0 .. 7 and 16 .. 23
/// as one vector of pairs, the others as another.
template <Isa Set, int n, int parts>
struct IntegerColumns {
  using V = typename VectorMath<float, Set>::Vector;
  static_assert(panel_rows == 32 && n == 16 && parts == 2, "a panel's row of columns is two vectors");
  static constexpr bool in_blocks = false, alternate = true;
  static constexpr std::size_t step = 2 * panel_rows;
  struct Shared {};

  [[gnu::always_inline]] static int together(int, int count) { return count; }
  [[gnu::always_inline]] static const std::byte* column(const std::byte* panel, int k, int) {
    return panel + static_cast<std::size_t>(k) * step;
  }
  [[gnu::always_inline]] static Shared shared(const std::byte*, int, int) { return {}; }
  template <int i>
  [[gnu::always_inline]] static V in_any_order(Shared, const std::byte* from) {
    const __m256i even = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)),
                  odd = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + panel_rows));
    const __m256i pairs = i == 0 ? _mm256_unpacklo_epi8(even, odd) : _mm256_unpackhi_epi8(even, odd);
    return reinterpret_cast<V>(_mm512_maskz_cvtepi8_epi16(0xffffffff, pairs));
  }
  /// Where the sum of a row stands.
  static constexpr int place_of(int row) { return row / 8 == 1 ? row + 8 : row / 8 == 2 ? row - 8 : row; }
};

/// Pairs k0 .. k0 + kn of a panel of int8: to[k * panel_rows + row].
template <Isa Set>
void pair_integers(const std::byte* panel, int k0, int kn, float* to) {
  using Columns = IntegerColumns<Set, 16, 2>;
  const std::byte* from = Columns::column(panel, k0, 0);
  for (int k = 0; k < kn; ++k, from += Columns::step, to += panel_rows) {
    const auto low = Columns::template in_any_order<0>({}, from), high = Columns::template in_any_order<1>({}, from);
    constexpr std::size_t half = sizeof(low) / 2;
    std::memcpy(to, &low, half);
    std::memcpy(to + 8, &high, half);
    std::memcpy(to + 16, reinterpret_cast<const char*>(&low) + half, half);
    std::memcpy(to + 24, reinterpret_cast<const char*>(&high) + half, half);
  }
}

/// Rows in pairs of whole numbers, and what one of each row's is worth.
struct IntegerRows {
  const float *pairs, *steps;
};

/// Rows of x (rows, width), row after row; width is even. A row that is not finite has a step that is no number, one of
/// numbers below 2⁻¹⁰⁰ is zero. They are this thread's, and live until the next call.
template <Isa Set>
IntegerRows integers_of(Threads& threads, const float* x, std::size_t row, int rows, int width) {
  static thread_local std::vector<float> numbers, steps;
  const auto columns = static_cast<std::size_t>(width);
  numbers.resize(std::max(numbers.size(), static_cast<std::size_t>(rows) * columns / 2));
  steps.resize(std::max(steps.size(), static_cast<std::size_t>(rows)));
  float *const to = numbers.data(), *const worth = steps.data();
  over_rows(threads, rows, width, [&](int first, int last) {
    for (auto n = static_cast<std::size_t>(first); n < static_cast<std::size_t>(last); ++n) {
      const float* from = x + n * row;
      // Of numbers without their signs, the largest has the largest bits; what is not finite has larger ones.
      std::uint32_t bits = 0;
      for (std::size_t k = 0; k < columns; ++k) {
        std::uint32_t own;
        std::memcpy(&own, from + k, sizeof(own));
        bits = std::max(bits, own & 0x7fffffffu);
      }
      float largest;
      std::memcpy(&largest, &bits, sizeof(largest));
      const bool finite = std::isfinite(largest), some = finite && largest >= 0x1p-100f;
      const float most = IntegerPairs<Set>::most, times = some ? most / largest : 0.0f;
      worth[n] = some ? largest / most : finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
      auto* whole = reinterpret_cast<std::byte*>(to + n * (columns / 2));
      for (std::size_t k = 0; k < columns; k += 16, whole += 32) {
        const auto left = std::min<std::size_t>(columns - k, 16);
        const auto mask = static_cast<__mmask16>((1u << left) - 1);
        const __m512 scaled = _mm512_maskz_mul_ps(some ? mask : __mmask16{0}, _mm512_maskz_loadu_ps(mask, from + k),
                                                  _mm512_set1_ps(times));
        const __m256i halves = _mm512_maskz_cvtepi32_epi16(0xffff, _mm512_maskz_cvtps_epi32(0xffff, scaled));
        std::memcpy(whole, &halves, 2 * left);
      }
    }
  });
  return {to, worth};
}

#endif
}  // namespace flamingo::kernels
