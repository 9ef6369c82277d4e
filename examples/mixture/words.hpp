/// Words that nobody has ever read, to name classes by.
#pragma once
#include <array>
#include <string>

#include <flamingo/core/random.hpp>

namespace mixture {

inline std::string made_up_word(flamingo::Random& random) {
  static constexpr std::array<const char*, 16> starts{"bl", "d", "f", "gr", "k", "m", "pl", "s",
                                                      "t",  "v", "w", "z",  "n", "r", "sn", "h"};
  static constexpr std::array<const char*, 12> middles{"a",  "e",  "i", "o",  "u",  "oo",
                                                       "ar", "ee", "y", "ou", "ai", "or"};
  static constexpr std::array<const char*, 12> ends{"ck", "dle", "fer", "g",  "ket", "llo",
                                                    "m",  "nk",  "p",   "sh", "t",   "xa"};
  const auto any = [&](const auto& parts) {
    return parts[static_cast<std::size_t>(random.below(static_cast<int>(parts.size())))];
  };
  return std::string(any(starts)) + any(middles) + any(ends);
}

}  // namespace mixture
