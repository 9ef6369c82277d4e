#include <flamingo/ops/adamw.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include <flamingo/kernels/cpu/adamw.hpp>

#include "support/compare.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace adamw_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int size = 1031;

/// Loshchilov & Hutter 2019, algorithm 2, in double.
void naive(const AdamWStep& s, Tensor<double>& w, const Tensor<double>& g, Tensor<double>& m, Tensor<double>& v) {
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double gradient = g.data()[i] * s.scale;
    double &first = m.data()[i], &second = v.data()[i];
    first = s.beta1 * first + (1 - s.beta1) * gradient;
    second = s.beta2 * second + (1 - s.beta2) * gradient * gradient;
    const double first_hat = first / (1 - std::pow(s.beta1, s.step)),
                 second_hat = second / (1 - std::pow(s.beta2, s.step));
    w.data()[i] -= s.rate * (s.decay * w.data()[i] + first_hat / (std::sqrt(second_hat) + s.epsilon));
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("adamw follows its formula for many steps", "[adamw]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  auto w = Tensor<R>::random(1, size, 1);
  Tensor<R> m(1, size), v(1, size);
  auto exact_w = w.template as<double>();
  Tensor<double> exact_m(1, size), exact_v(1, size);
  const auto start = exact_w;
  const int steps = 23;
  for (int step = 1; step <= steps; ++step) {
    const auto g = Tensor<R>::random(1, size, static_cast<std::uint64_t>(100 + step));
    const AdamWStep numbers{
        .rate = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.1, .scale = 0.5, .step = step};
    ops::adamw(ctx, numbers, w.template view_on<P>(), g.template view_on<P>(), m.template view_on<P>(),
               v.template view_on<P>());
    naive(numbers, exact_w, g.template as<double>(), exact_m, exact_v);
  }
  CHECK(distance(m, exact_m).relative < chain_bound<R>(4 * steps));
  CHECK(distance(v, exact_v).relative < chain_bound<R>(4 * steps));
  CHECK(distance(w, exact_w).relative < chain_bound<R>(4 * steps));
  CHECK(distance(w, start).relative > 0.05);
  CHECK((w.intact() && m.intact() && v.intact()));
}

TEMPLATE_LIST_TEST_CASE("adamw's first step is the rate times the gradient's sign", "[adamw]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  Tensor<R> w = Tensor<R>::of({1, 1, 1, 1, 1}), m(1, 5), v(1, 5);
  const auto g = Tensor<R>::of({R(1e-3), R(-1e-3), 0, 1000, R(-0.5)});
  ops::adamw(ctx, {.rate = 0.125, .step = 1}, w.template view_on<P>(), g.template view_on<P>(), m.template view_on<P>(),
             v.template view_on<P>());
  const double expected[] = {0.875, 1.125, 1, 0.875, 1.125};
  // ε = 1e-8 beside a gradient of 1e-3 takes 1e-5 of the step.
  for (int i = 0; i < 5; ++i) CHECK(std::abs(static_cast<double>(w(0, i)) - expected[i]) < 2e-5 * 0.125);
}

namespace {

/// A step over many equal numbers with moments of few bits, which begin exactly as full ones do.
template <class P, class First, class Second, class Read>
void check_few_bits(const First& m, const Second& v, std::size_t first, double quantum, const Read& read) {
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  constexpr int many = 4096;
  auto w = Tensor<R>::random(1, many, 1), full_w = w;
  Tensor<R> g(1, many), full_m(1, many), full_v(1, many);
  for (int i = 0; i < many; ++i) g(0, i) = static_cast<R>(i % 2 ? 0.3 : -0.7);
  for (int step = 1; step <= 2; ++step) {
    const AdamWStep numbers{.rate = 1e-2, .decay = 0.1, .step = step, .first = first};
    ops::adamw(ctx, numbers, w.template view_on<P>(), g.template view_on<P>(), m, v);
    ops::adamw(ctx, numbers, full_w.template view_on<P>(), g.template view_on<P>(), full_m.template view_on<P>(),
               full_v.template view_on<P>());
    if (step == 1) CHECK(distance(w, full_w).relative == 0);  // by the moments before they are rounded
  }
  double mean_m = 0, mean_v = 0, distinct = 0;
  for (int i = 0; i < many; ++i) {
    const auto [held_m, held_v] = read(static_cast<std::size_t>(i));
    const auto exact_m = static_cast<double>(full_m(0, i)), exact_v = static_cast<double>(full_v(0, i));
    // Rounded twice, the first time to 0.9 and 0.999 of itself.
    if (std::abs(held_m - exact_m) > 1.9 * quantum * std::abs(exact_m)) FAIL(held_m << " for " << exact_m);
    if (std::abs(held_v - exact_v) > 2 * quantum * exact_v) FAIL(held_v << " for " << exact_v);
    mean_m += (held_m / exact_m - 1) / many;
    mean_v += (held_v / exact_v - 1) / many;
    distinct += held_m != read(1)[0] && i % 2;
  }
  // Five deviations of a mean of so many numbers that lie within two quanta.
  CHECK(std::abs(mean_m) < 5 * quantum / std::sqrt(double{many}));
  CHECK(std::abs(mean_v) < 5 * quantum / std::sqrt(double{many}));
  CHECK(distinct > many / 20);  // equal numbers are rounded differently
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("moments of few bits are rounded at random, without bias", "[adamw]", Platforms) {
  using P = TestType;
  for (const std::size_t first : {std::size_t{0}, (std::size_t{1} << 33) + 48}) {
    std::vector<bfloat16> halves(8192);
    check_few_bits<P>(View<P, 1, bfloat16>{halves.data(), {4096}}, View<P, 1, bfloat16>{halves.data() + 4096, {4096}},
                      first, 0x1p-7, [&](std::size_t i) {
                        return std::array{static_cast<double>(static_cast<float>(halves[i])),
                                          static_cast<double>(static_cast<float>(halves[4096 + i]))};
                      });
    std::vector<std::uint8_t> m(4096), v(4096), exponents(512);
    check_few_bits<P>(BlockMoments<P, true>{m.data(), exponents.data(), {4096}},
                      BlockMoments<P, false>{v.data(), exponents.data() + 256, {4096}}, first, 0x1p-3,
                      [&](std::size_t i) {
                        return std::array{static_cast<double>(BlockOf16<true>::decode(m[i], exponents[i / 16])),
                                          static_cast<double>(BlockOf16<false>::decode(v[i], exponents[256 + i / 16]))};
                      });
  }
}

TEMPLATE_LIST_TEST_CASE("sum_of_squares adds in double", "[adamw]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  auto x = Tensor<R>::random(1, 4099, 1);
  Tensor<double> sum = Tensor<double>::of({0.5});
  ops::sum_of_squares(ctx, x.template view_on<P>(), sum.view_on<P>());
  const double exact = 0.5 + inner(x, x);
  CHECK(std::abs(sum(0, 0) - exact) < sum_bound<R>(1024, exact));  // in R within 1024 numbers alone
}

TEST_CASE("adamw says what is wrong", "[adamw]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> w(1, 5), g(1, 3);
  Tensor<double> sum(1, 2);
  CHECK_THROWS_WITH(ops::adamw(ctx, {}, w.view_on<P>(), g.view_on<P>(), w.view_on<P>(), w.view_on<P>()),
                    "[adamw] w has (5) numbers, g (3), m (5), v (5)");
  std::uint8_t codes[5] = {}, exponent = 0;
  const BlockMoments<P, true> m{codes, &exponent, {5}};
  CHECK_THROWS_WITH(
      ops::adamw(ctx, {}, w.view_on<P>(), w.view_on<P>(), m, BlockMoments<P, false>{codes, &exponent, {5}}),
      "[adamw] 5 numbers are no whole blocks of 16");
  CHECK_THROWS_WITH(ops::sum_of_squares(ctx, w.view_on<P>(), sum.view_on<P>()),
                    "[sum_of_squares] sum has 2 numbers, expected 1");
}

}  // namespace adamw_test
