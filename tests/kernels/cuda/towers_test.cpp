#include "kernels/cuda/towers.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template Results towers<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace towers_test {

using namespace flamingo;
using namespace flamingo::test;

// In double: their operations are compared in float too.
TEST_CASE("CLIP's towers and Llama 3.2's on Cuda agree with the CPU's, there and back", "[cuda]") {
  const Results got = towers<Cuda<double>>(), expected = towers<Cpu<double, Isa::portable>>();
  const double allowed = chain_bound<double>(roundings_of_towers());
  REQUIRE(allowed < 1e-12);
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  CHECK(worst.distance < allowed);
}

}  // namespace towers_test
