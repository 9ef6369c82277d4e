/// Writes small PNG files for the tests, also wrong ones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flamingo::tests {

inline std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(static_cast<unsigned char>(value >> shift));
  return bytes;
}

inline std::string png_chunk(std::string_view name, std::string_view data) {
  std::uint32_t crc = 0xffffffffu;
  const std::string body = std::string(name) + std::string(data);
  for (const char c : body) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1u ? 0xedb88320u : 0u);
  }
  return big_endian(static_cast<std::uint32_t>(data.size())) + body + big_endian(~crc);
}

/// colour: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA. `between` are chunks before the data.
inline std::string png_of_zlib(std::uint32_t width, std::uint32_t height, int colour, int depth,
                               const std::string& zlib, const std::string& between = "", bool interlaced = false) {
  std::string header = big_endian(width) + big_endian(height);
  header += static_cast<char>(depth);
  header += static_cast<char>(colour);
  header += std::string(2, '\0');
  header += interlaced ? '\1' : '\0';
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + between + png_chunk("IDAT", zlib) + png_chunk("IEND", "");
}

/// A PNG of rows, each with its filter byte in front, not compressed. Interlaced, they are those of the seven passes.
inline std::string png(std::uint32_t width, std::uint32_t height, int colour, int depth,
                       const std::vector<std::string>& rows, const std::string& between = "", bool interlaced = false) {
  std::string raw;
  for (const std::string& row : rows) raw += row;
  std::string zlib = "\x78\x01\x01";
  const auto length = static_cast<std::uint16_t>(raw.size());
  for (const std::uint16_t n : {length, static_cast<std::uint16_t>(~length)}) {
    zlib += static_cast<char>(static_cast<unsigned char>(n & 0xffu));
    zlib += static_cast<char>(static_cast<unsigned char>(n >> 8));
  }
  std::uint32_t a = 1, b = 0;
  for (const char c : raw) {
    a = (a + static_cast<unsigned char>(c)) % 65521u;
    b = (b + a) % 65521u;
  }
  return png_of_zlib(width, height, colour, depth, zlib + raw + big_endian((b << 16) | a), between, interlaced);
}

/// `count` zero bytes, deflated with the fixed codes as one literal and copies of 258 (a thousandth of the size).
inline std::string zlib_zeros(std::size_t count) {
  std::string bytes = "\x78\x01";
  unsigned pending = 0;
  int filled = 0;
  const auto put = [&](unsigned value, int bits) {  // lowest bit first
    pending |= value << filled;
    for (filled += bits; filled >= 8; filled -= 8, pending >>= 8)
      bytes += static_cast<char>(static_cast<unsigned char>(pending));
  };
  const auto code = [&](unsigned value, int bits) {  // Huffman codes: highest bit first
    for (int i = bits - 1; i >= 0; --i) put((value >> i) & 1u, 1);
  };
  put(1, 1);
  put(1, 2);
  code(0x30, 8);  // literal 0
  std::size_t left = count - 1;
  for (; left >= 258; left -= 258) {
    code(0xc5, 8);  // length 258
    code(0, 5);     // distance 1
  }
  for (; left > 0; --left) code(0x30, 8);
  code(0, 7);  // end of block
  put(0, 7);   // to a whole byte
  // Adler-32 of zeros: a = 1, b = count mod 65521.
  return bytes + big_endian(static_cast<std::uint32_t>(count % 65521u) << 16 | 1u);
}

}  // namespace flamingo::tests
