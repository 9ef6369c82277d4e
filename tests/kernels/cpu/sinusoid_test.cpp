#include <flamingo/kernels/cpu/sinusoid.hpp>

#include <catch2/catch.hpp>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace sinusoid_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("a sinusoid's bits depend on its distance alone", "[sinusoid]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int N = 101, D = 86;
  const auto made = [](Context<P>& ctx, int first, int count) {
    Tensor<R> y(count, D);
    ops::sinusoid(ctx, first, y.template rows_on<P>());
    return y;
  };
  check_repeatable<P>([&](Context<P>& ctx) { return made(ctx, 0, N); });
  Context<P> ctx(2, 1 << 20);
  const auto all = made(ctx, 0, N);
  for (const int first : {0, 1, 31, 32, 33, 95}) CHECK(made(ctx, first, 5) == rows_of(all, first, 5));
}

}  // namespace sinusoid_test
