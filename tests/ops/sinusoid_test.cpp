#include <flamingo/ops/sinusoid.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/sinusoid.hpp>

#include "support/compare.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace sinusoid_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("sinusoids are sines, then cosines, of distances", "[sinusoid]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int N = 71, D = 26;
  const int first = GENERATE(0, 1, 31, 2040);
  Tensor<R> y(N, D, R(7));
  Context<P> ctx(1, 1 << 20);
  ops::sinusoid(ctx, first, y.template rows_on<P>());
  Tensor<double> expected(N, D);
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D / 2; ++i) {
      const double angle = (first + n) / std::pow(10000.0, 2.0 * i / D);
      expected(n, i) = std::sin(angle);
      expected(n, D / 2 + i) = std::cos(angle);
    }
  // Angles err by 2111 ε of double.
  CHECK(distance(y, expected).largest < chain_bound<R>(1) + chain_bound<double>(2111));
  CHECK(y.intact());
}

TEST_CASE("sinusoid says what is wrong", "[sinusoid]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> odd(3, 5), even(3, 4);
  CHECK_THROWS_WITH(ops::sinusoid(ctx, 0, odd.rows_on<P>()),
                    "[sinusoid] y is (3, 5), from distance 0 on: the width must be even and a distance at least 0");
  CHECK_THROWS_WITH(ops::sinusoid(ctx, -1, even.rows_on<P>()),
                    "[sinusoid] y is (3, 4), from distance -1 on: the width must be even and a distance at least 0");
}

}  // namespace sinusoid_test
