#include <flamingo/kernels/cpu/residual.hpp>

#include <array>
#include <catch2/catch.hpp>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace residual_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 1009, D = 61;

template <int Length, class P, class R = typename P::Real>
auto gated(Context<P>& ctx, int first, int count) {
  const auto x = rows_of(Tensor<R>::random(N, D, 1), first, count),
             branch = rows_of(Tensor<R>::random(N, D, 2), first, count);
  auto gate = Tensor<R>::random(1, Length, 3);
  std::array results{Tensor<R>(count, D), Tensor<R>(count, D), Tensor<R>(count, D), Tensor<R>(1, Length)};
  auto& [sum, y, dbranch, dgate] = results;
  const auto g = gate.template vector_on<P, Length>();
  ops::add(ctx, x.template rows_on<P>(), branch.template rows_on<P>(), sum.template rows_on<P>());
  ops::gated_add(ctx, x.template rows_on<P>(), g, branch.template rows_on<P>(), y.template rows_on<P>());
  ops::gated_add_backward(ctx, g, branch.template rows_on<P>(), x.template rows_on<P>(), dbranch.template rows_on<P>(),
                          dgate.template vector_on<P, Length>());
  return results;
}
template <class P, int Length>
void check_bits() {
  check_repeatable<P>([](Context<P>& ctx) { return gated<Length, P>(ctx, 0, N); });
  Context<P> ctx(2, 1 << 20);
  const auto all = gated<Length, P>(ctx, 0, N);
  for (const int n : {0, 1, 2, 3, 5, 1008}) {
    const auto alone = gated<Length, P>(ctx, n, 1);
    for (std::size_t i = 0; i < 3; ++i) CHECK(alone[i] == rows_of(all[i], n, 1));
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a gated sum's bits depend on its row alone", "[residual]", Platforms) {
  check_bits<TestType, 1>();
  check_bits<TestType, D>();
}

}  // namespace residual_test
