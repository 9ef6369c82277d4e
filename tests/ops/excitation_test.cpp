#include <flamingo/ops/excitation.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/excitation.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace excitation_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int M = 3, D = 301, cells = 48;  // more channels than a chunk of numbers
const std::vector<Grid> grids{{0, 5, 7}, {35, 2, 3}, {41, 1, 7}};
constexpr int picture_of(int n) { return n < 35 ? 0 : n < 41 ? 1 : 2; }

}  // namespace

TEMPLATE_LIST_TEST_CASE("excitation equals its definition", "[excitation]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  const auto z = Tensor<R>::random(M, D, 1, -5, 5), x = Tensor<R>::random(cells, D, 2),
             h = Tensor<R>::random(cells, D, 3);
  const auto amounts = Tensor<R>::of({R(0.4), R(0), R(0.7)});
  auto gain = Tensor<R>::of({R(-1.25)});
  Tensor<R> f(M, D), y(cells, D);
  ops::excitation(ctx, z.template rows_on<P>(), amounts.template view_on<P>(), gain.template vector_on<P, 1>(),
                  f.template rows_on<P>());
  for (int m = 0; m < M; ++m)
    for (int d = 0; d < D; ++d) {
      const double expected =
          static_cast<double>(amounts(0, m)) * -1.25 / (1 + std::exp(-static_cast<double>(z(m, d))));
      REQUIRE(std::abs(static_cast<double>(f(m, d)) - expected) <= chain_bound<R>(8) * std::abs(expected));
    }
  ops::excite(ctx, x.template rows_on<P>(), h.template rows_on<P>(), grids, f.template rows_on<P>(),
              y.template rows_on<P>());
  for (int n = 0; n < cells; ++n)
    for (int d = 0; d < D; ++d) {
      const double a = static_cast<double>(x(n, d)),
                   b = static_cast<double>(f(picture_of(n), d)) * static_cast<double>(h(n, d));
      REQUIRE(std::abs(static_cast<double>(y(n, d)) - (a + b)) <= sum_bound<R>(2, std::abs(a) + std::abs(b)));
    }
  CHECK((f.intact() && y.intact()));
  CHECK(rows_of(y, 35, 6) == rows_of(x, 35, 6));  // a branch that is dropped
}

TEST_CASE("gradients of excitation equal central differences", "[excitation]") {
  using P = Cpu<double>;
  Context<P> ctx(2, 1 << 20);
  auto z = Tensor<double>::random(M, D, 1, -3, 3), x = Tensor<double>::random(cells, D, 2),
       h = Tensor<double>::random(cells, D, 3), gain = Tensor<double>::of({1.5});
  const auto dy = Tensor<double>::random(cells, D, 4), amounts = Tensor<double>::of({0.4, 0, 0.7});
  Tensor<double> f(M, D), y(cells, D), dz(M, D), dh(cells, D), dgain(1, 1, 1);
  const auto loss = [&] {
    ops::excitation(ctx, z.rows_on<P>(), amounts.view_on<P>(), gain.vector_on<P, 1>(), f.rows_on<P>());
    ops::excite(ctx, x.rows_on<P>(), h.rows_on<P>(), grids, f.rows_on<P>(), y.rows_on<P>());
    return inner(dy, y);
  };
  loss();
  ops::excite_backward(ctx, h.rows_on<P>(), grids, f.rows_on<P>(), dy.rows_on<P>(), dh.rows_on<P>(), dz.rows_on<P>());
  ops::excitation_backward(ctx, z.rows_on<P>(), amounts.view_on<P>(), gain.vector_on<P, 1>(), dz.rows_on<P>(),
                           dz.rows_on<P>(), dgain.vector_on<P, 1>());
  CHECK((dz.intact() && dh.intact() && dgain.intact()));
  dgain(0, 0) -= 1;  // added to what was there
  CHECK(gradient_check(z, dz, loss).relative < difference_bound());
  CHECK(gradient_check(gain, dgain, loss).relative < difference_bound());
  loss();
  Tensor<double> dpart(cells, D);
  // It is linear in h: dh's product with h is dy's with y less x.
  for (std::size_t i = 0; i < dpart.size(); ++i) dpart.data()[i] = y.data()[i] - x.data()[i];
  CHECK(inner(dh, h) == Approx(inner(dy, dpart)).epsilon(1e-12));
}

TEST_CASE("excitation refuses shapes that do not fit", "[excitation]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> z(2, 3), f(2, 4), x(48, 3), gain(1, 1), amounts(1, 3);
  CHECK_THROWS_WITH(
      ops::excitation(ctx, z.rows_on<P>(), std::as_const(amounts).view_on<P>(), gain.vector_on<P, 1>(), f.rows_on<P>()),
      "[excitation] z is (2, 3) and f is (2, 4): their shapes differ");
  CHECK_THROWS_WITH(
      ops::excitation(ctx, z.rows_on<P>(), std::as_const(amounts).view_on<P>(), gain.vector_on<P, 1>(), z.rows_on<P>()),
      "[excitation] there are 3 amounts, expected 2");
  CHECK_THROWS_WITH(ops::excite(ctx, x.rows_on<P>(), x.rows_on<P>(), grids, z.rows_on<P>(), x.rows_on<P>()),
                    "[excite] f is (2, 3), expected (3, 3)");
}

}  // namespace excitation_test
