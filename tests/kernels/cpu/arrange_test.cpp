#include <flamingo/kernels/cpu/arrange.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace arrange_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("a blended row's bits depend on its place alone", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto table = Tensor<R>::random(5, 13, 1);
  std::vector<Blend> places;
  for (int n = 0; n < 31; ++n) places.push_back({n % 5, (n + 1) % 5, static_cast<float>(n) / 31});
  Context<P> ctx(1, 1 << 12);
  const auto blended = [&](std::size_t first, int count) {
    Tensor<R> sum(count, 13, R(1));
    ops::blend(ctx, table.template rows_on<P>(), {places.data() + first, {count}}, sum.template rows_on<P>());
    return sum;
  };
  const auto all = blended(0, 31);
  for (int n = 0; n < 31; ++n) CHECK(blended(static_cast<std::size_t>(n), 1) == rows_of(all, n, 1));
}

TEMPLATE_LIST_TEST_CASE("scatter_add adds in the order of its rows", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto x = Tensor<R>::random(101, 13, 1);
  Tensor<int> index(1, 101);
  for (int n = 0; n < 101; ++n) index(0, n) = n * n % 5;
  Tensor<R> expected(5, 13);
  for (int n = 0; n < 101; ++n)
    for (int i = 0; i < 13; ++i) expected(index(0, n), i) += x(n, i);
  check_repeatable<P>([&](Context<P>& ctx) {
    Tensor<R> y(5, 13);
    ops::scatter_add(ctx, x.template rows_on<P>(), index.view_on<P>(), y.template rows_on<P>());
    CHECK(y == expected);
    return y;
  });
}

}  // namespace arrange_test
