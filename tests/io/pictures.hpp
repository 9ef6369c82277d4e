/// The pictures of tests/fixtures/images and what Pillow makes of them.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <flamingo/io/image.hpp>
#include <flamingo/io/safetensors.hpp>

namespace flamingo::tests {

inline const std::filesystem::path pictures = FLAMINGO_TEST_DATA "/fixtures/images";

inline std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

/// A uint8 tensor (height, width, channels) as samples.
inline io::RawImage samples(const io::TensorView& tensor, io::Mode mode) {
  REQUIRE(tensor.dtype == io::DType::u8);
  REQUIRE(tensor.shape.size() == 3);
  REQUIRE(tensor.shape[2] == io::channels(mode));
  io::RawImage raw{.width = static_cast<int>(tensor.shape[1]),
                   .height = static_cast<int>(tensor.shape[0]),
                   .mode = mode,
                   .samples = {}};
  for (const std::byte b : tensor.bytes) raw.samples.push_back(std::to_integer<std::uint8_t>(b));
  return raw;
}

/// A uint8 tensor (height, width, 3 or 1) as a picture.
inline io::Image picture(const io::TensorView& tensor) {
  return io::to_rgb(samples(tensor, tensor.shape.back() == 1 ? io::Mode::grey : io::Mode::rgb));
}

/// The largest difference of two samples at the same place.
inline int largest_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace flamingo::tests
