/// Reading pieces of matrix rows as numbers, whatever format they lie in.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#include <flamingo/core/panels.hpp>
#include <flamingo/core/parameters.hpp>

namespace flamingo::kernels {

/// Row-major numbers of type T, read as R.
template <class R, class T>
struct PlainSource {
  static constexpr bool is_plain = std::is_same_v<R, T>;  ///< lies in memory as it is wanted
  const T* data;
  std::size_t row;

  const R* at(int r, int column) const
    requires is_plain
  {
    return data + static_cast<std::size_t>(r) * row + column;
  }

  void read(int r, int first, int count, R* to) const {
    const T* from = data + static_cast<std::size_t>(r) * row + first;
    if constexpr (std::is_same_v<R, T>)
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(R));
    else
      for (int i = 0; i < count; ++i) to[i] = static_cast<R>(static_cast<float>(from[i]));
  }
};

namespace detail {

inline float half_at(const std::byte* p) {
  half h;
  std::memcpy(&h.bits, p, 2);
  return static_cast<float>(h);
}

/// A whole block of 32 numbers.
template <Format F>
void read_block(const std::byte* block, float* to) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(block);
  const float d = half_at(block);
  if constexpr (F == Format::q8_0) {
    const auto* q = reinterpret_cast<const std::int8_t*>(block + 2);
    for (int i = 0; i < 32; ++i) to[i] = d * static_cast<float>(q[i]);
  } else if constexpr (F == Format::q4_0) {
    for (int i = 0; i < 16; ++i) {
      to[i] = d * static_cast<float>((bytes[2 + i] & 15) - 8);
      to[i + 16] = d * static_cast<float>((bytes[2 + i] >> 4) - 8);
    }
  } else {
    const float m = half_at(block + 2);
    for (int i = 0; i < 16; ++i) {
      to[i] = d * static_cast<float>(bytes[4 + i] & 15) + m;
      to[i + 16] = d * static_cast<float>(bytes[4 + i] >> 4) + m;
    }
  }
}

}  // namespace detail

/// A packed matrix of format F, read as R.
template <class R, Format F>
struct PackedSource {
  static constexpr bool is_plain = F == Format::f32 && std::is_same_v<R, float>;
  const std::byte* data;
  std::size_t row_bytes;
  const float* scales;  ///< none: int8 numbers are read as whole numbers

  /// Its bytes lie at a multiple of 4 and are read as numbers by load() alone, which copies them.
  const R* at(int r, int column) const
    requires is_plain
  {
    return reinterpret_cast<const R*>(data + static_cast<std::size_t>(r) * row_bytes) + column;
  }
  void read(int r, int first, int count, R* to) const {
    const std::byte* row = data + static_cast<std::size_t>(r) * row_bytes;
    if constexpr (F == Format::f32) {
      read_numbers<float>(row, first, count, to);
    } else if constexpr (F == Format::f16) {
      read_numbers<half>(row, first, count, to);
    } else if constexpr (F == Format::bf16) {
      read_numbers<bfloat16>(row, first, count, to);
    } else if constexpr (F == Format::int8) {
      const auto* q = reinterpret_cast<const std::int8_t*>(row) + first;
      const float scale = scales ? scales[r] : 1;
      for (int i = 0; i < count; ++i) to[i] = static_cast<R>(scale * static_cast<float>(q[i]));
    } else {
      constexpr int bytes = size_of(F).bytes;
      alignas(64) float block[32];
      for (int done = 0; done < count;) {
        const int at = first + done, within = at % 32, take = std::min(32 - within, count - done);
        detail::read_block<F>(row + at / 32 * bytes, block);
        for (int i = 0; i < take; ++i) to[done + i] = static_cast<R>(block[within + i]);
        done += take;
      }
    }
  }

 private:
  template <class T>
  static void read_numbers(const std::byte* row, int first, int count, R* to) {
    const std::byte* from = row + static_cast<std::size_t>(first) * sizeof(T);
    if constexpr (std::is_same_v<R, T>) {
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
    } else {
      for (int i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, from + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
        to[i] = static_cast<R>(static_cast<float>(value));
      }
    }
  }
};

/// A packed matrix in panels, read row by row: what embeddings and backward ask for, seldom or for many rows at once.
template <class R>
struct PanelSource {
  static constexpr bool is_plain = false;
  const std::byte* data;
  std::size_t row_bytes;
  const float* scales;
  Format format;

  void read(int r, int first, int count, R* to) const {
    const std::byte* panel = data + static_cast<std::size_t>(r / panel_rows * panel_rows) * row_bytes;
    for (int i = 0; i < count; ++i)
      to[i] = static_cast<R>(panel_number(panel, format, r % panel_rows, first + i, scales ? scales[r] : 1));
  }
};

/// Any of these sources: kernels that read one are compiled once, not once for each format. Reading is a call, so it is
/// for pieces of rows.
template <class R>
class AnySource {
 public:
  template <class Source>
  explicit AnySource(const Source& source)
      : read_([](const std::byte* it, int r, int first, int count, R* to) {
          reinterpret_cast<const Source*>(it)->read(r, first, count, to);
        }) {
    static_assert(sizeof(Source) <= sizeof(source_) && std::is_trivially_copyable_v<Source>);
    new (source_) Source(source);
    if constexpr (Source::is_plain) {
      is_plain = true;
      numbers_ = source.at(0, 0);
      row_ = source.at(1, 0) - numbers_;
    }
  }

  void read(int r, int first, int count, R* to) const { read_(source_, offset_ + r, first, count, to); }
  bool is_plain = false;  ///< lies in memory as it is wanted
  const R* at(int r, int column) const { return numbers_ + (offset_ + r) * row_ + column; }
  /// Rows from `first` on.
  AnySource from(int first) const {
    AnySource rest = *this;
    rest.offset_ += first;
    return rest;
  }

 private:
  void (*read_)(const std::byte*, int, int, int, R*);
  const R* numbers_ = nullptr;
  std::ptrdiff_t row_ = 0;
  int offset_ = 0;
  alignas(std::max_align_t) std::byte source_[32];
};

/// The source that reads w.
template <class R, Platform P, int O, int D, class T>
AnySource<R> source_of(const MatrixView<P, O, D, T>& w) {
  return AnySource<R>(PlainSource<R, std::remove_const_t<T>>{w.data, static_cast<std::size_t>(w.columns)});
}
template <class R, Platform P, int O, int D>
AnySource<R> source_of(const PackedMatrix<P, O, D>& w) {
  const std::size_t row = w.row_bytes();
  if (w.panels) return AnySource<R>(PanelSource<R>{w.data, row, w.scales, w.format});
  switch (w.format) {
    case Format::f16:
      return AnySource<R>(PackedSource<R, Format::f16>{w.data, row, w.scales});
    case Format::bf16:
      return AnySource<R>(PackedSource<R, Format::bf16>{w.data, row, w.scales});
    case Format::int8:
      return AnySource<R>(PackedSource<R, Format::int8>{w.data, row, w.scales});
    case Format::q8_0:
      return AnySource<R>(PackedSource<R, Format::q8_0>{w.data, row, w.scales});
    case Format::q4_0:
      return AnySource<R>(PackedSource<R, Format::q4_0>{w.data, row, w.scales});
    case Format::q4_1:
      return AnySource<R>(PackedSource<R, Format::q4_1>{w.data, row, w.scales});
    case Format::f32:
      break;
  }
  return AnySource<R>(PackedSource<R, Format::f32>{w.data, row, w.scales});
}

}  // namespace flamingo::kernels
