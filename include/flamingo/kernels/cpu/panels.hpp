/// Panels of packed weights widened for the register tile: whole vectors of neighbours, nothing is transposed.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <flamingo/core/panels.hpp>
#include <flamingo/core/threads.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>

namespace flamingo::kernels {

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
#ifdef __AVX512F__  // g++ makes scalar code of the general form, and warns of the forms that have no mask
    if constexpr (n == 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      const __m512i wide =
          std::is_signed_v<T> ? _mm512_maskz_cvtepi8_epi32(0xffff, bytes) : _mm512_maskz_cvtepu8_epi32(0xffff, bytes);
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
  /// Neighbours of a format of one number.
  template <Format F>
  [[gnu::always_inline]] static Vector<float> numbers(const std::byte* from) {
    if constexpr (F == Format::f32)
      return load<float>(from);
    else if constexpr (F == Format::f16)
      return halves(from);
    else if constexpr (F == Format::bf16)
      return bf16(from);
    else
      return floats(integers<std::int8_t>(from));
  }
  [[gnu::always_inline]] static Vector<float> bf16(const std::byte* from) {
#ifdef __AVX512F__  // g++ widens halves and puts them together
    if constexpr (n == 16) {
      const __m256i shorts = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
      return as_float(reinterpret_cast<Vector<std::uint32_t>>(_mm512_maskz_cvtepu16_epi32(0xffff, shorts)) << 16);
    }
#endif
    return as_float(__builtin_convertvector(load<std::uint16_t>(from), Vector<std::uint32_t>) << 16);
  }
  /// The same bits as static_cast<float>(half): the exponent moves by a multiplication, which subnormal numbers
  /// survive.
  [[gnu::always_inline]] static Vector<float> halves(const std::byte* from) {
#ifdef __AVX512F__
    if constexpr (n == 16)
      return reinterpret_cast<Vector<float>>(
          _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#endif
#ifdef __F16C__
    if constexpr (n == 8)
      return std::bit_cast<Vector<float>>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#endif
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

/// The columns of a panel, each as `parts` vectors of n rows, from row j on (a multiple of what they hold). int8 has
/// its scales to come: a sum's, not a number's.
template <Isa Set, Format F, int n, int parts>
struct PanelColumns {
  using N = Neighbours<Set, n>;
  using V = typename N::template Vector<float>;
  static constexpr bool in_blocks = block_header(F) > 0, nibbles = in_blocks && F != Format::q8_0;
  static constexpr int bytes = size_of(F).bytes;
  /// From a column to the next, within a block.
  static constexpr std::size_t step = in_blocks ? (nibbles ? 16 : panel_rows) : panel_rows * bytes;

  /// What the columns of a block have in common. Rows from 16 on are the high nibbles: 16 times as much by a scale of a
  /// sixteenth, which is exact.
  struct Block {
    V scales[std::size_t{parts}], offsets[std::size_t{parts}];
    std::int32_t mask;
  };
  struct Nothing {};
  using Shared = std::conditional_t<in_blocks, Block, Nothing>;

  /// Columns from k on that share a block, of the `count` that are left.
  [[gnu::always_inline]] static int together(int k, int count) {
    return in_blocks ? std::min(32 - k % 32, count) : count;
  }
  [[gnu::always_inline]] static const std::byte* column(const std::byte* panel, int k, int j) {
    if constexpr (!in_blocks)
      return panel + static_cast<std::size_t>(k) * step + j * bytes;
    else
      return block(panel, k) + block_header(F) * panel_rows + static_cast<std::size_t>(k % 32) * step +
             (nibbles ? j % 16 : j);
  }
  [[gnu::always_inline]] static Shared shared(const std::byte* panel, int k, int j) {
    Shared s;
    if constexpr (in_blocks) {
      const std::byte* header = block(panel, k);
      for (int i = 0; i < parts; ++i) {
        const V scales = N::halves(header + (j + i * n) * 2);
        s.scales[i] = nibbles && j + i * n >= 16 ? scales * 0x1p-4f : scales;
        if constexpr (F == Format::q4_0) s.offsets[i] = scales * -8.0f;
        if constexpr (F == Format::q4_1) s.offsets[i] = N::halves(header + (panel_rows + j + i * n) * 2);
      }
      s.mask = j < 16 ? 15 : 0xf0;
    }
    return s;
  }
  /// Vector i of the column at `from`.
  template <int i>
  [[gnu::always_inline]] static V numbers(const Shared& s, const std::byte* from) {
    if constexpr (!in_blocks) {
      return N::template numbers<F>(from + i * n * bytes);
    } else if constexpr (F == Format::q8_0) {
      return s.scales[i] * N::floats(N::template integers<std::int8_t>(from + i * n));
    } else {
      // Where a column is read whole, which nibble it is does not wait for j.
      const std::int32_t mask = parts * n < panel_rows ? s.mask : i * n < 16 ? 15 : 0xf0;
      return s.scales[i] * N::floats(N::template integers<std::uint8_t>(from + i * n % 16) & mask) + s.offsets[i];
    }
  }
  /// The rows of a column may be taken in another order, as long as all columns are: vector 2i has the even rows of
  /// 2 n, vector 2i + 1 the odd ones. A register of bf16 needs one instruction for each of them.
  static constexpr bool alternate = F == Format::bf16 && parts > 1;
  static constexpr int place_of(int row) { return row % 2 * n + row / 2; }
  template <int i>
  [[gnu::always_inline]] static V in_any_order(const Shared& s, const std::byte* from) {
    if constexpr (alternate) {
      const auto both = N::template load<std::uint32_t>(from + i / 2 * 2 * n * bytes);
      return N::as_float(i % 2 ? both & 0xffff0000u : both << 16);
    } else {
      return numbers<i>(s, from);
    }
  }

 private:
  static const std::byte* block(const std::byte* panel, int k) {
    return panel + static_cast<std::size_t>(k / 32 * panel_rows) * bytes;
  }
};

/// Rows j .. j + nr of a panel, columns k0 .. k0 + kn, as numbers: to[k * nr + row].
template <Isa Set, class R, Format F, int nr>
void widen(const std::byte* panel, int j, int k0, int kn, R* to) {
  constexpr int n = std::min(nr, vector_lanes<float, Set>);
  using Columns = PanelColumns<Set, F, n, nr / n>;
  for (int k = k0, some = 0; k < k0 + kn; k += some) {
    some = Columns::together(k, k0 + kn - k);
    const auto shared = Columns::shared(panel, k, j);
    const std::byte* from = Columns::column(panel, k, j);
    [&]<int... i>(std::integer_sequence<int, i...>) {
      for (int c = 0; c < some; ++c, from += Columns::step, to += nr)
        (Neighbours<Set, n>::store(to + i * n, Columns::template numbers<i>(shared, from)), ...);
    }(std::make_integer_sequence<int, nr / n>{});
  }
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

/// Columns n0 .. n0 + nn of B = wᵀ, rows k0 .. k0 + kn, as panels of `nr` columns for Gemm. n0 is a multiple of nr. An
/// int8 row's scale is left to the end of its sums.
template <int nr, class R, Isa Set, Products By, int O, int D>
void pack_panels(const PackedMatrix<Cpu<R, Set, By>, O, D>& w, int k0, int kn, int n0, int nn, R* panels) {
  static_assert(panel_rows % nr == 0);
  with_format(w.format, [&]<Format F>() {
    R* to = panels;
    for (int n = n0; n < n0 + nn; n += nr, to += kn * nr) {
      const int j = n % panel_rows;
      const std::byte* panel = w.data + static_cast<std::size_t>(n - j) * w.row_bytes();
      widen<Set, R, F, nr>(panel, j, k0, kn, to);
    }
  });
}

}  // namespace flamingo::kernels
