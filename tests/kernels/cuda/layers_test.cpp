#include "kernels/cuda/layers.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template Results layers<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace layers_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_TEST_CASE("Resampler and gated blocks on Cuda agree with the CPU's, there and back", "[cuda]", float, double) {
  const Results got = layers<Cuda<TestType>>(), expected = layers<Cpu<double, Isa::portable>>();
  const double allowed = chain_bound<TestType>(roundings_of_layers());
  if (std::is_same_v<TestType, double>) REQUIRE(allowed < 1e-12);
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  CHECK(worst.distance < allowed);
  REQUIRE(got[0].name == "y without gradients");
  CHECK(got[0].numbers == got[1].numbers);  // bit for bit
}

TEST_CASE("layers on Cuda give the same bits every time", "[cuda]") {
  const Results once = layers<Cuda<float>>(), again = layers<Cuda<float>>();
  CHECK(worst_distance(again, once).distance == 0);
}

}  // namespace layers_test
