/// PNG and JPEG files of pictures, by stb_image_write: no macro or global name is left behind. Component `stb`.
#pragma once
#include <cassert>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/image.hpp>

// As io/image_decoder.hpp has stb_image: compiled once in each translation unit, with internal linkage.
#pragma push_macro("INCLUDE_STB_IMAGE_WRITE_H")
#pragma push_macro("STB_IMAGE_WRITE_IMPLEMENTATION")
#pragma push_macro("STB_IMAGE_WRITE_STATIC")
#pragma push_macro("STBIWDEF")
#pragma push_macro("STBI_WRITE_NO_STDIO")
#undef INCLUDE_STB_IMAGE_WRITE_H
#undef STBIWDEF
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"
namespace flamingo::io::detail::stb_write {
#if __has_include(<stb/stb_image_write.h>)  // Debian's place; other packagers have none of its own
#include <stb/stb_image_write.h>
#else
#include <stb_image_write.h>
#endif
}  // namespace flamingo::io::detail::stb_write
#pragma GCC diagnostic pop
#undef STBIW_UCHAR
#undef STBIW_MALLOC
#undef STBIW_REALLOC
#undef STBIW_REALLOC_SIZED
#undef STBIW_FREE
#undef STBIW_MEMMOVE
#undef STBIW_ASSERT
#pragma pop_macro("STBI_WRITE_NO_STDIO")
#pragma pop_macro("STBIWDEF")
#pragma pop_macro("STB_IMAGE_WRITE_STATIC")
#pragma pop_macro("STB_IMAGE_WRITE_IMPLEMENTATION")
#pragma pop_macro("INCLUDE_STB_IMAGE_WRITE_H")

namespace flamingo::io {

namespace detail {

inline void append_bytes(void* to, void* bytes, int count) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), static_cast<std::size_t>(count));
}

}  // namespace detail

/// The bytes of a PNG file: 8-bit RGB, without loss.
inline std::string png_bytes(const Image& image) {
  detail::check_image(image, "png");
  std::string bytes;
  const int written = detail::stb_write::stbi_write_png_to_func(detail::append_bytes, &bytes, image.width, image.height,
                                                                3, image.rgb.data(), 3 * image.width);
  check(written != 0 && !bytes.empty(), "png", "a picture of ", image.width, " x ", image.height,
        " could not be written: there is no memory for it");
  return bytes;
}

/// The bytes of a JPEG file; `quality` of 1 to 100.
inline std::string jpeg_bytes(const Image& image, int quality = 85) {
  detail::check_image(image, "jpeg");
  check(quality >= 1 && quality <= 100, "jpeg", "the quality is ", quality, ", expected 1 to 100");
  std::string bytes;
  const int written = detail::stb_write::stbi_write_jpg_to_func(detail::append_bytes, &bytes, image.width, image.height,
                                                                3, image.rgb.data(), quality);
  check(written != 0 && !bytes.empty(), "jpeg", "a picture of ", image.width, " x ", image.height,
        " could not be written");
  return bytes;
}

/// Writes a PNG file under its name, whole or not at all.
inline void write_png(const std::filesystem::path& path, const Image& image) {
  AtomicFile file(path);
  file.write(png_bytes(image));
  file.commit();
}

}  // namespace flamingo::io
