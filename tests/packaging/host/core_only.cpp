// Needs neither Eigen nor threads: prints the version.
#include <cstdio>

#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/version.hpp>

#if FLAMINGO_VERSION < 10000 || FLAMINGO_VERSION_MAJOR > 1
#error this host was written for version 1
#endif

int main() {
  constexpr flamingo::Version v = flamingo::version;
  static_assert(v.major * 10000 + v.minor * 100 + v.patch == FLAMINGO_VERSION);
  std::printf("flamingo %d.%d.%d\n", v.major, v.minor, v.patch);
}
