/// Packed matrices of a test where raw kernels read them.
#pragma once
#include <cstddef>
#include <vector>

#include <checking.hpp>
#include <flamingo/kernels/cuda/raw/packed.cuh>

#include "support/packing.hpp"

namespace flamingo::test {

/// A drawn matrix (O, D), its bytes between guard zones, and the numbers that they stand for.
struct DevicePacked {
  int O, D;
  raw::PackedFormat format;
  Tensor<double> numbers;
  emulator::DeviceBuffer<unsigned char> bytes;
  emulator::DeviceBuffer<float> scales;

  DevicePacked(Format f, int out, int in, std::uint64_t stream) : DevicePacked(PackedTensor(f, out, in, stream), f) {}

  raw::PackedView view() const {
    return {bytes.data(), format == raw::PackedFormat::int8 ? scales.data() : nullptr, format, O, D};
  }
  bool intact() const { return bytes.intact() && scales.intact(); }

 private:
  using Rows = PackedMatrix<Cpu<float>, dynamic, dynamic>;

  DevicePacked(const PackedTensor& drawn, Format f)
      : O(drawn.numbers.rows()),
        D(drawn.numbers.columns()),
        format(static_cast<raw::PackedFormat>(f)),
        numbers(drawn.numbers),
        bytes(arranged(drawn.on<Cpu<float>>(), format)),
        scales(scales_of(drawn.on<Cpu<float>>())) {}

  static std::vector<unsigned char> arranged(const Rows& w, raw::PackedFormat format) {
    std::vector<unsigned char> bytes(raw::packed_bytes(format, w.rows, w.columns));
    if (raw::in_blocks(format))
      raw::arrange_blocks(format, w.data, w.rows, w.columns, bytes.data());
    else
      std::memcpy(bytes.data(), w.data, bytes.size());
    return bytes;
  }
  static std::vector<float> scales_of(const Rows& w) {
    return w.scales ? std::vector<float>(w.scales, w.scales + int(w.rows)) : std::vector<float>{};
  }
};

}  // namespace flamingo::test
