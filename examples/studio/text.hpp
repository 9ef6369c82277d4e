/// Bytes of tokens as text that JSON can carry.
#pragma once
#include <string>
#include <string_view>

#include <flamingo/io/unicode.hpp>

namespace studio {

/// The text with U+FFFD for what is no UTF-8.
inline std::string as_text(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto point = flamingo::io::decode_utf8(bytes, at);
    if (point.valid)
      text.append(bytes.substr(at, point.length));
    else
      flamingo::io::append_utf8(text, 0xfffd);
    at += point.valid ? point.length : flamingo::io::ill_formed_length(bytes, at);
  }
  return text;
}

}  // namespace studio
