/// The version of the library, stated once; CMake reads it from here. What a number promises: CHANGELOG.md.
#pragma once
#include <compare>

// For the preprocessor; everything else reads flamingo::version.
#define FLAMINGO_VERSION_MAJOR 1
#define FLAMINGO_VERSION_MINOR 0
#define FLAMINGO_VERSION_PATCH 0
#define FLAMINGO_VERSION (FLAMINGO_VERSION_MAJOR * 10000 + FLAMINGO_VERSION_MINOR * 100 + FLAMINGO_VERSION_PATCH)

namespace flamingo {

struct Version {
  int major, minor, patch;
  friend constexpr auto operator<=>(const Version&, const Version&) = default;
};

inline constexpr Version version{FLAMINGO_VERSION_MAJOR, FLAMINGO_VERSION_MINOR, FLAMINGO_VERSION_PATCH};

}  // namespace flamingo
