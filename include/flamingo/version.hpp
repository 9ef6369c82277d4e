/// The version of the library, stated once; CMake reads it from here.
#pragma once
#include <compare>

namespace flamingo {

struct Version {
  int major, minor, patch;
  friend constexpr auto operator<=>(const Version&, const Version&) = default;
};

inline constexpr Version version{0, 1, 0};

}  // namespace flamingo
