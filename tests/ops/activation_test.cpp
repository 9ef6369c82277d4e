#include <flamingo/ops/activation.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>
#include <type_traits>

#include <flamingo/kernels/cpu/activation.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace activation_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 7, D = 83;

double naive(Activation a, double z) {
  switch (a) {
    case Activation::identity:
      return z;
    case Activation::gelu:
      return z / 2 * (1 + std::erf(z / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return z / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (z + 0.044715 * z * z * z)));
    case Activation::quick_gelu:
      return z / (1 + std::exp(-1.702 * z));
    case Activation::silu:
      return z / (1 + std::exp(-z));
    case Activation::relu:
      return std::max(z, 0.0);
    case Activation::relu6:
      return std::min(std::max(z, 0.0), 6.0);
    case Activation::squared_relu:
      return z > 0 ? z * z : 0;
  }
  return 0;
}
double naive_slope(Activation a, double z) {
  const double step = difference_step(z);
  return (naive(a, z + step) - naive(a, z - step)) / (2 * step);
}

/// Calls f with each of some activations as a constant.
template <Activation... A, class F>
void each_of(const F& f) {
  const auto one = [&]<Activation B>(std::integral_constant<Activation, B> b) {
    INFO("activation " << static_cast<int>(B));
    f(b);
  };
  (one(std::integral_constant<Activation, A>{}), ...);
}
template <class F>
void each_activation(const F& f) {
  using enum Activation;
  each_of<identity, gelu, gelu_tanh, quick_gelu, silu, relu, relu6, squared_relu>(f);
}

// Values stay below 8² and the libraries' erf, tanh and exp err by a few ε; 1 + erf(z) cancels for negative z, so
// errors are counted against the scale of z and not against the value.
template <class R>
double bound(double z) {
  return 16 * epsilon<R>() * (1 + std::abs(z) + z * z);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("activations agree with their formulas", "[activation]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  const auto x = Tensor<R>::random(N, D, 1, -8, 8), dy = Tensor<R>::random(N, D, 2);
  each_activation([&]<Activation A>(std::integral_constant<Activation, A>) {
    Tensor<R> y(N, D, R(7)), dx(N, D, R(7));
    ops::activate<A>(ctx, x.template rows_on<P>(), y.template rows_on<P>());
    ops::activate_backward<A>(ctx, x.template rows_on<P>(), dy.template rows_on<P>(), dx.template rows_on<P>());
    for (int n = 0; n < N; ++n)
      for (int i = 0; i < D; ++i) {
        const double z = static_cast<double>(x(n, i)), g = static_cast<double>(dy(n, i));
        REQUIRE(std::abs(static_cast<double>(y(n, i)) - naive(A, z)) < bound<R>(z));
        REQUIRE(std::abs(static_cast<double>(dx(n, i)) - g * naive_slope(A, z)) <
                bound<R>(z) + difference_bound() * (1 + std::abs(z)));
      }
    CHECK((y.intact() && dx.intact()));

    Tensor<R> in_place = x, dx_in_place = dy;
    ops::activate<A>(ctx, in_place.template rows_on<P>(), in_place.template rows_on<P>());
    ops::activate_backward<A>(ctx, x.template rows_on<P>(), dx_in_place.template rows_on<P>(),
                              dx_in_place.template rows_on<P>());
    CHECK(in_place == y);
    CHECK(dx_in_place == dx);
  });
}

TEMPLATE_LIST_TEST_CASE("a scaled activation is a multiple of the activation", "[activation]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  const auto x = Tensor<R>::random(N, D, 1, -8, 8), dy = Tensor<R>::random(N, D, 2);
  each_of<Activation::gelu, Activation::gelu_tanh, Activation::silu>([&]<Activation A>(
                                                                         std::integral_constant<Activation, A>) {
    Tensor<R> y(N, D), dx(N, D), scaled(N, D, R(7)), dx_scaled = dy;
    ops::activate<A>(ctx, x.template rows_on<P>(), y.template rows_on<P>());
    ops::activate_backward<A>(ctx, x.template rows_on<P>(), dy.template rows_on<P>(), dx.template rows_on<P>());
    ops::scaled_activate<A>(ctx, 1.75, x.template rows_on<P>(), scaled.template rows_on<P>());
    ops::scaled_activate_backward<A>(ctx, 1.75, x.template rows_on<P>(), dx_scaled.template rows_on<P>(),
                                     dx_scaled.template rows_on<P>());
    for (std::size_t i = 0; i < y.size(); ++i) {
      REQUIRE(scaled.data()[i] == Approx(R(1.75) * y.data()[i]).epsilon(chain_bound<R>(2)).margin(chain_bound<R>(16)));
      REQUIRE(dx_scaled.data()[i] ==
              Approx(R(1.75) * dx.data()[i]).epsilon(chain_bound<R>(2)).margin(chain_bound<R>(16)));
    }
    CHECK((scaled.intact() && dx_scaled.intact()));
  });
}

TEMPLATE_LIST_TEST_CASE("a gated activation is its product, forward and backward", "[activation]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  const auto gate = Tensor<R>::random(N, D, 1, -8, 8), up = Tensor<R>::random(N, D, 2), dy = Tensor<R>::random(N, D, 3);
  each_of<Activation::silu, Activation::gelu, Activation::relu>([&]<Activation A>(
                                                                    std::integral_constant<Activation, A>) {
    Tensor<R> y(N, D, R(7)), dgate(N, D, R(7)), dup(N, D, R(7));
    ops::gate_activate<A>(ctx, gate.template rows_on<P>(), up.template rows_on<P>(), y.template rows_on<P>());
    ops::gate_activate_backward<A>(ctx, gate.template rows_on<P>(), up.template rows_on<P>(), dy.template rows_on<P>(),
                                   dgate.template rows_on<P>(), dup.template rows_on<P>());
    for (int n = 0; n < N; ++n)
      for (int i = 0; i < D; ++i) {
        const double z = static_cast<double>(gate(n, i)), u = static_cast<double>(up(n, i)),
                     g = static_cast<double>(dy(n, i));
        REQUIRE(std::abs(static_cast<double>(y(n, i)) - naive(A, z) * u) < bound<R>(z));
        REQUIRE(std::abs(static_cast<double>(dup(n, i)) - naive(A, z) * g) < bound<R>(z));
        REQUIRE(std::abs(static_cast<double>(dgate(n, i)) - naive_slope(A, z) * u * g) <
                bound<R>(z) + difference_bound() * (1 + std::abs(z)));
      }
    CHECK((y.intact() && dgate.intact() && dup.intact()));
  });
}

TEMPLATE_LIST_TEST_CASE("activations stay finite far out", "[activation]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  const auto x = Tensor<R>::of({R(-1e4), R(-1e3), R(-100), R(-0.0), R(0), R(100), R(1e3), R(1e4)});
  const Tensor<R> dy(1, 8, R(1));
  each_activation([&]<Activation A>(std::integral_constant<Activation, A>) {
    Tensor<R> y(1, 8), dx(1, 8);
    ops::activate<A>(ctx, x.template rows_on<P>(), y.template rows_on<P>());
    ops::activate_backward<A>(ctx, x.template rows_on<P>(), dy.template rows_on<P>(), dx.template rows_on<P>());
    for (int i = 0; i < 8; ++i) {
      const double z = static_cast<double>(x(0, i));
      CHECK(std::abs(static_cast<double>(y(0, i)) - naive(A, z)) < bound<R>(z));
      CHECK(std::isfinite(dx(0, i)));
    }
  });
}

TEST_CASE("activations say what is wrong", "[activation]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> a(5, 7), b(7, 5);
  const auto x = a.rows_on<P>(), y = b.rows_on<P>();
  CHECK_THROWS_WITH(ops::activate<Activation::silu>(ctx, x, y),
                    "[activate] x is (5, 7) and y is (7, 5): their shapes differ");
  CHECK_THROWS_WITH(ops::activate_backward<Activation::silu>(ctx, x, y, x),
                    "[activate_backward] x is (5, 7) and dy is (7, 5): their shapes differ");
  CHECK_THROWS_WITH(ops::activate_backward<Activation::silu>(ctx, x, x, y),
                    "[activate_backward] x is (5, 7) and dx is (7, 5): their shapes differ");
  CHECK_THROWS_WITH(ops::gate_activate<Activation::silu>(ctx, x, x, y),
                    "[gate_activate] gate is (5, 7), up is (5, 7) and y is (7, 5): their shapes differ");
  CHECK_THROWS_WITH(ops::gate_activate_backward<Activation::silu>(ctx, x, y, x, x, x),
                    "[gate_activate_backward] gate is (5, 7), up is (7, 5) and dy is (5, 7): their shapes differ");
  CHECK_THROWS_WITH(ops::gate_activate_backward<Activation::silu>(ctx, x, x, x, x, y),
                    "[gate_activate_backward] gate is (5, 7), dgate is (5, 7) and dup is (7, 5): their shapes differ");
}

}  // namespace activation_test
