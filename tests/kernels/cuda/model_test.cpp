#include "kernels/cuda/model.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

#include "kernels/cuda/alike.hpp"

namespace flamingo::test {
extern template ModelReport mini_model<Cpu<double, Isa::portable>, connector_alone>(int);
extern template ModelReport mini_model<Cpu<double, Isa::portable>, every_part>(int);
}  // namespace flamingo::test

namespace model_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

template <TrainedParts parts>
void check_training(int updates) {
  const ModelReport got = mini_model<Cuda<double>, parts>(updates),
                    expected = mini_model<Cpu<double, Isa::portable>, parts>(updates);
  REQUIRE(got.losses.size() == 2 * static_cast<std::size_t>(updates));
  check_alike(got.losses, expected.losses);
  check_alike(got.norms, expected.norms);
  check_alike(got.weights, expected.weights);
  CHECK(got.losses.back() < got.losses[1]);
  CHECK(got.ids == expected.ids);
  check_alike(got.log_p, expected.log_p);
  check_alike(got.answers, expected.answers);
}

}  // namespace

TEST_CASE("a connector trained on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  check_training<connector_alone>(20);
}
TEST_CASE("a whole model trained on Cuda has the CPU's losses, and writes the same words", "[cuda]") {
  check_training<every_part>(4);
}

}  // namespace model_test
