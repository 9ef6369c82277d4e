/// stb_image behind a wall: bounded memory, no input past the end, no macro or global name left behind. Component
/// `stb`.
#pragma once
#include <algorithm>
#include <cassert>
#include <climits>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/io/image.hpp>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace flamingo::io::detail {

/// The memory that stb_image may still take at a time in this thread. It has no bound of its own: a few kilobytes of
/// zlib data in a picture of 1 x 1 can ask for gigabytes.
inline thread_local std::size_t stb_largest_block = 0;

/// Zeros: stb_image decodes with Huffman tables that a JPEG never defined.
inline void* stb_allocate(std::size_t bytes) { return bytes <= stb_largest_block ? std::calloc(1, bytes) : nullptr; }

inline void* stb_resize(void* old, std::size_t bytes) {
  return bytes <= stb_largest_block ? std::realloc(old, bytes) : nullptr;
}

}  // namespace flamingo::io::detail

// The code of stb_image is compiled here, once in each translation unit, inside our namespace and with internal
// linkage: it meets no other copy of itself. A host's own macros for stb_image are put aside and given back.
#pragma push_macro("STBI_INCLUDE_STB_IMAGE_H")
#pragma push_macro("STB_IMAGE_IMPLEMENTATION")
#pragma push_macro("STB_IMAGE_STATIC")
#pragma push_macro("STBIDEF")
#pragma push_macro("STBI_NO_STDIO")
#pragma push_macro("STBI_NO_LINEAR")
#pragma push_macro("STBI_NO_HDR")
#pragma push_macro("STBI_ONLY_PNG")
#pragma push_macro("STBI_ONLY_JPEG")
#pragma push_macro("STBI_ONLY_GIF")
#pragma push_macro("STBI_ONLY_BMP")
#pragma push_macro("STBI_NO_PSD")
#pragma push_macro("STBI_NO_TGA")
#pragma push_macro("STBI_NO_PIC")
#pragma push_macro("STBI_NO_PNM")
#pragma push_macro("STBI_MALLOC")
#pragma push_macro("STBI_REALLOC")
#pragma push_macro("STBI_REALLOC_SIZED")
#pragma push_macro("STBI_FREE")
#pragma push_macro("STBI_ASSERT")
#pragma push_macro("stbi__err")
#undef stbi__err
#undef STBI_INCLUDE_STB_IMAGE_H
#undef STBIDEF
#undef STBI_MALLOC
#undef STBI_REALLOC
#undef STBI_REALLOC_SIZED
#undef STBI_FREE
#undef STBI_ASSERT
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_GIF
#define STBI_ONLY_BMP
#define STBI_MALLOC(bytes) ::flamingo::io::detail::stb_allocate(bytes)
#define STBI_REALLOC(old, bytes) ::flamingo::io::detail::stb_resize(old, bytes)
#define STBI_FREE(old) std::free(old)
#define STBI_ASSERT(condition) static_cast<void>(0)

// extern "C" names have no namespace for the assembler of g++: without these, a host that compiles stb_image in the
// same translation unit would define each of them twice.
#define stbi_failure_reason flamingo_stbi_failure_reason
#define stbi_image_free flamingo_stbi_image_free
#define stbi_set_flip_vertically_on_load flamingo_stbi_set_flip_vertically_on_load
#define stbi_set_flip_vertically_on_load_thread flamingo_stbi_set_flip_vertically_on_load_thread
#define stbi_load_16_from_memory flamingo_stbi_load_16_from_memory
#define stbi_load_16_from_callbacks flamingo_stbi_load_16_from_callbacks
#define stbi_load_from_memory flamingo_stbi_load_from_memory
#define stbi_load_from_callbacks flamingo_stbi_load_from_callbacks
#define stbi_load_gif_from_memory flamingo_stbi_load_gif_from_memory
#define stbi_is_hdr_from_memory flamingo_stbi_is_hdr_from_memory
#define stbi_is_hdr_from_callbacks flamingo_stbi_is_hdr_from_callbacks
#define stbi_zlib_decode_malloc_guesssize flamingo_stbi_zlib_decode_malloc_guesssize
#define stbi_zlib_decode_malloc flamingo_stbi_zlib_decode_malloc
#define stbi_zlib_decode_malloc_guesssize_headerflag flamingo_stbi_zlib_decode_malloc_guesssize_headerflag
#define stbi_zlib_decode_buffer flamingo_stbi_zlib_decode_buffer
#define stbi_zlib_decode_noheader_malloc flamingo_stbi_zlib_decode_noheader_malloc
#define stbi_zlib_decode_noheader_buffer flamingo_stbi_zlib_decode_noheader_buffer
#define stbi_set_unpremultiply_on_load flamingo_stbi_set_unpremultiply_on_load
#define stbi_set_unpremultiply_on_load_thread flamingo_stbi_set_unpremultiply_on_load_thread
#define stbi_convert_iphone_png_to_rgb flamingo_stbi_convert_iphone_png_to_rgb
#define stbi_convert_iphone_png_to_rgb_thread flamingo_stbi_convert_iphone_png_to_rgb_thread
#define stbi_info_from_memory flamingo_stbi_info_from_memory
#define stbi_info_from_callbacks flamingo_stbi_info_from_callbacks
#define stbi_is_16_bit_from_memory flamingo_stbi_is_16_bit_from_memory
#define stbi_is_16_bit_from_callbacks flamingo_stbi_is_16_bit_from_callbacks

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"
#ifndef __clang__  // g++ 12 at -O1 thinks that reading a header alone goes on to the pixels
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
namespace flamingo::io::detail::stb {
/// stb_image copies nothing from or to null pointers, which std::memcpy does not allow.
inline void* memcpy(void* to, const void* from, std::size_t bytes) {
  return bytes == 0 ? to : std::memcpy(to, from, bytes);
}
#if __has_include(<stb/stb_image.h>)  // Debian's place; other packagers have none of its own
#include <stb/stb_image.h>
#else
#include <stb_image.h>
#endif
}  // namespace flamingo::io::detail::stb
#pragma GCC diagnostic pop

#undef stbi_failure_reason
#undef stbi_image_free
#undef stbi_set_flip_vertically_on_load
#undef stbi_set_flip_vertically_on_load_thread
#undef stbi_load_16_from_memory
#undef stbi_load_16_from_callbacks
#undef stbi_load_from_memory
#undef stbi_load_from_callbacks
#undef stbi_load_gif_from_memory
#undef stbi_is_hdr_from_memory
#undef stbi_is_hdr_from_callbacks
#undef stbi_zlib_decode_malloc_guesssize
#undef stbi_zlib_decode_malloc
#undef stbi_zlib_decode_malloc_guesssize_headerflag
#undef stbi_zlib_decode_buffer
#undef stbi_zlib_decode_noheader_malloc
#undef stbi_zlib_decode_noheader_buffer
#undef stbi_set_unpremultiply_on_load
#undef stbi_set_unpremultiply_on_load_thread
#undef stbi_convert_iphone_png_to_rgb
#undef stbi_convert_iphone_png_to_rgb_thread
#undef stbi_info_from_memory
#undef stbi_info_from_callbacks
#undef stbi_is_16_bit_from_memory
#undef stbi_is_16_bit_from_callbacks

#pragma pop_macro("stbi__err")
#pragma pop_macro("STBI_ASSERT")
#pragma pop_macro("STBI_FREE")
#pragma pop_macro("STBI_REALLOC_SIZED")
#pragma pop_macro("STBI_REALLOC")
#pragma pop_macro("STBI_MALLOC")
#pragma pop_macro("STBI_NO_PNM")
#pragma pop_macro("STBI_NO_PIC")
#pragma pop_macro("STBI_NO_TGA")
#pragma pop_macro("STBI_NO_PSD")
#pragma pop_macro("STBI_ONLY_BMP")
#pragma pop_macro("STBI_ONLY_GIF")
#pragma pop_macro("STBI_ONLY_JPEG")
#pragma pop_macro("STBI_ONLY_PNG")
#pragma pop_macro("STBI_NO_HDR")
#pragma pop_macro("STBI_NO_LINEAR")
#pragma pop_macro("STBI_NO_STDIO")
#pragma pop_macro("STBIDEF")
#pragma pop_macro("STB_IMAGE_STATIC")
#pragma pop_macro("STB_IMAGE_IMPLEMENTATION")
#pragma pop_macro("STBI_INCLUDE_STB_IMAGE_H")

namespace flamingo::io::detail {

/// Feeds stb_image and notices when it asks for more than there is: given a memory block, it would read zeros past the
/// end and call a truncated JPEG or GIF a success.
class ImageSource {
 public:
  explicit ImageSource(std::span<const std::byte> file) : file_(file) {}

  bool ran_out() const { return ran_out_; }

  static constexpr stb::stbi_io_callbacks callbacks() { return {&read, &skip, &at_end}; }

 private:
  static int read(void* self, char* to, int size) {
    auto& source = *static_cast<ImageSource*>(self);
    const std::size_t left = source.file_.size() - source.at_;
    const std::size_t count = std::min(left, static_cast<std::size_t>(std::max(size, 0)));
    if (count == 0) source.ran_out_ = true;
    std::memcpy(to, source.file_.data() + source.at_, count);
    source.at_ += count;
    return static_cast<int>(count);
  }
  static void skip(void* self, int count) {
    auto& source = *static_cast<ImageSource*>(self);
    const std::size_t left = source.file_.size() - source.at_;
    if (count < 0) {
      source.at_ -= std::min(source.at_, static_cast<std::size_t>(-static_cast<long long>(count)));
    } else if (static_cast<std::size_t>(count) > left) {
      source.at_ = source.file_.size();
      source.ran_out_ = true;
    } else {
      source.at_ += static_cast<std::size_t>(count);
    }
  }
  static int at_end(void* self) {
    const auto& source = *static_cast<const ImageSource*>(self);
    return source.at_ == source.file_.size();
  }

  std::span<const std::byte> file_;
  std::size_t at_ = 0;
  bool ran_out_ = false;
};

struct ImageSize {
  int width, height;
};

/// The size in a PNG's header. stb_image calls pictures that are too large for it no pictures at all.
inline std::optional<ImageSize> png_size(std::span<const std::byte> file) {
  constexpr std::string_view begin("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16);
  if (file.size() < 24 || std::memcmp(file.data(), begin.data(), begin.size()) != 0) return std::nullopt;
  const auto big_endian = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(file[at + i]);
    return value;
  };
  const std::uint32_t width = big_endian(16), height = big_endian(20);
  if (width > INT_MAX || height > INT_MAX) return std::nullopt;
  return ImageSize{static_cast<int>(width), static_cast<int>(height)};
}

/// Whether no Huffman table of a JPEG says it has more than its 256 codes. The stb_image that Debian 12 packages
/// believes such a table and writes past its own. Before the first scan segments are walked as stb_image does; from
/// there on, where it depends on the codes what it takes for a marker, each 0xff 0xc4 counts. Other formats pass.
inline bool huffman_tables_fit(std::span<const std::byte> file) {
  const auto byte = [&](std::size_t at) { return at < file.size() ? std::to_integer<unsigned>(file[at]) : 0u; };
  if (byte(0) != 0xff) return true;
  bool scanning = false;
  for (std::size_t at = 0; at < file.size();) {
    const unsigned marker = byte(at + 1);
    if (byte(at) != 0xff || marker == 0xff) {  // on to the next marker; 0xff may be repeated
      ++at;
      continue;
    }
    const std::size_t end = at + 2 + std::max(2u, byte(at + 2) * 256 + byte(at + 3));
    if (marker == 0xc4)
      for (std::size_t table = at + 4; table < end;) {
        unsigned codes = 0;
        for (std::size_t i = 1; i <= 16; ++i) codes += byte(table + i);
        if (codes > 256) return false;
        table += 17 + codes;
      }
    scanning |= marker == 0xda;
    const bool alone = marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd9);
    at = scanning || alone ? at + 2 : end;
  }
  return true;
}

/// What the header says; nothing when this is no picture of a known format.
inline std::optional<ImageSize> image_size(std::span<const std::byte> file) {
  if (const auto size = png_size(file)) return size;
  if (!huffman_tables_fit(file)) return std::nullopt;  // some are read before the size
  stb_largest_block = std::size_t{1} << 20;
  ImageSource source(file);
  const auto callbacks = ImageSource::callbacks();
  ImageSize size{0, 0};
  int channels = 0;
  if (file.empty() ||
      !stb::flamingo_stbi_info_from_callbacks(&callbacks, &source, &size.width, &size.height, &channels))
    return std::nullopt;
  return size;
}

/// RGBA of 8 bits, row-major, or why there is none. `channels`: how many the file has, transparent colours counted.
struct DecodedRgba {
  int width = 0, height = 0, channels = 0;
  std::unique_ptr<unsigned char, decltype(&std::free)> rgba{nullptr, &std::free};
  std::string problem;
};

/// Decodes a picture whose header says `pixels`.
inline DecodedRgba decode_rgba(std::span<const std::byte> file, std::int64_t pixels) {
  DecodedRgba result;
  if (!huffman_tables_fit(file)) {
    result.problem = "it has a Huffman table of more than 256 codes";
    return result;
  }
  // Eight bytes a pixel (16-bit RGBA) and as much again for the rounding up of growing buffers.
  stb_largest_block = static_cast<std::size_t>(pixels) * 16 + (std::size_t{1} << 20) + 2 * file.size();
  ImageSource source(file);
  const auto callbacks = ImageSource::callbacks();
  result.rgba.reset(
      stb::flamingo_stbi_load_from_callbacks(&callbacks, &source, &result.width, &result.height, &result.channels, 4));
  if (source.ran_out())
    result.problem = "the file is truncated";
  else if (result.rgba == nullptr)
    result.problem = stb::flamingo_stbi_failure_reason();
  else if (std::int64_t{result.width} * result.height != pixels)
    result.problem = "its size differs from the header's";
  return result;
}

/// What a file's header says, or why it says nothing.
struct ImageHeader {
  ImageSize size{0, 0};
  std::string problem;
};

/// A decoded picture, or why there is none.
struct DecodedImage {
  RawImage image;
  std::string problem;
};

/// The mode of a PNG's samples once they have 8 bits; `alpha`: whether it has alpha or lists transparent colours.
inline Mode png_mode(int depth, int colour, bool alpha) {
  if (colour == 3) return Mode::palette;
  if (colour == 0 && depth == 1 && !alpha) return Mode::bilevel;
  if (colour == 0 || colour == 4) return alpha ? Mode::grey_alpha : Mode::grey;
  return alpha ? Mode::rgba : Mode::rgb;
}

/// Whether such a picture's alpha is one transparent colour.
inline bool png_keyed(int colour, bool alpha) { return alpha && (colour == 0 || colour == 2); }

}  // namespace flamingo::io::detail

namespace flamingo::io {

/// Decodes with stb_image: PNG, JPEG, GIF (its first frame) and BMP. Its JPEGs differ from libjpeg-turbo's by a few
/// levels.
struct Stb {
  static detail::ImageHeader header(std::span<const std::byte> file) {
    if (!detail::huffman_tables_fit(file)) return {{}, "it has a Huffman table of more than 256 codes"};
    if (const auto size = detail::image_size(file)) return {*size, {}};
    return {{}, "this is not a PNG, JPEG, GIF or BMP picture, or its header is damaged"};
  }

  /// A picture whose header says `pixels`. It has no smaller decoding: the last argument is ignored.
  static detail::DecodedImage decode(std::span<const std::byte> file, std::int64_t pixels, int /*at_least*/) {
    detail::DecodedRgba decoded = detail::decode_rgba(file, pixels);
    detail::DecodedImage result{{}, std::move(decoded.problem)};
    if (!result.problem.empty()) return result;
    if (detail::png_size(file)) {
      const int depth = std::to_integer<int>(file[24]), colour = std::to_integer<int>(file[25]);
      const bool alpha = decoded.channels == 2 || decoded.channels == 4;
      result.image.mode = detail::png_mode(depth, colour, alpha);
      result.image.keyed = detail::png_keyed(colour, alpha);
    } else if (std::to_integer<int>(file[0]) == 'G') {
      result.image.mode = Mode::palette;
    } else {
      result.image.mode = decoded.channels == 1 ? Mode::grey : decoded.channels == 4 ? Mode::rgba : Mode::rgb;
    }
    result.image.width = decoded.width;
    result.image.height = decoded.height;
    const auto wide = static_cast<std::size_t>(channels(result.image.mode));
    const std::size_t count = detail::pixel_count(result.image);
    result.image.samples.resize(count * wide);
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t c = 0; c < wide; ++c)
        result.image.samples[i * wide + c] = decoded.rgba.get()[4 * i + (wide == 2 && c == 1 ? 3 : c)];
    return result;
  }
};

}  // namespace flamingo::io
