// What a probe hands to main: digests of the bits it computed.
#pragma once
#include <cstdint>

struct Digests {
  std::uint64_t in_float = 0, in_double = 0;
};
