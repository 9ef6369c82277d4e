#include <flamingo/kernels/cpu/int8_pairs.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include <flamingo/kernels/cpu/linear.hpp>

#include "support/packing.hpp"
#include "support/platforms.hpp"
#include "support/rows_alone.hpp"

namespace int8_pairs_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

template <class T>
double largest(const Tensor<T>& x, int n) {
  double most = 0;
  for (int i = 0; i < x.columns(); ++i) most = std::max(most, std::abs(static_cast<double>(x(n, i))));
  return most;
}

/// Whether this platform multiplies whole numbers: only then may anything change.
template <class P>
constexpr bool rounds = false;
#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
template <>
constexpr bool rounds<Cpu<float, Isa::avx512_bf16, Products::own>> = true;
#endif

}  // namespace

TEMPLATE_LIST_TEST_CASE("rows are multiplied with int8 as whole numbers of 16 bits", "[int8_pairs]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int N = 300, out = 70;  // two panels and six rows
  Context<P> ctx(2, 1 << 20);
  ctx.rounds_to_int16 = true;
  auto bias = Tensor<R>::random(1, out, 4);
  for (const int in : {2, 34, 544, 1121, 1186}) {  // of a step; of a block of them and of some and a part; odd
    const auto x = Tensor<R>::random(N, in, 1);
    const PackedTensor packed(Format::int8, out, in, 5);
    const auto rows = packed.on<P>();
    const Panels<P> panels(rows);
    Tensor<double> expected(N, out), exact(N, out), off(N, out);
    for (int n = 0; n < N; ++n) {
      // In floats, as the rows are rounded: near a half, they tell which whole number it is.
      const auto most = static_cast<float>(largest(x, n));
      const float times = 32'000 / most, step = rounds<P> && in % 2 == 0 ? most / 32'000 : 0;
      for (int o = 0; o < out; ++o) {
        expected(n, o) = exact(n, o) = static_cast<double>(bias(0, o));
        for (int i = 0; i < in; ++i) {
          const double own = static_cast<double>(x(n, i)), number = packed.numbers(o, i);
          exact(n, o) += number * own;
          expected(n, o) +=
              number * (step > 0 ? static_cast<double>(step * std::nearbyint(static_cast<float>(own) * times)) : own);
          off(n, o) += 1e-6 * std::abs(number * own);
        }
      }
    }
    for (const auto& w : {rows, panels.view})
      for (const int count : {1, 2, 3, 4, 5, 7, 8, 9, 13, 31, N}) {
        INFO(count << " rows of " << in << (w.panels ? " over panels" : ""));
        Tensor<R> y(count, out);
        ops::linear(ctx, rows_of(x, 0, count).template rows_on<P>(), w, bias.template vector_on<P>(),
                    y.template rows_on<P>());
        CHECK(y.intact());
        int wrong = 0;
        for (int n = 0; n < count; ++n)
          for (int o = 0; o < out; ++o)
            wrong += std::abs(static_cast<double>(y(n, o)) - (w.panels ? expected : exact)(n, o)) > off(n, o) + 1e-5;
        CHECK(wrong == 0);
      }
  }
}

TEMPLATE_LIST_TEST_CASE("whole numbers that are largest everywhere are summed exactly", "[int8_pairs]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int in = 1024 + 512 + 2, out = 32;
  Tensor<R> x(9, in);
  for (int n = 0; n < 9; ++n)
    for (int i = 0; i < in; ++i) x(n, i) = R(-0.5);
  const std::vector<std::int8_t> numbers(std::size_t{in} * out, std::int8_t{-128});
  const std::vector<float> scales(out, 0.25f);
  const Panels<P> panels(PackedMatrix<P, dynamic, dynamic>{reinterpret_cast<const std::byte*>(numbers.data()),
                                                           scales.data(), Format::int8, Extent<dynamic>(out),
                                                           Extent<dynamic>(in)});
  Context<P> ctx(2, 1 << 20);
  ctx.rounds_to_int16 = true;
  for (const int count : {1, 9}) {
    Tensor<R> y(count, out);
    ops::linear(ctx, rows_of(x, 0, count).template rows_on<P>(), panels.view, y.template rows_on<P>());
    for (int n = 0; n < count; ++n)
      for (int o = 0; o < out; ++o) CHECK(static_cast<double>(y(n, o)) == Approx(16.0 * in).epsilon(1e-6));
  }
}

TEMPLATE_LIST_TEST_CASE("a row in whole numbers has the same bits alone and on any number of threads", "[int8_pairs]",
                        Platforms) {
  check_rows_alone<TestType>(Format::int8, &Context<TestType>::rounds_to_int16);
}

TEMPLATE_LIST_TEST_CASE("rows of zeros and rows that are not finite stay so, and to themselves", "[int8_pairs]",
                        Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int in = 40, out = 33;
  auto x = Tensor<R>::random(11, in, 1);
  for (int i = 0; i < in; ++i) x(1, i) = R(0);
  x(2, 17) = std::numeric_limits<R>::infinity();
  x(3, 39) = std::numeric_limits<R>::quiet_NaN();
  const PackedTensor packed(Format::int8, out, in, 5);
  const Panels<P> panels(packed.on<P>());
  auto bias = Tensor<R>::random(1, out, 4);
  Context<P> ctx(2, 1 << 20);
  ctx.rounds_to_int16 = true;
  for (const int count : {4, 11}) {
    Tensor<R> y(count, out);
    ops::linear(ctx, rows_of(x, 0, count).template rows_on<P>(), panels.view, bias.template vector_on<P>(),
                y.template rows_on<P>());
    int wrong = 0;
    for (int o = 0; o < out; ++o) {
      wrong += y(1, o) != bias(0, o) || std::isfinite(y(2, o)) || !std::isnan(y(3, o));
      for (int n = 0; n < count; n += n ? 1 : 4) wrong += !std::isfinite(y(n, o));
    }
    CHECK(wrong == 0);
  }
}

TEMPLATE_LIST_TEST_CASE("only rows that multiply matrices of int8 become whole numbers", "[int8_pairs]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int N = 9, in = 64, out = 40;
  const auto x = Tensor<R>::random(N, in, 1), dy = Tensor<R>::random(N, out, 2);
  Context<P> rounding(2, 1 << 20), exact(2, 1 << 20);
  rounding.rounds_to_int16 = true;
  ops::linear(rounding, Rows<P, dynamic, const R>{nullptr, 0, Extent<dynamic>(in)},
              Panels<P>(PackedTensor(Format::int8, out, in, 3).on<P>()).view,
              Rows<P, dynamic, R>{nullptr, 0, Extent<dynamic>(out)});
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor packed(format, out, in, 3);
    const Panels<P> panels(packed.on<P>());
    Tensor<R> y(N, out), expected(N, out), dx(N, in), dexpected(N, in);
    ops::linear(rounding, x.template rows_on<P>(), panels.view, y.template rows_on<P>());
    ops::linear(exact, x.template rows_on<P>(), panels.view, expected.template rows_on<P>());
    CHECK((y == expected) == (format != Format::int8 || !rounds<P>));
    ops::linear_backward(rounding, NoGrad{}, panels.view, dy.template rows_on<P>(), dx.template rows_on<P>(), NoGrad{});
    ops::linear_backward(exact, NoGrad{}, panels.view, dy.template rows_on<P>(), dexpected.template rows_on<P>(),
                         NoGrad{});
    CHECK(dx == dexpected);
  }
}

}  // namespace int8_pairs_test
