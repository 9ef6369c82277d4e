#include <flamingo/kernels/cpu/linear.hpp>

#include <array>
#include <catch2/catch.hpp>

#include "support/bits.hpp"
#include "support/packing.hpp"
#include "support/platforms.hpp"

namespace linear_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 300, in = 544, out = 67;  // two blocks of k and a rest; panels and a rest

}  // namespace

TEMPLATE_LIST_TEST_CASE("a row of linear alone has the bits that it has among 300", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto x = Tensor<R>::random(N, in, 1), dy = Tensor<R>::random(N, out, 3);
  auto stored = Tensor<R>::random(out, in, 2), bias = Tensor<R>::random(1, out, 4);
  Context<P> ctx(2, 1 << 20);
  const auto check_rows = [&](const auto& w) {
    Tensor<R> y(N, out), dx(N, in);
    const auto both = [&](const Tensor<R>& rows, const Tensor<R>& drows, Tensor<R>& to_y, Tensor<R>& to_dx) {
      ops::linear(ctx, rows.template rows_on<P>(), w, bias.template vector_on<P>(), to_y.template rows_on<P>());
      ops::linear_backward(ctx, NoGrad{}, w, drows.template rows_on<P>(), to_dx.template rows_on<P>(), NoGrad{});
    };
    both(x, dy, y, dx);
    // Rows at the ends of register tiles, and some rows together.
    for (const auto& [first, count] :
         {std::array{0, 1}, {5, 1}, {6, 1}, {11, 1}, {12, 1}, {299, 1}, {291, 9}, {3, 7}}) {
      Tensor<R> y_alone(count, out), dx_alone(count, in);
      both(rows_of(x, first, count), rows_of(dy, first, count), y_alone, dx_alone);
      CHECK(y_alone == rows_of(y, first, count));
      CHECK(dx_alone == rows_of(dx, first, count));
    }
  };
  check_rows(stored.template matrix_on<P>());
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    check_rows(PackedTensor(format, out, in, 5).on<P>());
  }
}

TEMPLATE_LIST_TEST_CASE("linear has the same bits on any number of threads", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  check_repeatable<P>([](Context<P>& ctx) {
    const auto x = Tensor<R>::random(31, in, 1), dy = Tensor<R>::random(31, out, 3);
    auto w = Tensor<R>::random(out, in, 2), b = Tensor<R>::random(1, out, 4);
    std::array results{Tensor<R>(31, out), Tensor<R>(31, in), Tensor<R>(out, in), Tensor<R>(1, out)};
    auto& [y, dx, dw, db] = results;
    ops::linear(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), b.template vector_on<P>(),
                y.template rows_on<P>());
    ops::linear_backward(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), dy.template rows_on<P>(),
                         dx.template rows_on<P>(), dw.template matrix_on<P>(), db.template vector_on<P>());
    return results;
  });
}

TEMPLATE_LIST_TEST_CASE("a packed matrix gives the bits of its numbers", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto x = Tensor<R>::random(7, 96, 1);
  Context<P> ctx(1, 1 << 20);
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    if (format == Format::int8) continue;  // its scales come last
    const PackedTensor packed(format, 13, 96, 5);
    auto numbers = packed.numbers.as<R>();
    Tensor<R> y(7, 13), expected(7, 13);
    ops::linear(ctx, x.template rows_on<P>(), packed.on<P>(), y.template rows_on<P>());
    ops::linear(ctx, x.template rows_on<P>(), numbers.template matrix_on<P>(), expected.template rows_on<P>());
    CHECK(y == expected);
  }
}

TEMPLATE_LIST_TEST_CASE("an int8 row's scale multiplies its sums once", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int rows = 3, columns = 96, height = 13;
  const auto x = Tensor<R>::random(rows, columns, 1);
  Context<P> ctx(1, 1 << 20);
  const PackedTensor packed(Format::int8, height, columns, 5);
  const auto w = packed.on<P>();
  Tensor<R> whole(height, columns), y(rows, height), expected(rows, height);
  for (int o = 0; o < height; ++o)
    for (int i = 0; i < columns; ++i)
      whole(o, i) = static_cast<R>(packed.numbers(o, i) / static_cast<double>(w.scales[o]));
  ops::linear(ctx, x.template rows_on<P>(), w, y.template rows_on<P>());
  ops::linear(ctx, x.template rows_on<P>(), whole.template matrix_on<P>(), expected.template rows_on<P>());
  for (int n = 0; n < rows; ++n)
    for (int o = 0; o < height; ++o) expected(n, o) *= static_cast<R>(w.scales[o]);
  CHECK(y == expected);
}

TEMPLATE_LIST_TEST_CASE("linear of no columns is its bias", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  Tensor<R> x(2, 0), w(5, 0), y(2, 5, R(7)), expected(2, 5);
  auto b = Tensor<R>::random(1, 5, 1);
  ops::linear(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), b.template vector_on<P>(),
              y.template rows_on<P>());
  for (int n = 0; n < 2; ++n)
    for (int o = 0; o < 5; ++o) expected(n, o) = b(0, o);
  CHECK(y == expected);
}

TEMPLATE_LIST_TEST_CASE("linear of no rows writes nothing, and adds nothing", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  Tensor<R> x(0, 7), y(0, 5), w(5, 7, R(2)), dw(5, 7, R(3));
  ops::linear(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), y.template rows_on<P>());
  ops::linear_backward(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), y.template rows_on<P>(),
                       x.template rows_on<P>(), dw.template matrix_on<P>());
  CHECK((x.intact() && y.intact() && dw.intact()));
  CHECK(dw == Tensor<R>(5, 7, R(3)));
}

}  // namespace linear_test
