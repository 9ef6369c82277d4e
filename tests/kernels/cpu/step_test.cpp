#include <flamingo/kernels/cpu/step.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include "support/platforms.hpp"

namespace step_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("a step adds a product to each lane", "[step]", Platforms) {
  using R = typename TestType::Real;
  using Step = kernels::MultiplyAdd<R, native_isa>;
  using Math = kernels::VectorMath<R, native_isa>;
  std::array<R, Math::lanes> sums, factors, results;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i] = R(i) + R(0.5);
    factors[i] = R(i) - R(3);
  }
  Math::store(results.data(), Step::add(Math::load(sums.data()), R(1.25), Math::load(factors.data())));
  for (std::size_t i = 0; i < sums.size(); ++i) CHECK(results[i] == sums[i] + R(1.25) * factors[i]);
}

}  // namespace step_test
