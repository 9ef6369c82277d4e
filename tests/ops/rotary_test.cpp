#include <flamingo/ops/rotary.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <complex>

#include <flamingo/kernels/cpu/rotary.hpp>

#include "support/compare.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace rotary_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 7, H = 3, K = 14;
const Tensor<int> positions = Tensor<int>::of({0, 1, 2, 5, 11, 1023, 8191});

/// Each pair as a complex number, turned.
template <class R>
Tensor<double> naive(const Tensor<R>& x, const RotaryShape& shape) {
  auto y = x.template as<double>();
  for (int n = 0; n < N; ++n)
    for (int h = 0; h < H; ++h)
      for (int i = 0; i < shape.turned / 2; ++i) {
        const bool halves = shape.pairs == RotaryPairs::halves;
        const int a = h * K + (halves ? i : 2 * i), b = h * K + (halves ? i + shape.turned / 2 : 2 * i + 1);
        const double angle = positions(0, n) * std::pow(shape.base, -2.0 * i / shape.turned);
        const auto z = std::complex<double>(y(n, a), y(n, b)) * std::polar(1.0, angle);
        y(n, a) = z.real();
        y(n, b) = z.imag();
      }
  return y;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("rotary turns pairs of features, and back", "[rotary]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const RotaryShape shape{.head_dim = K,
                          .turned = GENERATE(int{K}, 6),
                          .base = GENERATE(1e4, 1e6),
                          .pairs = GENERATE(RotaryPairs::halves, RotaryPairs::adjacent)};
  CAPTURE(shape.turned, shape.base, static_cast<int>(shape.pairs));
  const auto x = Tensor<R>::random(N, H * K, 1);
  auto y = x;
  Context<P> ctx(1, 1 << 20);
  ops::rotary(ctx, shape, positions.view_on<P>(), y.template rows_on<P>());
  // Angles are taken in double: at 8191 radians they err by 8191 ε of double.
  CHECK(distance(y, naive(x, shape)).relative < chain_bound<R>(4) + chain_bound<double>(8191));
  CHECK(y.intact());
  CHECK(rows_of(y, 0, 1) == rows_of(x, 0, 1));  // position 0
  for (int n = 0; n < N; ++n)
    for (int h = 0; h < H; ++h)
      for (int i = shape.turned; i < K; ++i) CHECK(y(n, h * K + i) == x(n, h * K + i));

  // A rotation's transpose is its inverse: the gradient of <dy, y> by x is dy turned back.
  const auto dy = Tensor<R>::random(N, H * K, 2);
  auto dx = dy;
  ops::rotary_backward(ctx, shape, positions.view_on<P>(), dx.template rows_on<P>());
  CHECK(std::abs(inner(dy, y) - inner(dx, x)) < chain_bound<R>(8) * std::sqrt(inner(dy, dy) * inner(x, x)));
  ops::rotary(ctx, shape, positions.view_on<P>(), dx.template rows_on<P>());
  CHECK(distance(dx, dy).relative < chain_bound<R>(8));
}

TEST_CASE("after rotary, products depend on the distance of positions alone", "[rotary]") {
  using P = Cpu<double>;
  const RotaryShape shape{.head_dim = K, .turned = K};
  Context<P> ctx(1, 1 << 20);
  const auto product = [&](int q_position, int k_position) {
    auto rows = Tensor<double>::random(2, K, 3);
    const auto at = Tensor<int>::of({q_position, k_position});
    ops::rotary(ctx, shape, at.view_on<P>(), rows.rows_on<P>());
    return inner(rows_of(rows, 0, 1), rows_of(rows, 1, 1));
  };
  CHECK(product(5, 3) == Approx(product(105, 103)).epsilon(1000 * chain_bound<double>(K)));
  CHECK(product(5, 3) != Approx(product(5, 4)).epsilon(1000 * chain_bound<double>(K)));
}

TEST_CASE("rotary says what is wrong", "[rotary]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> x(5, 28);
  const auto at = Tensor<int>::of({1, 2, 3, 4, 5}), few = Tensor<int>::of({1, 2, 3});
  CHECK_THROWS_WITH(ops::rotary(ctx, {.head_dim = 14, .turned = 14}, few.view_on<P>(), x.rows_on<P>()),
                    "[rotary] x is (5, 28) with heads of 14 and 3 positions");
  CHECK_THROWS_WITH(ops::rotary_backward(ctx, {.head_dim = 13, .turned = 12}, at.view_on<P>(), x.rows_on<P>()),
                    "[rotary_backward] x is (5, 28) with heads of 13 and 5 positions");
  CHECK_THROWS_WITH(ops::rotary(ctx, {.head_dim = 14, .turned = 7}, at.view_on<P>(), x.rows_on<P>()),
                    "[rotary] 7 of 14 features turn: the first must be even and at most the second");
  CHECK_THROWS_WITH(ops::rotary_backward(ctx, {.head_dim = 14, .turned = 16}, at.view_on<P>(), x.rows_on<P>()),
                    "[rotary_backward] 16 of 14 features turn: the first must be even and at most the second");
}

}  // namespace rotary_test
