#include <flamingo/kernels/cpu/activation.hpp>

#include <array>
#include <catch2/catch.hpp>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace activation_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("an activation's bits depend on its number alone", "[activation]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  // Larger than a tile, and than a piece of one thread.
  const int N = 401, D = 61;
  const auto x = Tensor<R>::random(N, D, 1, -4, 4), up = Tensor<R>::random(N, D, 2), dy = Tensor<R>::random(N, D, 3);
  const auto compute = [&](Context<P>& ctx, int first, int count) {
    const auto z = rows_of(x, first, count), u = rows_of(up, first, count), g = rows_of(dy, first, count);
    const Tensor<R> rows(count, D);
    std::array results{rows, rows, rows, rows, rows};
    auto& [y, dx, gated, dgate, dup] = results;
    constexpr auto A = Activation::silu;
    ops::activate<A>(ctx, z.template rows_on<P>(), y.template rows_on<P>());
    ops::activate_backward<A>(ctx, z.template rows_on<P>(), g.template rows_on<P>(), dx.template rows_on<P>());
    ops::gate_activate<A>(ctx, z.template rows_on<P>(), u.template rows_on<P>(), gated.template rows_on<P>());
    ops::gate_activate_backward<A>(ctx, z.template rows_on<P>(), u.template rows_on<P>(), g.template rows_on<P>(),
                                   dgate.template rows_on<P>(), dup.template rows_on<P>());
    return results;
  };
  check_repeatable<P>([&](Context<P>& ctx) { return compute(ctx, 0, N); });
  Context<P> ctx(1, 1 << 20);
  const auto all = compute(ctx, 0, N);
  for (const int n : {0, 1, 2, 3, 5, 7, 199, 400}) {
    const auto alone = compute(ctx, n, 1);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(alone[i] == rows_of(all[i], n, 1));
  }
}

}  // namespace activation_test
