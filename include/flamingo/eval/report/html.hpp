/// Pieces of a page: texts made safe, numbers that keep their exact value.
#pragma once
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

namespace flamingo::report {

/// A text as it may stand in an element or in an attribute between double quotes. What XML has no place for (control
/// characters) becomes a replacement character.
inline std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '>') {
      safe += "&gt;";
    } else if (c == '"') {
      safe += "&quot;";
    } else if (byte == 0x7f || (byte < 0x20 && c != '\n' && c != '\t')) {
      safe += "\xef\xbf\xbd";
    } else {
      safe += c;
    }
  }
  return safe;
}

/// A number of so many places.
inline std::string rounded(double number, int places = 1) {
  if (!std::isfinite(number)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", places, number);
  return text;
}

/// The shortest text that reads as exactly this number.
inline std::string exact(double number) {
  char text[64];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  return {text, end};
}

/// <data>: what is read is rounded, what stands behind it is exact. `path` says where it stands in the results.
inline std::string number(double value, std::string_view path, int places = 1) {
  return "<data value=\"" + exact(value) + "\" data-path=\"" + escaped(path) + "\">" + rounded(value, places) +
         "</data>";
}

}  // namespace flamingo::report
