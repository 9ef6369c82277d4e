#include <flamingo/ops/dropout.hpp>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cpu/dropout.hpp>

#include "support/platforms.hpp"
#include "support/tensor.hpp"

namespace dropout_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("dropout keeps what its key says, and the mean", "[dropout]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  constexpr int N = 40, D = 250;
  const Tensor<R> x(N, D, R(3));
  Tensor<R> y(N, D), late(N - 7, D);
  const Dropout rule{0.25, Random(11, 5), 100};
  ops::dropout(ctx, rule, x.template rows_on<P>(), y.template rows_on<P>());
  CHECK(y.intact());
  int kept = 0;
  for (int n = 0; n < N; ++n)
    for (int d = 0; d < D; ++d) {
      REQUIRE(y(n, d) == (rule.keeps(n, d, D) ? R(3) * R(1 / 0.75) : R(0)));
      kept += rule.keeps(n, d, D);
    }
  CHECK(std::abs(kept - 7500) < 4 * 43.3);  // four deviations of 10,000 draws

  // A batch computed in parts sees the same; other keys and numbers see others.
  ops::dropout(ctx, {0.25, Random(11, 5), 107}, rows_of(x, 7, N - 7).template rows_on<P>(), late.template rows_on<P>());
  CHECK(late == rows_of(y, 7, N - 7));
  ops::dropout(ctx, {0.25, Random(11, 6), 107}, rows_of(x, 7, N - 7).template rows_on<P>(), late.template rows_on<P>());
  CHECK_FALSE(late == rows_of(y, 7, N - 7));
  ops::dropout(ctx, {}, x.template rows_on<P>(), y.template rows_on<P>());
  CHECK(y == x);
}

TEST_CASE("dropout refuses what is no probability", "[dropout]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> x(2, 3);
  CHECK_THROWS_WITH(ops::dropout(ctx, {1, Random(), 0}, x.rows_on<P>(), x.rows_on<P>()),
                    "[dropout] the probability is 1, expected one in [0, 1)");
}

}  // namespace dropout_test
