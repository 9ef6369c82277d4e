#include <flamingo/ops/standardise.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/standardise.hpp>

#include "support/bits.hpp"
#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"

#include "support/tolerance.hpp"

namespace standardise_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int O = 13, N = 45;
const auto rules = {Standardisation{}, Standardisation{WeightVariance::added, 1e-3f, 1.5f},
                    Standardisation{WeightVariance::floor, 1e2f, 0.5f}};  // so large an ε holds every filter

template <class R>
Tensor<R> weights() {
  auto w = Tensor<R>::random(O, N, 1);
  for (int i = 0; i < N; ++i) w(4, i) *= R(1e-4);  // held by ε
  for (int i = 0; i < N; ++i) w(7, i) = R(0.25);   // of no variance
  return w;
}

/// y by the definition; mean and variance in double.
template <class R>
double naive(const Standardisation& rule, const Tensor<R>& w, int o, int i, double gain) {
  double mean = 0, variance = 0;
  for (int j = 0; j < N; ++j) mean += static_cast<double>(w(o, j)) / N;
  for (int j = 0; j < N; ++j) variance += std::pow(static_cast<double>(w(o, j)) - mean, 2) / N;
  const double epsilon = static_cast<double>(rule.epsilon), square = rule.variance == WeightVariance::floor
                                                                         ? std::max(N * variance, epsilon)
                                                                         : N * (variance + epsilon);
  return static_cast<double>(rule.gamma) * gain * (static_cast<double>(w(o, i)) - mean) / std::sqrt(square);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("standardised weights equal their definition", "[standardise]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  for (const Standardisation& rule : rules) {
    auto w = weights<R>(), gain = Tensor<R>::random(1, O, 2);
    Tensor<R> y(O, N, R(7));
    ops::standardise(ctx, rule, w.template matrix_on<P>(), gain.template vector_on<P>(), y.template matrix_on<P>());
    REQUIRE(y.intact());
    for (int o = 0; o < O; ++o)
      for (int i = 0; i < N; ++i) {
        // Means err by the rounding of N numbers of at most 1, which 1 / √s magnifies: s is at least 1e-4 here.
        const double bound = sum_bound<R>(N, 1) * 100 + chain_bound<R>(16);
        CHECK(std::abs(static_cast<double>(y(o, i)) - naive(rule, w, o, i, static_cast<double>(gain(0, o)))) <= bound);
      }
    ops::standardise(ctx, rule, w.template matrix_on<P>(), gain.template vector_on<P>(), w.template matrix_on<P>());
    CHECK(w == y);  // in place
  }
}

TEST_CASE("gradients of standardised weights equal central differences", "[standardise]") {
  using P = Cpu<double>;
  Context<P> ctx(2, 1 << 20);
  for (const Standardisation& rule : rules) {
    auto w = weights<double>(), gain = Tensor<double>::random(1, O, 2), dy = Tensor<double>::random(O, N, 3);
    // Differences of a filter of no variance see ε's whole curve: its gradient is checked by itself.
    for (int i = 0; i < N; ++i) w(7, i) += i % 2 ? 0.5 : -0.5;
    for (int i = 0; i < N; ++i) w(4, i) *= 1e3;
    Tensor<double> y(O, N), dw(O, N, 1), dgain(1, O, 1);
    const auto loss = [&] {
      ops::standardise(ctx, rule, w.matrix_on<P>(), gain.vector_on<P>(), y.matrix_on<P>());
      return inner(dy, y);
    };
    ops::standardise_backward(ctx, rule, w.matrix_on<P>(), gain.vector_on<P>(), dy.matrix_on<P>(), dw.matrix_on<P>(),
                              dgain.vector_on<P>());
    REQUIRE((dw.intact() && dgain.intact()));
    for (double& g : dw) g -= 1;  // added to what was there
    for (double& g : dgain) g -= 1;
    CHECK(gradient_check(w, dw, loss).relative < difference_bound());
    CHECK(gradient_check(gain, dgain, loss).relative < difference_bound());
  }
}

TEST_CASE("a filter that ε holds is centred and scaled by a constant", "[standardise]") {
  using P = Cpu<double>;
  Context<P> ctx(1, 1 << 20);
  Tensor<double> w(1, 2), gain(1, 1, 3), dw(1, 2), dgain(1, 1);
  auto dy = Tensor<double>::of({5, 1});
  ops::standardise_backward(ctx, {WeightVariance::floor, 0.25f, 1}, w.matrix_on<P>(), gain.vector_on<P>(),
                            dy.matrix_on<P>(), dw.matrix_on<P>(), dgain.vector_on<P>());
  CHECK((dw(0, 0) == 12 && dw(0, 1) == -12));  // 3 (5 - 3) / √0.25
  CHECK(dgain(0, 0) == 0);
}

TEST_CASE("packed weights are standardised as their numbers are, on any number of threads", "[standardise]") {
  using P = Cpu<float>;
  const auto halves = weights<float>().as<bfloat16>();
  auto w = weights<float>(), gain = Tensor<float>::random(1, O, 2);
  for (std::size_t i = 0; i < w.size(); ++i) w.data()[i] = static_cast<float>(halves.data()[i]);
  const PackedMatrix<P, dynamic, dynamic> packed{reinterpret_cast<const std::byte*>(halves.data()), nullptr,
                                                 Format::bf16, Extent<dynamic>(O), Extent<dynamic>(N)};
  check_repeatable<P>([&](Context<P>& ctx) {
    Tensor<float> y(O, N), y_packed(O, N);
    ops::standardise(ctx, {}, w.matrix_on<P>(), gain.vector_on<P>(), y.matrix_on<P>());
    ops::standardise(ctx, {}, packed, gain.vector_on<P>(), y_packed.matrix_on<P>());
    CHECK(y == y_packed);
    return y;
  });
}

TEST_CASE("standardisation refuses shapes that do not fit", "[standardise]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> w(3, 4), gain(1, 2), y(3, 5), good(3, 4);
  CHECK_THROWS_WITH(ops::standardise(ctx, {}, w.matrix_on<P>(), gain.vector_on<P>(), y.matrix_on<P>()),
                    "[standardise] w is (3, 4) and y is (3, 5): their shapes differ");
  CHECK_THROWS_WITH(ops::standardise(ctx, {}, w.matrix_on<P>(), gain.vector_on<P>(), good.matrix_on<P>()),
                    "[standardise] gain has 2 numbers, expected 3");
}

}  // namespace standardise_test
