// Needs neither Eigen nor threads: prints the version.
#include <cstdio>

#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/version.hpp>

int main() {
  constexpr flamingo::Version v = flamingo::version;
  std::printf("flamingo %d.%d.%d\n", v.major, v.minor, v.patch);
}
