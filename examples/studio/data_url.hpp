/// Pictures inside JSON: data URLs of base64.
#pragma once
#include <string>
#include <string_view>

#include "refusal.hpp"
#include "visit.hpp"

namespace studio {

/// The bytes of a data URL. Throws Refusal, `place` in it, for any other URL, for what is no base64, and for a picture
/// of too many bytes.
inline std::string bytes_of_data_url(std::string_view url, const std::string& place, const Limits& limits) {
  const auto refuse = [&](const std::string& why) -> void {
    throw Refusal(400, place + ": " + why).at(place).as("invalid_request_error", "invalid_image_url");
  };
  if (!url.starts_with("data:"))
    refuse(
        "this server fetches nothing; expected a picture inside the request, \"data:image/png;base64,...\", found \"" +
        std::string(url.substr(0, 24)) + (url.size() > 24 ? "...\"" : "\""));
  const std::size_t comma = url.find(',');
  const std::string_view head = url.substr(0, comma);
  if (comma == std::string_view::npos || !head.starts_with("data:image/") || !head.ends_with(";base64"))
    refuse("expected \"data:image/...;base64,...\", found \"" + std::string(url.substr(0, 48)) + "\"");
  const std::string_view text = url.substr(comma + 1);
  if (text.size() / 4 * 3 > limits.picture + 3)
    throw Refusal(413, place + ": the picture's file has more than " + std::to_string(limits.picture) + " bytes.")
        .at(place)
        .as("invalid_request_error", "image_too_large");
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  unsigned held = 0;
  int bits = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] != '='; ++at) {
    const char c = text[at];
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) refuse("character " + std::to_string(at) + " after the comma is no base64");
    held = (held << 6 | static_cast<unsigned>(value)) & 0xffffffu;
    if ((bits += 6) >= 8) bytes += static_cast<char>(static_cast<unsigned char>(held >> (bits -= 8)));
  }
  const std::string_view rest = text.substr(at);
  const bool padded = rest == (at % 4 == 2 ? "==" : at % 4 == 3 ? "=" : "");
  if (bytes.empty() || at % 4 == 1 || !(padded || rest.empty())) refuse("the base64 ends too early");
  return bytes;
}

}  // namespace studio
