#include "kernels/cuda/model.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template ModelReport mini_model<Cpu<double, Isa::portable>, connector_alone>(int);
extern template ModelReport mini_model<Cpu<double, Isa::portable>, every_part>(int);
}  // namespace flamingo::test

namespace model_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

double most_apart(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

template <TrainedParts parts>
void check_training(int updates) {
  const ModelReport got = mini_model<Cuda<double>, parts>(updates),
                    expected = mini_model<Cpu<double, Isa::portable>, parts>(updates);
  REQUIRE(got.losses.size() == 2 * static_cast<std::size_t>(updates));
  CHECK(most_apart(got.losses, expected.losses) < 1e-9);
  CHECK(most_apart(got.norms, expected.norms) < 1e-9);
  CHECK(most_apart(got.weights, expected.weights) < 1e-9);
  CHECK(got.losses.back() < got.losses[1]);
  CHECK(got.ids == expected.ids);
  CHECK(most_apart(got.log_p, expected.log_p) < 1e-9);
  CHECK(most_apart(got.answers, expected.answers) < 1e-9);
}

}  // namespace

TEST_CASE("a connector trained on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  check_training<connector_alone>(20);
}
TEST_CASE("a whole model trained on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  check_training<every_part>(4);
}

}  // namespace model_test
