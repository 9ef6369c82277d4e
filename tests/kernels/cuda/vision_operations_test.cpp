#include "kernels/cuda/vision_operations.hpp"

#include <catch2/catch.hpp>

#include <flamingo/kernels/cuda/activation.cuh>
#include <flamingo/kernels/cuda/arrange.cuh>
#include <flamingo/kernels/cuda/convolution.cuh>
#include <flamingo/kernels/cuda/excitation.cuh>
#include <flamingo/kernels/cuda/pooling.cuh>
#include <flamingo/kernels/cuda/residual.cuh>
#include <flamingo/kernels/cuda/sinusoid.cuh>
#include <flamingo/kernels/cuda/standardise.cuh>

namespace flamingo::test {
extern template Results vision_operations<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace vision_operations_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_TEST_CASE("each operation of vision on Cuda agrees with the CPU's", "[cuda]", float, double) {
  const Results got = vision_operations<Cuda<TestType>>(), expected = vision_operations<Cpu<double, Isa::portable>>();
  const double allowed = chain_bound<TestType>(roundings_of_vision_operations);
  if (std::is_same_v<TestType, double>) REQUIRE(allowed < 1e-12);
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  CHECK(worst.distance < allowed);
}

TEST_CASE("each operation of vision on Cuda computes in bfloat16 too", "[cuda]") {
  const Results got = vision_operations<Cuda<bfloat16>>(), expected = vision_operations<Cpu<double, Isa::portable>>();
  REQUIRE(got.size() == expected.size());
  // Numbers rounded to eight bits, going in and coming out, in sums that add up their errors at random.
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO(got[i].name);
    if (!got[i].name.ends_with("max dx"))  // which of two near numbers is larger, rounding decides
      CHECK(worst_distance({got[i]}, {expected[i]}).distance < 4 * 0x1p-8);
  }
}

}  // namespace vision_operations_test
