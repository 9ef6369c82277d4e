/// Bytes as text that a page can hold: base64 and data: addresses.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace flamingo::io {

/// Base64 with its padding (RFC 4648, section 4).
inline std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto at = [&](std::size_t i) {
    return i < bytes.size() ? static_cast<unsigned>(static_cast<unsigned char>(bytes[i])) : 0u;
  };
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const unsigned three = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    for (unsigned n = 0; n < 4; ++n) text += i + n > bytes.size() ? '=' : digits[three >> (18 - 6 * n) & 63];
  }
  return text;
}

/// "data:image/png;base64,..."
inline std::string data_uri(std::string_view type, std::string_view bytes) {
  return "data:" + std::string(type) + ";base64," + base64(bytes);
}

}  // namespace flamingo::io
