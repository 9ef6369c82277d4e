#include <flamingo/kernels/cpu/rotary.hpp>

#include <catch2/catch.hpp>
#include <numeric>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace rotary_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("a turned row's bits depend on it and its position alone", "[rotary]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int N = 211;
  const RotaryShape shape{.head_dim = 14, .turned = 10};
  Tensor<int> positions(1, N);
  std::iota(positions.begin(), positions.end(), 0);
  const auto x = Tensor<R>::random(N, 3 * 14, 1);
  const auto turned = [&](Context<P>& ctx) {
    auto y = x;
    ops::rotary(ctx, shape, positions.view_on<P>(), y.template rows_on<P>());
    return y;
  };
  check_repeatable<P>(turned);
  Context<P> ctx(2, 1 << 20);
  const auto all = turned(ctx);
  for (const int n : {0, 1, 15, 16, 17, 210}) {
    auto alone = rows_of(x, n, 1);
    const auto at = Tensor<int>::of({n});
    ops::rotary(ctx, shape, at.view_on<P>(), alone.template rows_on<P>());
    CHECK(alone == rows_of(all, n, 1));
  }
}

}  // namespace rotary_test
