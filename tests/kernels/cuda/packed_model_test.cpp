#include "kernels/cuda/packed_model.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

#include "kernels/cuda/alike.hpp"

namespace flamingo::test {
extern template ModelReport packed_model<Cpu<double, Isa::portable>>(int);
}  // namespace flamingo::test

namespace packed_model_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a connector trained over packed weights on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  const ModelReport got = packed_model<Cuda<double>>(2), expected = packed_model<Cpu<double, Isa::portable>>(2);
  REQUIRE(got.losses.size() == 2);
  check_alike(got.losses, expected.losses);
  check_alike(got.norms, expected.norms);
  check_alike(got.weights, expected.weights);
  CHECK(got.ids == expected.ids);
  check_alike(got.log_p, expected.log_p);
  check_alike(got.answers, expected.answers);
}

}  // namespace packed_model_test
