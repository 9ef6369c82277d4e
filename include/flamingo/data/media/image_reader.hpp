/// Pictures of shards by io::Stb (component `stb`) or io::Codecs (component `images`).
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include <flamingo/io/image_file.hpp>

namespace flamingo {

/// Reads PNG, JPEG, GIF and BMP upright; what a file may cost is bounded as ImageOptions has it.
template <class Decoder = io::Stb>
std::function<io::RawImage(std::span<const std::byte>, std::string_view, int)> image_reader(
    io::ImageOptions options = {}) {
  return [options](std::span<const std::byte> file, std::string_view name, int at_least) {
    io::ImageOptions bounded = options;
    bounded.at_least = at_least;
    return io::decode_raw<Decoder>(file, name, bounded);
  };
}

}  // namespace flamingo
