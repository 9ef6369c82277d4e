/// Packed matrices whose rows lie interleaved, 32 at a time: what a product with few rows of x reads lies side by side,
/// so that decoding streams weights instead of transposing them for every token.
///
/// A panel holds rows 32 p .. 32 p + 31, the last one filled up with zeros. Formats of one number (f32, f16, bf16,
/// int8): for each column the 32 rows' numbers. Formats of blocks: for each block of 32 columns the 32 rows' scales,
/// then their offsets where there are any, then for each column the 32 rows' bytes, or 16 bytes of which the low
/// nibbles are rows 0 .. 15 and the high ones rows 16 .. 31. The numbers are those of the format: interleaving changes
/// no bit of them, and takes as many bytes.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>

#include <flamingo/core/parameters.hpp>
#include <flamingo/core/real.hpp>

namespace flamingo {

/// Bytes of a matrix of `rows` rows in panels.
constexpr std::size_t panel_bytes(int rows, std::size_t row_bytes) {
  return static_cast<std::size_t>((rows + panel_rows - 1) / panel_rows * panel_rows) * row_bytes;
}

/// How a block of 32 columns begins in a row, before its numbers: bytes of scale and offset.
constexpr int block_header(Format format) {
  return format == Format::q4_1 ? 4 : format == Format::q8_0 || format == Format::q4_0 ? 2 : 0;
}

/// Writes a matrix that lies row after row as panels to `to`, panel_bytes() of memory.
template <Platform P, int O, int D>
void interleave(const PackedMatrix<P, O, D>& w, std::byte* to) {
  const std::size_t row_bytes = w.row_bytes();
  const FormatSize size = size_of(w.format);
  const int header = block_header(w.format), blocks = w.columns / size.numbers;
  const auto bytes = static_cast<std::size_t>(size.bytes);
  std::fill_n(to, panel_bytes(w.rows, row_bytes), std::byte{0});
  for (int r = 0; r < w.rows; ++r) {
    const std::byte* from = w.data + static_cast<std::size_t>(r) * row_bytes;
    const int j = r % panel_rows;
    std::byte* block = to + static_cast<std::size_t>(r - j) * row_bytes;
    for (int b = 0; b < blocks; ++b, from += bytes, block += bytes * panel_rows) {
      if (!header) {  // a block is one number
        std::memcpy(block + static_cast<std::size_t>(j) * bytes, from, bytes);
        continue;
      }
      for (int h = 0; h < header; h += 2) std::memcpy(block + (h / 2 * panel_rows + j) * 2, from + h, 2);
      std::byte* numbers = block + header * panel_rows;
      for (int k = 0; k < 32; ++k) {
        if (w.format == Format::q8_0) {
          numbers[k * panel_rows + j] = from[header + k];
        } else {
          const auto nibble = (from[header + k % 16] >> (k / 16 * 4)) & std::byte{15};
          numbers[k * 16 + j % 16] |= nibble << (j / 16 * 4);
        }
      }
    }
  }
}

/// Number (row j of the panel, column) of a panel.
inline float panel_number(const std::byte* panel, Format format, int j, int column, float scale) {
  const auto number = [&]<class T>(T value) {
    std::memcpy(&value, panel + static_cast<std::size_t>(column * panel_rows + j) * sizeof(T), sizeof(T));
    return value;
  };
  switch (format) {
    case Format::f32:
      return number(0.f);
    case Format::f16:
      return static_cast<float>(number(half{}));
    case Format::bf16:
      return static_cast<float>(number(bfloat16{}));
    case Format::int8:
      return scale * static_cast<float>(number(std::int8_t{}));
    default:
      break;
  }
  const std::byte* block = panel + static_cast<std::size_t>(column / 32 * panel_rows * size_of(format).bytes);
  const auto header = [&](int h) {
    half value;
    std::memcpy(&value.bits, block + (h * panel_rows + j) * 2, 2);
    return static_cast<float>(value);
  };
  const std::byte* numbers = block + block_header(format) * panel_rows;
  const int k = column % 32;
  if (format == Format::q8_0) {
    std::int8_t q;
    std::memcpy(&q, numbers + k * panel_rows + j, 1);
    return header(0) * static_cast<float>(q);
  }
  const int q = std::to_integer<int>((numbers[k * 16 + j % 16] >> (j / 16 * 4)) & std::byte{15});
  return format == Format::q4_0 ? header(0) * static_cast<float>(q - 8) : header(0) * static_cast<float>(q) + header(1);
}

}  // namespace flamingo
