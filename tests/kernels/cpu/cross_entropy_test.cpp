#include <flamingo/kernels/cpu/cross_entropy.hpp>

#include <array>
#include <catch2/catch.hpp>

#include <flamingo/kernels/cpu/linear.hpp>
#include <flamingo/kernels/cpu/residual.hpp>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace cross_entropy_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 37, D = 13, V = 101, A = 3;

/// nll, lse, dx of some rows.
template <class P, class R = typename P::Real>
std::array<Tensor<R>, 3> scored(Context<P>& ctx, int first, int count) {
  const auto x = rows_of(Tensor<R>::random(N, D, 1, -2, 2), first, count);
  auto table = Tensor<R>::random(V, D, 2), added = Tensor<R>::random(A, D, 3);
  Tensor<int> targets(1, count);
  for (int n = 0; n < count; ++n) targets(0, n) = (first + n) * 7 % (V + A);
  const Tensor<R> weights(1, count, R(0.5));
  std::array results{Tensor<R>(1, count), Tensor<R>(1, count), Tensor<R>(count, D)};
  auto& [nll, lse, dx] = results;
  const auto w = table.template matrix_on<P>(), a = added.template matrix_on<P>();
  ops::cross_entropy(ctx, x.template rows_on<P>(), w, a, targets.view_on<P>(), 32, nll.template view_on<P>(),
                     lse.template view_on<P>());
  ops::cross_entropy_backward(ctx, x.template rows_on<P>(), w, a, targets.view_on<P>(), 32, lse.template view_on<P>(),
                              weights.template view_on<P>(), dx.template rows_on<P>(), NoGrad{}, NoGrad{});
  return results;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a row's likelihood has the bits that it has among others", "[cross_entropy]", Platforms) {
  using P = TestType;
  Context<P> ctx(2, 1 << 20);
  const auto all = scored<P>(ctx, 0, N);
  for (const int n : {0, 1, 5, 6, 36}) {
    const auto alone = scored<P>(ctx, n, 1);
    CHECK(alone[0](0, 0) == all[0](0, n));
    CHECK(alone[1](0, 0) == all[1](0, n));
    CHECK(alone[2] == rows_of(all[2], n, 1));
  }
}

TEMPLATE_LIST_TEST_CASE("cross_entropy has the same bits on any number of threads", "[cross_entropy]", Platforms) {
  check_repeatable<TestType>([](Context<TestType>& ctx) { return scored<TestType>(ctx, 0, N); });
}

}  // namespace cross_entropy_test
