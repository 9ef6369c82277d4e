/// Panels of packed weights widened for the register tile: whole vectors of neighbours, nothing is transposed.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <flamingo/core/panels.hpp>
#include <flamingo/core/threads.hpp>

namespace flamingo::kernels {

/// Floats in a register.
template <Isa Set>
inline constexpr int float_lanes = Set == Isa::avx512 ? 16
                                   : Set == Isa::avx2 ? 8
                                                      : 4;

/// Some neighbours of a panel: every step is one instruction or two where a register holds them. The instruction set is
/// part of the types, so that objects built for different ones share no function.
template <Isa Set, int n>
struct Neighbours {
  template <class T>
  struct Of {
    using type [[gnu::vector_size(static_cast<std::size_t>(n) * sizeof(T))]] = T;
  };
  template <class T>
  using Vector = typename Of<T>::type;

  template <class T>
  [[gnu::always_inline]] static Vector<T> load(const void* from) {
    Vector<T> v;
    std::memcpy(&v, from, sizeof(v));
    return v;
  }
  /// Bytes as numbers of 32 bits.
  template <class T>
  [[gnu::always_inline]] static Vector<std::int32_t> integers(const std::byte* from) {
#ifdef __AVX512F__  // g++ makes scalar code of the general form
    if constexpr (n == 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      const __m512i wide = std::is_signed_v<T> ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
      return reinterpret_cast<Vector<std::int32_t>>(wide);
    } else
#endif
#ifdef __AVX2__
        if constexpr (n == 8) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
      const __m256i wide = std::is_signed_v<T> ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
      return reinterpret_cast<Vector<std::int32_t>>(wide);
    } else
#endif
      return __builtin_convertvector(__builtin_convertvector(load<T>(from), Vector<std::int16_t>),
                                     Vector<std::int32_t>);
  }
  [[gnu::always_inline]] static Vector<float> floats(Vector<std::int32_t> v) {
    return __builtin_convertvector(v, Vector<float>);
  }
  [[gnu::always_inline]] static Vector<float> as_float(Vector<std::uint32_t> bits) {
    Vector<float> v;
    std::memcpy(&v, &bits, sizeof(v));
    return v;
  }
  [[gnu::always_inline]] static Vector<float> bf16(const std::byte* from) {
    return as_float(__builtin_convertvector(load<std::uint16_t>(from), Vector<std::uint32_t>) << 16);
  }
  /// The same bits as static_cast<float>(half): the exponent moves by a multiplication, which subnormal numbers
  /// survive.
  [[gnu::always_inline]] static Vector<float> halves(const std::byte* from) {
    const Vector<std::uint32_t> h = __builtin_convertvector(load<std::uint16_t>(from), Vector<std::uint32_t>),
                                magnitude = (h & 0x7fffu) << 13;
    const Vector<float> scaled = as_float(magnitude) * 0x1p112f;
    Vector<std::uint32_t> bits;
    std::memcpy(&bits, &scaled, sizeof(bits));
    bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : bits;  // infinities, NaN
    return as_float(bits | (h & 0x8000u) << 16);
  }
  template <class R>
  [[gnu::always_inline]] static void store(R* to, Vector<float> v) {
    const auto numbers = __builtin_convertvector(v, Vector<R>);
    std::memcpy(to, &numbers, sizeof(numbers));
  }
};

/// Calls f(k, part, numbers of rows j + part * n ..) for columns k0 .. k0 + kn of a panel and `parts` vectors of its
/// rows from j on. `scales` are those rows' (int8).
template <Isa Set, Format F, int n, int parts, class Use>
[[gnu::always_inline]] inline void each_neighbours(const std::byte* panel, const float* scales, int j, int k0, int kn,
                                                   const Use& f) {
  using N = Neighbours<Set, n>;
  constexpr auto bytes = static_cast<std::size_t>(size_of(F).bytes);
  typename N::template Vector<float> d[std::size_t{parts}] = {}, m[std::size_t{parts}] = {};
  if constexpr (F == Format::int8)
    for (int i = 0; i < parts; ++i) d[i] = N::template load<float>(scales + i * n);
  if constexpr (block_header(F) == 0) {
    for (int k = k0; k < k0 + kn; ++k)
      for (int i = 0; i < parts; ++i) {
        const std::byte* from = panel + static_cast<std::size_t>(k * panel_rows + j + i * n) * bytes;
        if constexpr (F == Format::f32)
          f(k - k0, i, N::template load<float>(from));
        else if constexpr (F == Format::f16)
          f(k - k0, i, N::halves(from));
        else if constexpr (F == Format::bf16)
          f(k - k0, i, N::bf16(from));
        else
          f(k - k0, i, d[i] * N::floats(N::template integers<std::int8_t>(from)));
      }
  } else {
    for (int k = k0; k < k0 + kn;) {
      const std::byte* block = panel + static_cast<std::size_t>(k / 32 * panel_rows) * bytes;
      for (int i = 0; i < parts; ++i) {
        d[i] = N::halves(block + (j + i * n) * 2);
        if constexpr (F == Format::q4_1) m[i] = N::halves(block + (panel_rows + j + i * n) * 2);
      }
      const std::byte* numbers = block + block_header(F) * panel_rows;
      for (int in = k % 32; in < 32 && k < k0 + kn; ++in, ++k)
        for (int i = 0; i < parts; ++i) {
          const int row = j + i * n;
          if constexpr (F == Format::q8_0) {
            f(k - k0, i, d[i] * N::floats(N::template integers<std::int8_t>(numbers + in * panel_rows + row)));
          } else {
            auto q = N::template integers<std::uint8_t>(numbers + in * 16 + row % 16);
            q = row < 16 ? q & 15 : q >> 4;
            if constexpr (F == Format::q4_0)
              f(k - k0, i, d[i] * N::floats(q - 8));
            else
              f(k - k0, i, d[i] * N::floats(q) + m[i]);
          }
        }
    }
  }
}

/// Rows j .. j + nr of a panel, columns k0 .. k0 + kn, as numbers: to[k * nr + row].
template <Isa Set, class R, Format F, int nr>
void widen(const std::byte* panel, const float* scales, int j, int k0, int kn, R* to) {
  constexpr int n = std::min(nr, float_lanes<Set>);
  each_neighbours<Set, F, n, nr / n>(panel, scales, j, k0, kn, [&](int k, int i, auto numbers) {
    Neighbours<Set, n>::store(to + k * nr + i * n, numbers);
  });
}

/// y (rows of w) = w x for one x, as Gemm computes it: a chain over blocks of kc columns, then the sum of the blocks.
template <Isa Set, class R, Format F, int kc>
void panel_times_vector(const std::byte* panel, const float* scales, int columns, const R* x, R* y) {
  constexpr int n = float_lanes<Set>, parts = panel_rows / n;
  using N = Neighbours<Set, n>;
  using V = typename N::template Vector<R>;
  V total[std::size_t{parts}] = {};
  for (int k0 = 0; k0 < columns; k0 += kc) {
    V block[std::size_t{parts}] = {};
    each_neighbours<Set, F, n, parts>(
        panel, scales, 0, k0, std::min(kc, columns - k0),
        [&](int k, int i, auto numbers) { block[i] += x[k0 + k] * __builtin_convertvector(numbers, V); });
    for (int i = 0; i < parts; ++i) total[i] = k0 ? total[i] + block[i] : block[i];
  }
  std::memcpy(y, total, sizeof(total));
}

/// Calls f.operator()<format>().
template <class Use>
void with_format(Format format, const Use& f) {
  switch (format) {
    case Format::f32:
      return f.template operator()<Format::f32>();
    case Format::f16:
      return f.template operator()<Format::f16>();
    case Format::bf16:
      return f.template operator()<Format::bf16>();
    case Format::int8:
      return f.template operator()<Format::int8>();
    case Format::q8_0:
      return f.template operator()<Format::q8_0>();
    case Format::q4_0:
      return f.template operator()<Format::q4_0>();
    case Format::q4_1:
      return f.template operator()<Format::q4_1>();
  }
}

/// Scales of `count` rows from n on; rows that fill up the last panel have none.
template <int count, Platform P, int O, int D>
std::array<float, std::size_t{count}> scales_of(const PackedMatrix<P, O, D>& w, int n) {
  std::array<float, std::size_t{count}> scales{};
  if (w.scales) std::copy_n(w.scales + n, std::min(count, w.rows - n), scales.begin());
  return scales;
}

/// Columns n0 .. n0 + nn of B = wᵀ, rows k0 .. k0 + kn, as panels of `nr` columns for Gemm. n0 is a multiple of nr.
template <int nr, class R, Isa Set, int O, int D>
void pack_panels(const PackedMatrix<Cpu<R, Set>, O, D>& w, int k0, int kn, int n0, int nn, R* panels) {
  static_assert(panel_rows % nr == 0);
  with_format(w.format, [&]<Format F>() {
    R* to = panels;
    for (int n = n0; n < n0 + nn; n += nr, to += kn * nr) {
      const int j = n % panel_rows;
      const std::byte* panel = w.data + static_cast<std::size_t>(n - j) * w.row_bytes();
      widen<Set, R, F, nr>(panel, scales_of<nr>(w, n).data(), j, k0, kn, to);
    }
  });
}

/// y = w x for one row x.
template <int kc, class R, Isa Set, int O, int D>
void panels_times_vector(Threads& threads, const PackedMatrix<Cpu<R, Set>, O, D>& w, const R* x, R* y) {
  const int panels = (w.rows + panel_rows - 1) / panel_rows, tasks = std::min(panels, 4 * threads.count());
  with_format(w.format, [&]<Format F>() {
    threads.run(tasks, [&](int task) {
      const auto part = [&](int t) { return static_cast<int>(std::int64_t{panels} * t / tasks) * panel_rows; };
      for (int n = part(task); n < part(task + 1); n += panel_rows) {
        std::array<R, std::size_t{panel_rows}> out;
        panel_times_vector<Set, R, F, kc>(w.data + static_cast<std::size_t>(n) * w.row_bytes(),
                                          scales_of<panel_rows>(w, n).data(), w.columns, x, out.data());
        std::copy_n(out.data(), std::min(panel_rows, w.rows - n), y + n);
      }
    });
  });
}

}  // namespace flamingo::kernels
