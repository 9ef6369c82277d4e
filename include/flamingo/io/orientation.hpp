/// Which way up a camera held its picture: EXIF's orientation in JPEG and PNG files.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace flamingo::io {

namespace detail {

/// Bytes read within their bounds in one of the two orders.
class OrderedBytes {
 public:
  OrderedBytes(std::span<const std::byte> bytes, bool little) : bytes_(bytes), little_(little) {}
  bool has(std::size_t at, std::size_t count) const { return at <= bytes_.size() && count <= bytes_.size() - at; }
  /// The number of `count` bytes at `at`, 0 where they lie outside.
  std::uint32_t number(std::size_t at, std::size_t count) const {
    if (!has(at, count)) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
      value = value << 8 | std::to_integer<std::uint32_t>(bytes_[at + (little_ ? count - 1 - i : i)]);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool little_;
};

inline bool starts_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

/// The orientation in a TIFF structure (EXIF 2.3, 4.5 and 4.6): tag 0x0112 of the first directory, a SHORT; else 1.
inline int tiff_orientation(std::span<const std::byte> tiff) {
  const bool little = starts_with(tiff, std::string_view("II*\0", 4));
  if (!little && !starts_with(tiff, std::string_view("MM\0*", 4))) return 1;
  const OrderedBytes in(tiff, little);
  const std::size_t directory = in.number(4, 4);
  const std::uint32_t entries = in.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (!in.has(entry, 12)) return 1;
    if (in.number(entry, 2) != 0x0112) continue;
    const std::uint32_t value = in.number(entry + 8, 2);
    return in.number(entry + 2, 2) == 3 && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

inline int jpeg_orientation(std::span<const std::byte> file) {
  const OrderedBytes in(file, false);
  for (std::size_t at = 2; in.has(at, 4);) {
    const std::uint32_t marker = in.number(at, 2), length = in.number(at + 2, 2);
    if (marker == 0xffff) {  // filling
      ++at;
      continue;
    }
    if (marker < 0xff01 || marker == 0xffda || marker == 0xffd9 || length < 2) return 1;  // the scan: no EXIF so far
    const std::string_view exif("Exif\0\0", 6);
    if (marker == 0xffe1 && in.has(at + 4, length - 2)) {
      const auto segment = file.subspan(at + 4, length - 2);
      if (starts_with(segment, exif)) return tiff_orientation(segment.subspan(exif.size()));
    }
    at += 2 + length;
  }
  return 1;
}

inline int png_orientation(std::span<const std::byte> file) {
  const OrderedBytes in(file, false);
  for (std::size_t at = 8; in.has(at, 8);) {
    const std::size_t length = in.number(at, 4);
    if (!in.has(at + 8, length)) return 1;
    const auto name = file.subspan(at + 4);
    if (starts_with(name, "eXIf")) return tiff_orientation(file.subspan(at + 8, length));
    if (starts_with(name, "IEND")) return 1;
    at += 12 + length;
  }
  return 1;
}

}  // namespace detail

/// The EXIF orientation of a JPEG or PNG file, 1 to 8; 1 (upright) where it states none or a wrong one.
inline int orientation(std::span<const std::byte> file) {
  if (detail::starts_with(file, "\xff\xd8")) return detail::jpeg_orientation(file);
  if (detail::starts_with(file, "\x89PNG\r\n\x1a\n")) return detail::png_orientation(file);
  return 1;
}

}  // namespace flamingo::io
