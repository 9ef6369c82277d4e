#include <flamingo/kernels/cpu/bf16_pairs.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include <flamingo/kernels/cpu/linear.hpp>

#include "support/bits.hpp"
#include "support/packing.hpp"
#include "support/platforms.hpp"
#include "support/rows_alone.hpp"

namespace bf16_pairs_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

double rounded(double x) { return static_cast<double>(static_cast<float>(bfloat16(static_cast<float>(x)))); }

}  // namespace

TEMPLATE_LIST_TEST_CASE("rows and matrices of bfloat16 are multiplied as rounded numbers", "[bf16_pairs]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int N = 300, out = 70;  // two panels and six rows
  Context<P> ctx(2, 1 << 20);
  ctx.rounds_to_bf16 = true;
  auto bias = Tensor<R>::random(1, out, 4);
  for (const int in : {2, 544, 1121}) {  // of a step; of two blocks of steps and a part of one; odd
    const auto x = Tensor<R>::random(N, in, 1);
    const PackedTensor packed(Format::bf16, out, in, 5);
    const auto rows = packed.on<P>();
    const Panels<P> panels(rows);
    Tensor<double> expected(N, out), magnitude(N, out);
    for (int n = 0; n < N; ++n)
      for (int o = 0; o < out; ++o) {
        expected(n, o) = static_cast<double>(bias(0, o));
        for (int i = 0; i < in; ++i) {
          const double product = rounded(static_cast<double>(x(n, i))) * packed.numbers(o, i);
          expected(n, o) += product;
          magnitude(n, o) += std::abs(product);
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
            wrong += std::abs(static_cast<double>(y(n, o)) - expected(n, o)) > 1e-6 * (magnitude(n, o) + 1);
        CHECK(wrong == 0);
      }
  }
}

TEMPLATE_LIST_TEST_CASE("a row rounded to bfloat16 has the same bits alone and on any number of threads",
                        "[bf16_pairs]", Platforms) {
  check_rows_alone<TestType>(Format::bf16, &Context<TestType>::rounds_to_bf16);
}

TEMPLATE_LIST_TEST_CASE("no rows are rounded to bfloat16", "[bf16_pairs]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  ctx.rounds_to_bf16 = true;
  const PackedTensor packed(Format::bf16, 40, 64, 3);
  ops::linear(ctx, Rows<P, dynamic, const R>{nullptr, 0, Extent<dynamic>(64)}, packed.on<P>(),
              Rows<P, dynamic, R>{nullptr, 0, Extent<dynamic>(40)});
  kernels::over_rows(ctx.threads(), 0, 64, [](int, int) { FAIL("called for no rows"); });
}

TEST_CASE("as many rows as an int counts are divided among threads, each once", "[bf16_pairs]") {
  Threads threads(2);
  constexpr int rows = std::numeric_limits<int>::max();
  std::vector<std::pair<int, int>> parts;
  std::mutex mutex;
  kernels::over_rows(threads, rows, 3, [&](int first, int last) {
    const std::lock_guard lock(mutex);
    parts.emplace_back(first, last);
  });
  REQUIRE(parts.size() == 64);
  std::sort(parts.begin(), parts.end());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CHECK(parts[i].first == (i == 0 ? 0 : parts[i - 1].second));
    CHECK(parts[i].second > parts[i].first);
  }
  CHECK(parts.back().second == rows);
}

TEMPLATE_LIST_TEST_CASE("only matrices of bfloat16 round their rows", "[bf16_pairs]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int N = 9, in = 64, out = 40;
  const auto x = Tensor<R>::random(N, in, 1), dy = Tensor<R>::random(N, out, 2);
  Context<P> rounding(2, 1 << 20), exact(2, 1 << 20);
  rounding.rounds_to_bf16 = true;
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor packed(format, out, in, 3);
    const Panels<P> panels(packed.on<P>());
    Tensor<R> y(N, out), expected(N, out), dx(N, in), dexpected(N, in);
    ops::linear(rounding, x.template rows_on<P>(), panels.view, y.template rows_on<P>());
    ops::linear(exact, x.template rows_on<P>(), panels.view, expected.template rows_on<P>());
    CHECK((y == expected) == (format != Format::bf16));
    for (const auto& w : {packed.on<P>(), panels.view}) {
      const auto back = [&](Context<P>& ctx, Tensor<R>& to) {
        ops::linear_backward(ctx, NoGrad{}, w, dy.template rows_on<P>(), to.template rows_on<P>(), NoGrad{});
      };
      back(rounding, dx);
      back(exact, dexpected);
      CHECK((dx == dexpected) == (format != Format::bf16));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("gradients that go back through matrices of bfloat16 are rounded to it", "[bf16_pairs]",
                        Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 22), alone(1, 1 << 22);
  ctx.rounds_to_bf16 = alone.rounds_to_bf16 = true;
  for (const int in : {1, 40, 301})             // columns of dx: less than a panel, a panel and a part, many
    for (const int out : {2, 37, 544, 1120}) {  // odd numbers of rows have no pairs
      const PackedTensor packed(Format::bf16, out, in, 5);
      const auto rows = packed.on<P>();
      const Panels<P> panels(rows);
      for (const int count : {1, 5, 13, 250}) {
        const auto dy = Tensor<R>::random(count, out, 1);
        for (const auto& w : {rows, panels.view}) {
          INFO(count << " rows of " << out << " to " << in << (w.panels ? " over panels" : ""));
          Tensor<R> dx(count, in), on_one(count, in);
          ops::linear_backward(ctx, NoGrad{}, w, dy.template rows_on<P>(), dx.template rows_on<P>(), NoGrad{});
          ops::linear_backward(alone, NoGrad{}, w, dy.template rows_on<P>(), on_one.template rows_on<P>(), NoGrad{});
          CHECK(dx.intact());
          CHECK(dx == on_one);
          int wrong = 0;
          for (int n = 0; n < count; ++n)
            for (int i = 0; i < in; ++i) {
              double expected = 0, magnitude = 1;
              for (int o = 0; o < out; ++o) {
                const double product = rounded(static_cast<double>(dy(n, o))) * packed.numbers(o, i);
                expected += product;
                magnitude += std::abs(product);
              }
              wrong += std::abs(static_cast<double>(dx(n, i)) - expected) > 1e-6 * magnitude;
            }
          CHECK(wrong == 0);
        }
      }
    }
}

}  // namespace bf16_pairs_test
