/// Products whose factors are both rounded to bfloat16: two neighbours of k are a pair, in the place of one float, and
/// a step over k is one instruction for 32 products where the processor has it (vdpbf16ps).
///
/// Sums are float. Numbers below the smallest normal one count as zero, as that instruction has it.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <flamingo/core/panels.hpp>
#include <flamingo/core/real.hpp>
#include <flamingo/core/threads.hpp>
#include <flamingo/kernels/cpu/panels.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>

namespace flamingo::kernels {

/// Calls f(first, last) for parts of rows of `width` numbers: on all threads where that pays.
inline void over_rows(Threads& threads, int rows, int width, FunctionRef<void(int, int)> f) {
  if (rows == 0) return;
  constexpr std::int64_t worth_a_task = 1 << 14;
  const int tasks =
      static_cast<int>(std::clamp<std::int64_t>(std::int64_t{rows} * width / worth_a_task, 1, std::min(rows, 64)));
  const auto begin = [=](int i) { return static_cast<int>(std::int64_t{rows} * i / tasks); };
  threads.run(tasks, [&](int i) { f(begin(i), begin(i + 1)); });
}

/// Rows of x (rows, width), `row` apart, each number rounded to bfloat16 and widened again; they are this thread's, and
/// live until the next call.
template <class R>
const R* rounded_to_bf16(Threads& threads, const R* x, std::size_t row, int rows, int width) {
  static thread_local std::vector<R> all;
  const auto columns = static_cast<std::size_t>(width);
  all.resize(std::max(all.size(), static_cast<std::size_t>(rows) * columns));
  R* const to = all.data();
  over_rows(threads, rows, width, [&](int first, int last) {
    for (auto n = static_cast<std::size_t>(first); n < static_cast<std::size_t>(last); ++n)
      std::transform(x + n * row, x + n * row + columns, to + n * columns,
                     [](R number) { return static_cast<R>(static_cast<float>(bfloat16(static_cast<float>(number)))); });
  });
  return to;
}

#ifdef __AVX512BF16__

/// sum + a₀ b₀ + a₁ b₁, a and each lane of b a pair.
template <Isa Set>
struct PairProducts {
  using V = typename VectorMath<float, Set>::Vector;
  using Sum = V;
  static constexpr int numbers = 2;  ///< of k
  static constexpr Format format = Format::bf16;

  [[gnu::always_inline]] static V add(V sum, float a, V b) {
    std::int32_t bits;
    std::memcpy(&bits, &a, sizeof(bits));
    return reinterpret_cast<V>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits)),
                                                reinterpret_cast<__m512bh>(b)));
  }
  [[gnu::always_inline]] static V ended(V sum) { return sum; }
};

/// The columns of a panel of bfloat16 two by two, in the place of a panel's columns (panels.hpp): each as vectors of n
/// pairs, from row j on.
template <Isa Set, int n>
struct PairColumns {
  using N = Neighbours<Set, n>;
  using V = typename N::template Vector<float>;
  using Halves = typename Neighbours<Set, 2 * n>::template Vector<std::uint16_t>;
  static constexpr bool in_blocks = false, alternate = false;
  static constexpr std::size_t step = 4 * panel_rows;
  struct Shared {};

  [[gnu::always_inline]] static int together(int, int count) { return count; }
  [[gnu::always_inline]] static const std::byte* column(const std::byte* panel, int k, int j) {
    return panel + static_cast<std::size_t>(k) * step + j * 2;
  }
  [[gnu::always_inline]] static Shared shared(const std::byte*, int, int) { return {}; }
  /// Pairs of rows i n .. of the two columns at `from`.
  template <int i>
  [[gnu::always_inline]] static V in_any_order(Shared, const std::byte* from) {
    using M = Neighbours<Set, 2 * n>;
    const Halves even = M::template load<std::uint16_t>(from + i / 2 * 4 * n),
                 odd = M::template load<std::uint16_t>(from + i / 2 * 4 * n + 2 * panel_rows);
    return [&]<int... lane>(std::integer_sequence<int, lane...>) {
      return reinterpret_cast<V>(__builtin_shufflevector(even, odd, (lane / 2 + lane % 2 * 2 * n + i % 2 * n)...));
    }(std::make_integer_sequence<int, 2 * n>{});
  }
};

/// Pairs k0 .. k0 + kn of a panel of bfloat16: to[k * panel_rows + row].
template <Isa Set>
void pair_panel(const std::byte* panel, int k0, int kn, float* to) {
  constexpr int n = vector_lanes<float, Set>;
  using Columns = PairColumns<Set, n>;
  static_assert(panel_rows == 2 * n);
  const std::byte* from = Columns::column(panel, k0, 0);
  for (int k = 0; k < kn; ++k, from += Columns::step, to += panel_rows) {
    Neighbours<Set, n>::store(to, Columns::template in_any_order<0>({}, from));
    Neighbours<Set, n>::store(to + n, Columns::template in_any_order<1>({}, from));
  }
}

/// A matrix of bfloat16 that lies row after row, each two neighbours of a row as one number.
struct PairedRows {
  const std::byte* data;
  std::size_t row;  ///< bytes

  void read(int r, int first, int count, float* to) const {
    std::memcpy(to, data + static_cast<std::size_t>(r) * row + static_cast<std::size_t>(first) * sizeof(float),
                static_cast<std::size_t>(count) * sizeof(float));
  }
  /// Columns n0 .. n0 + nn of rows 2 k0 .. 2 (k0 + kn), a row with the next as pairs: panels of panel_rows columns, one
  /// after the other, filled up with zeros.
  template <Isa Set>
  void pack_rows(int k0, int kn, int n0, int nn, float* to) const {
    constexpr int n = vector_lanes<float, Set>;
    using N = Neighbours<Set, n>;
    using Pairs = typename N::template Vector<std::uint32_t>;
    for (int i = n0; i < n0 + nn; i += panel_rows)
      for (int k = k0; k < k0 + kn; ++k, to += panel_rows) {
        const std::byte* even = data + 2 * static_cast<std::size_t>(k) * row + 2 * static_cast<std::size_t>(i);
        const auto count = static_cast<std::size_t>(std::min(panel_rows, n0 + nn - i));
        std::byte rest[std::size_t{2}][std::size_t{2} * panel_rows] = {};
        const std::byte* odd = even + row;
        if (count < panel_rows) {
          std::memcpy(rest[0], even, 2 * count);
          std::memcpy(rest[1], odd, 2 * count);
          even = rest[0];
          odd = rest[1];
        }
        for (int j = 0; j < panel_rows; j += n) {
          const auto wide = [j](const std::byte* from) {
            return __builtin_convertvector(N::template load<std::uint16_t>(from + 2 * j), Pairs);
          };
          const Pairs both = wide(even) | wide(odd) << 16;
          std::memcpy(to + j, &both, sizeof(both));
        }
      }
  }
};

/// Rows of x (rows, width) as pairs, row after row; width is even. They are this thread's, and live until the next
/// call.
template <Isa Set>
const float* paired(Threads& threads, const float* x, std::size_t row, int rows, int width) {
  static thread_local std::vector<float> all;
  const auto pairs = static_cast<std::size_t>(width / 2);
  all.resize(std::max(all.size(), static_cast<std::size_t>(rows) * pairs));
  float* const to = all.data();
  over_rows(threads, rows, width, [&](int first, int last) {
    for (auto n = static_cast<std::size_t>(first); n < static_cast<std::size_t>(last); ++n) {
      const float* from = x + n * row;
      float* pair = to + n * pairs;
      std::size_t left = 2 * pairs;
      for (; left >= 16; from += 16, pair += 8, left -= 16) {
        const auto halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(from));
        std::memcpy(pair, &halves, sizeof(halves));
      }
      if (left > 0) {
        const auto halves = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << left) - 1), from));
        std::memcpy(pair, &halves, 2 * left);
      }
    }
  });
  return to;
}

#endif

}  // namespace flamingo::kernels
