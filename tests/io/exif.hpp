/// EXIF by hand.
#pragma once
#include <cstddef>
#include <string>

namespace flamingo::tests {

/// A TIFF structure whose first directory has a width and then an orientation.
inline std::string tiff(int orientation, bool little) {
  const auto number = [&](unsigned value, int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i)
      bytes += static_cast<char>(static_cast<unsigned char>(value >> 8 * (little ? i : count - 1 - i)));
    return bytes;
  };
  const auto entry = [&](unsigned tag, unsigned value) {
    return number(tag, 2) + number(3, 2) + number(1, 4) + number(value, 2) + number(0, 2);
  };
  return (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) + entry(0x0100, 640) +
         entry(0x0112, static_cast<unsigned>(orientation)) + number(0, 4);
}

/// A JPEG's beginning, another segment and one with EXIF; put in front of a JPEG without its first two bytes, all of
/// it.
inline std::string jpeg_with(const std::string& tiff_bytes) {
  const std::string exif = std::string("Exif\0\0", 6) + tiff_bytes;
  const auto length = static_cast<unsigned>(exif.size() + 2);
  return std::string("\xff\xd8\xff\xfe\0\4hi\xff\xff\xe1", 11) +
         static_cast<char>(static_cast<unsigned char>(length >> 8)) +
         static_cast<char>(static_cast<unsigned char>(length & 0xffu)) + exif;
}

}  // namespace flamingo::tests
