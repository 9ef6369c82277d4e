/// Packed matrices of a test, in every format, with the numbers that they stand for.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/panels.hpp>

#include "support/tensor.hpp"

namespace flamingo::test {

inline constexpr std::array<std::pair<Format, std::string_view>, 7> all_formats{{
    {Format::f32, "f32"},
    {Format::f16, "f16"},
    {Format::bf16, "bf16"},
    {Format::int8, "int8"},
    {Format::q8_0, "q8_0"},
    {Format::q4_0, "q4_0"},
    {Format::q4_1, "q4_1"},
}};

/// A matrix (rows, columns) of drawn bytes; `numbers` are what the format's definition makes of them, exactly.
class PackedTensor {
 public:
  PackedTensor(Format format, int rows, int columns, std::uint64_t stream)
      : numbers(rows, columns), format_(format), draw_(7919, stream), scales_(static_cast<std::size_t>(rows)) {
    for (int r = 0; r < rows; ++r) {
      // Of 12 bits: products with a byte are exact in float.
      scales_[static_cast<std::size_t>(r)] = static_cast<float>(1 + draw_.below(4095)) * 0x1p-12f;
      for (int c = 0; c < columns; c += size_of(format).numbers) block(r, c);
    }
  }

  template <Platform P, int O = dynamic, int I = dynamic>
  PackedMatrix<P, O, I> on() const {
    return {bytes_.data(), format_ == Format::int8 ? scales_.data() : nullptr, format_, Extent<O>(numbers.rows()),
            Extent<I>(numbers.columns())};
  }

  Tensor<double> numbers;

 private:
  void block(int r, int c) {
    const auto set = [&](int i, double x) { numbers(r, c + i) = x; };
    switch (format_) {
      case Format::f32: {
        const float x = 2 * draw_.uniform() - 1;
        put(x);
        return set(0, static_cast<double>(x));
      }
      case Format::f16: {
        const half x(2 * draw_.uniform() - 1);
        put(x.bits);
        return set(0, static_cast<double>(static_cast<float>(x)));
      }
      case Format::bf16: {
        const bfloat16 x(2 * draw_.uniform() - 1);
        put(x.bits);
        return set(0, static_cast<double>(static_cast<float>(x)));
      }
      case Format::int8: {
        const auto x = static_cast<std::int8_t>(draw_.below(256) - 128);
        put(x);
        return set(0, static_cast<double>(scales_[static_cast<std::size_t>(r)] * static_cast<float>(x)));
      }
      case Format::q8_0: {
        const double scale = put_half();
        for (int i = 0; i < 32; ++i) {
          const auto x = static_cast<std::int8_t>(draw_.below(256) - 128);
          put(x);
          set(i, scale * x);
        }
        return;
      }
      case Format::q4_0:
      case Format::q4_1: {
        const bool offset = format_ == Format::q4_1;
        const double scale = put_half(), low = offset ? put_half() : 0;
        for (int i = 0; i < 16; ++i) {  // the low nibbles are the first half of the block
          const int first = draw_.below(16), second = draw_.below(16);
          put(static_cast<std::uint8_t>(second << 4 | first));
          set(i, offset ? scale * first + low : scale * (first - 8));
          set(i + 16, offset ? scale * second + low : scale * (second - 8));
        }
        return;
      }
    }
  }
  /// A power of two times a small integer: products with it are exact in float.
  double put_half() {
    const half x(static_cast<float>(draw_.below(15) - 7) * 0x1p-6f);
    put(x.bits);
    return static_cast<double>(static_cast<float>(x));
  }
  template <class T>
  void put(T x) {
    const auto bytes = std::bit_cast<std::array<std::byte, sizeof(T)>>(x);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }

  Format format_;
  Random draw_;
  std::vector<std::byte> bytes_;
  std::vector<float> scales_;
};

/// The same numbers in panels.
template <Platform P>
struct Panels {
  PackedMatrix<P, dynamic, dynamic> view;
  std::vector<std::byte> bytes;

  explicit Panels(const PackedMatrix<P, dynamic, dynamic>& rows)
      : view(rows), bytes(panel_bytes(rows.rows, rows.row_bytes())) {
    interleave(rows, bytes.data());
    view.data = bytes.data();
    view.panels = true;
  }
};

}  // namespace flamingo::test
