/// Reading picture files. Component `stb`; io/image_codecs.hpp adds libjpeg-turbo and libpng.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/core/check.hpp>
#include <flamingo/io/image.hpp>
#include <flamingo/io/image_decoder.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/orientation.hpp>

namespace flamingo::io {

/// How a picture is read, and what it may cost before it is refused: pixels it says it has, and bytes of its file.
struct ImageOptions {
  std::int64_t max_pixels = 40'000'000;
  std::size_t max_bytes = std::size_t{256} << 20;
  /// Turn it by its EXIF orientation. Pillow does not do so by itself, nor do the published preprocessings.
  bool upright = true;
  /// A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size while no edge becomes shorter than this, which is several
  /// times faster (libjpeg-turbo alone); 0: always at its own size.
  int at_least = 0;
};

/// Decodes a PNG, JPEG, GIF (its first frame) or BMP file that lies in memory, in the mode it is stored in. 16 bits
/// become 8 by dropping the lower ones. `Decoder` is Stb or Codecs; `source` names the file in errors. Throws Error for
/// anything else, for a truncated or damaged file, and, before decoding, for one beyond the limits.
template <class Decoder = Stb>
RawImage decode_raw(std::span<const std::byte> file, std::string_view source = "memory",
                    const ImageOptions& options = {}) {
  check(file.size() <= options.max_bytes, "read_image", source, ": the file has ", file.size(), " bytes, at most ",
        options.max_bytes, " are read");
  const detail::ImageHeader header = Decoder::header(file);
  check(header.problem.empty(), "read_image", source, ": ", header.problem);
  const detail::ImageSize size = header.size;
  const std::int64_t pixels = std::int64_t{size.width} * size.height;
  check(pixels > 0 && pixels <= options.max_pixels, "read_image", source, ": the picture says it is ", size.width,
        " x ", size.height, ", which is ", pixels, " pixels, at most ", options.max_pixels, " are decoded");
  detail::DecodedImage decoded = Decoder::decode(file, pixels, options.at_least);
  check(decoded.problem.empty(), "read_image", source, ": the picture cannot be decoded: ", decoded.problem);
  return options.upright ? upright(std::move(decoded.image), orientation(file)) : std::move(decoded.image);
}

/// decode_raw() as RGB: grey and palette become RGB, transparency is laid over white.
template <class Decoder = Stb>
Image decode_image(std::span<const std::byte> file, std::string_view source = "memory",
                   const ImageOptions& options = {}) {
  return over(decode_raw<Decoder>(file, source, options));
}

/// decode_raw() of a file.
template <class Decoder = Stb>
RawImage read_raw(const std::filesystem::path& path, const ImageOptions& options = {}) {
  const MappedFile file(path);
  return decode_raw<Decoder>(file.data(), path.string(), options);
}

/// decode_image() of a file.
template <class Decoder = Stb>
Image read_image(const std::filesystem::path& path, const ImageOptions& options = {}) {
  const MappedFile file(path);
  return decode_image<Decoder>(file.data(), path.string(), options);
}

}  // namespace flamingo::io
