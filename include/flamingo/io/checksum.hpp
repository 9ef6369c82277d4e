/// Cyclic checksums of 32 bits: that of zip archives (ISO 3309), and Castagnoli's (RFC 3720), which checkpoints and
/// TensorBoard's event files have.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace flamingo::io {

namespace detail {

/// Table k is what a byte does to the checksum after k zero bytes, so eight bytes are taken at once.
template <std::uint32_t polynomial>
inline constexpr auto crc_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
  return tables;
}();

template <std::uint32_t polynomial>
std::uint32_t crc(std::span<const std::byte> bytes, std::uint32_t before) {
  constexpr const auto& tables = crc_tables<polynomial>;
  std::uint32_t crc = ~before;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k) crc ^= tables[7 - k][word >> (8 * k) & 255];
  }
  for (const std::byte b : bytes) crc = crc >> 8 ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(b)) & 255];
  return ~crc;
}

}  // namespace detail

/// `before` is the checksum of the bytes before these, where they come piece by piece.
inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) {
  return detail::crc<0xEDB88320u>(bytes, before);
}
inline std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) {
  return detail::crc<0x82F63B78u>(bytes, before);
}
inline std::uint32_t crc32c(std::string_view text, std::uint32_t before = 0) {
  return crc32c(std::as_bytes(std::span(text.data(), text.size())), before);
}

}  // namespace flamingo::io
