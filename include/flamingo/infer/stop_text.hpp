/// Stop texts in a text that grows: where one is found, and how much of the text no stop text can still begin in.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace flamingo {

/// Where the first stop text begins in `text`, of which the first `searched` bytes hold none; npos: nowhere.
inline std::size_t found_stop(std::string_view text, std::size_t searched, std::span<const std::string> stops) {
  std::size_t first = std::string_view::npos;
  for (const std::string& stop : stops)  // it ends behind what was searched
    first = std::min(first, text.find(stop, searched - std::min(searched, stop.size() - 1)));
  return first;
}

/// How many bytes of `text`, which holds no stop text and will grow, are decided: what follows them may be the
/// beginning of a stop text, or of a UTF-8 character whose rest has not come.
inline std::size_t decided(std::string_view text, std::span<const std::string> stops) {
  std::size_t end = text.size();
  for (const std::string& stop : stops)
    for (std::size_t n = std::min(stop.size() - 1, text.size()); n > 0; --n)
      if (text.ends_with(std::string_view(stop).substr(0, n))) {
        end = std::min(end, text.size() - n);
        break;
      }
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, end); ++back) {
    const auto byte = static_cast<unsigned char>(text[end - back]);
    if ((byte & 0xC0U) == 0x80U) continue;  // one of a character's later bytes
    const std::size_t bytes = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
    return bytes > back ? end - back : end;
  }
  return end;
}

}  // namespace flamingo
