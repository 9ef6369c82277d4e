#include "kernels/cuda/packed_model.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template ModelReport packed_model<Cpu<double, Isa::portable>>(int);
}  // namespace flamingo::test

namespace packed_model_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

double most_apart(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

}  // namespace

TEST_CASE("a connector trained over packed weights on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  const ModelReport got = packed_model<Cuda<double>>(2), expected = packed_model<Cpu<double, Isa::portable>>(2);
  REQUIRE(got.losses.size() == 2);
  CHECK(most_apart(got.losses, expected.losses) < 1e-9);
  CHECK(most_apart(got.norms, expected.norms) < 1e-9);
  CHECK(most_apart(got.weights, expected.weights) < 1e-9);
  CHECK(got.ids == expected.ids);
  CHECK(most_apart(got.log_p, expected.log_p) < 1e-9);
  CHECK(most_apart(got.answers, expected.answers) < 1e-9);
}

}  // namespace packed_model_test
