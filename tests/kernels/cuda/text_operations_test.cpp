#include "kernels/cuda/text_operations.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

using namespace flamingo;
using namespace flamingo::test;

namespace flamingo::test {
extern template Results text_operations<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

TEMPLATE_TEST_CASE("each operation on text of Cuda agrees with the CPU's", "[cuda]", float, double) {
  const Results got = text_operations<Cuda<TestType>>(), expected = text_operations<Cpu<double, Isa::portable>>();
  const double allowed = chain_bound<TestType>(roundings_of_text_operations);
  if (std::is_same_v<TestType, double>) REQUIRE(allowed < 1e-12);
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  CHECK(worst.distance < allowed);
}

TEST_CASE("operations on text of Cuda give the same bits every time", "[cuda]") {
  const Results once = text_operations<Cuda<float>>(), again = text_operations<Cuda<float>>();
  CHECK(worst_distance(again, once).distance == 0);
}
