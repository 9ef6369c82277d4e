#include <flamingo/ops/linear.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/linear.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/packing.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace linear_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// c (M, N) = Σ_k a(m, k) b(n, k), and in `magnitudes` Σ_k |a b|.
template <class A, class B>
Tensor<double> product(const Tensor<A>& a, const Tensor<B>& b, Tensor<double>* magnitudes = nullptr) {
  Tensor<double> c(a.rows(), b.rows());
  if (magnitudes) *magnitudes = c;
  for (int m = 0; m < a.rows(); ++m)
    for (int n = 0; n < b.rows(); ++n)
      for (int k = 0; k < a.columns(); ++k) {
        const double term = static_cast<double>(a(m, k)) * static_cast<double>(b(n, k));
        c(m, n) += term;
        if (magnitudes) (*magnitudes)(m, n) += std::abs(term);
      }
  return c;
}
template <class T>
Tensor<T> transposed(const Tensor<T>& a) {
  Tensor<T> t(a.columns(), a.rows());
  for (int m = 0; m < a.rows(); ++m)
    for (int n = 0; n < a.columns(); ++n) t(n, m) = a(m, n);
  return t;
}
/// Small whole numbers, whose products and sums every type holds exactly.
template <class R>
Tensor<R> whole(int rows, int columns, std::uint64_t stream) {
  Tensor<R> t(rows, columns);
  Random draw(5, stream);
  for (R& x : t) x = R(draw.below(7) - 3);
  return t;
}
template <class R>
void check_within(const Tensor<R>& got, const Tensor<double>& expected, const Tensor<double>& magnitudes, int length) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double bound = sum_bound<R>(static_cast<std::size_t>(length), magnitudes.data()[i]);
    if (!(std::abs(static_cast<double>(got.data()[i]) - expected.data()[i]) <= bound)) {
      INFO("number " << i << ", bound " << bound);
      CHECK(static_cast<double>(got.data()[i]) == expected.data()[i]);
      return;
    }
  }
  SUCCEED();
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("linear is exact on whole numbers, forward and backward", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  // Rows around the register tile, widths around a vector, a panel, and a block of k.
  struct Size {
    int N, in, out;
  };
  const Size size = GENERATE(Size{2, 3, 5}, Size{13, 29, 31}, Size{7, 255, 17}, Size{11, 257, 61}, Size{5, 523, 67},
                             Size{523, 19, 2}, Size{12, 256, 64});
  CAPTURE(size.N, size.in, size.out);
  const auto x = whole<R>(size.N, size.in, 1), w = whole<R>(size.out, size.in, 2), b = whole<R>(1, size.out, 3),
             dy = whole<R>(size.N, size.out, 4);
  auto weights = w, bias = b;
  const auto W = weights.template matrix_on<P>();
  Context<P> ctx(2, 1 << 20);

  Tensor<R> y(size.N, size.out, R(7));
  ops::linear(ctx, x.template rows_on<P>(), W, y.template rows_on<P>());
  CHECK(y.intact());
  CHECK(y == product(x, w).template as<R>());

  ops::linear(ctx, x.template rows_on<P>(), W, bias.template vector_on<P>(), y.template rows_on<P>());
  auto expected = product(x, w);
  for (int n = 0; n < size.N; ++n)
    for (int o = 0; o < size.out; ++o) expected(n, o) += static_cast<double>(b(0, o));
  CHECK(y == expected.template as<R>());

  Tensor<R> dx(size.N, size.in, R(7)), dw(size.out, size.in, R(3)), db(1, size.out, R(3));  // dw and db: added to
  ops::linear_backward(ctx, x.template rows_on<P>(), W, dy.template rows_on<P>(), dx.template rows_on<P>(),
                       dw.template matrix_on<P>(), db.template vector_on<P>());
  CHECK((dx.intact() && dw.intact() && db.intact()));
  CHECK(dx == product(dy, transposed(w)).template as<R>());
  auto dw_expected = product(transposed(dy), transposed(x));
  auto db_expected = product(transposed(dy), Tensor<R>(1, size.N, R(1)));
  for (double& g : dw_expected) g += 3;
  for (double& g : db_expected) g += 3;
  CHECK(dw == dw_expected.template as<R>());
  CHECK(
      std::equal(db.begin(), db.end(), db_expected.begin(), [](R p, double q) { return static_cast<double>(p) == q; }));
}

TEMPLATE_LIST_TEST_CASE("linear errs by no more than its sums may", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const int N = 13, in = 521, out = 37;
  const auto x = Tensor<R>::random(N, in, 1), dy = Tensor<R>::random(N, out, 3);
  auto w = Tensor<R>::random(out, in, 2);
  Tensor<R> y(N, out), dx(N, in), dw(out, in);
  Context<P> ctx(2, 1 << 20);
  Tensor<double> magnitudes(1, 1);
  ops::linear(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), y.template rows_on<P>());
  auto exact = product(x, w, &magnitudes);
  check_within(y, exact, magnitudes, in);
  ops::linear_backward(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), dy.template rows_on<P>(),
                       dx.template rows_on<P>(), dw.template matrix_on<P>());
  exact = product(dy, transposed(w), &magnitudes);
  check_within(dx, exact, magnitudes, out);
  exact = product(transposed(dy), transposed(x), &magnitudes);
  check_within(dw, exact, magnitudes, N);
}

TEMPLATE_LIST_TEST_CASE("linear reads every packed format, forward and backward", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const int N = 3, in = 96, out = 37;
  const auto x = Tensor<R>::random(N, in, 1), dy = Tensor<R>::random(N, out, 3);
  Context<P> ctx(2, 1 << 20);
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor w(format, out, in, 11);
    Tensor<R> y(N, out), dx(N, in);
    Tensor<double> magnitudes(1, 1);
    ops::linear(ctx, x.template rows_on<P>(), w.on<P>(), y.template rows_on<P>());
    auto exact = product(x, w.numbers, &magnitudes);
    check_within(y, exact, magnitudes, in);
    ops::linear_backward(ctx, NoGrad{}, w.on<P>(), dy.template rows_on<P>(), dx.template rows_on<P>(), NoGrad{});
    exact = product(dy, transposed(w.numbers), &magnitudes);
    check_within(dx, exact, magnitudes, out);
  }
}

TEST_CASE("linear's gradients are those of finite differences", "[linear]") {
  using P = Cpu<double>;
  const int N = 5, in = 7, out = 11;
  auto x = Tensor<double>::random(N, in, 1), w = Tensor<double>::random(out, in, 2),
       b = Tensor<double>::random(1, out, 3), dy = Tensor<double>::random(N, out, 4);
  Tensor<double> y(N, out), dx(N, in), dw(out, in), db(1, out);
  Context<P> ctx(1, 1 << 20);
  ops::linear_backward(ctx, x.rows_on<P>(), w.matrix_on<P>(), dy.rows_on<P>(), dx.rows_on<P>(), dw.matrix_on<P>(),
                       db.vector_on<P>());
  const auto loss = [&] {
    ops::linear(ctx, x.rows_on<P>(), w.matrix_on<P>(), b.vector_on<P>(), y.rows_on<P>());
    return inner(dy, y);
  };
  CHECK(gradient_check(x, dx, loss).relative < difference_bound());
  CHECK(gradient_check(w, dw, loss).relative < difference_bound());
  CHECK(gradient_check(b, db, loss).relative < difference_bound());
}

TEMPLATE_LIST_TEST_CASE("an unwanted gradient of linear changes no other bit", "[linear]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const int N = 13, in = 29, out = 31;
  const auto x = Tensor<R>::random(N, in, 1), dy = Tensor<R>::random(N, out, 3);
  auto w = Tensor<R>::random(out, in, 2);
  Tensor<R> dx(N, in), dw(out, in), db(1, out), dx_alone(N, in), dw_alone(out, in), db_alone(1, out);
  Context<P> ctx(1, 1 << 20);
  const auto backward = [&](const auto& to_x, const auto& to_w, const auto& to_b) {
    ops::linear_backward(ctx, x.template rows_on<P>(), w.template matrix_on<P>(), dy.template rows_on<P>(), to_x, to_w,
                         to_b);
  };
  backward(dx.template rows_on<P>(), dw.template matrix_on<P>(), db.template vector_on<P>());
  backward(dx_alone.template rows_on<P>(), NoGrad{}, NoGrad{});
  backward(NoGrad{}, dw_alone.template matrix_on<P>(), NoGrad{});
  backward(NoGrad{}, NoGrad{}, db_alone.template vector_on<P>());
  CHECK(dx == dx_alone);
  CHECK(dw == dw_alone);
  CHECK(db == db_alone);
}

TEST_CASE("linear deduces static widths, and mixes them with dynamic ones", "[linear]") {
  using P = Cpu<float>;
  const auto x = Tensor<float>::random(3, 5, 1);
  auto w = Tensor<float>::random(7, 5, 2), b = Tensor<float>::random(1, 7, 3);
  Tensor<float> y(3, 7), again(3, 7);
  Context<P> ctx(1, 1 << 20);
  ops::linear(ctx, x.rows_on<P, 5>(), w.matrix_on<P, 7, 5>(), b.vector_on<P, 7>(), y.rows_on<P, 7>());
  ops::linear(ctx, x.rows_on<P>(), w.matrix_on<P, 7, 5>(), b.vector_on<P>(), again.rows_on<P>());
  CHECK(y == again);
  static_assert(sizeof(w.matrix_on<P, 7, 5>()) == sizeof(float*), "a static width takes no room");
}

TEST_CASE("linear says what is wrong", "[linear]") {
  using P = Cpu<float>;
  Tensor<float> x(5, 7), w(11, 7), wide(11, 13), y(5, 11), b(1, 11), short_b(1, 3), dw(11, 7);
  Context<P> ctx(1, 1 << 20);
  const auto W = w.matrix_on<P>();
  CHECK_THROWS_WITH(ops::linear(ctx, x.rows_on<P>(), wide.matrix_on<P>(), y.rows_on<P>()),
                    "[linear] x is (5, 7) and w is (11, 13): their last axes differ");
  CHECK_THROWS_WITH(ops::linear(ctx, x.rows_on<P>(), W, x.rows_on<P>()), "[linear] y is (5, 7), expected (5, 11)");
  CHECK_THROWS_WITH(ops::linear(ctx, x.rows_on<P>(), W, short_b.vector_on<P>(), y.rows_on<P>()),
                    "[linear] b has 3 numbers, expected 11");
  CHECK_THROWS_WITH(ops::linear_backward(ctx, x.rows_on<P>(), W, x.rows_on<P>(), x.rows_on<P>(), NoGrad{}),
                    "[linear_backward] dy is (5, 7) and w is (11, 7)");
  CHECK_THROWS_WITH(ops::linear_backward(ctx, x.rows_on<P>(), W, y.rows_on<P>(), y.rows_on<P>(), NoGrad{}),
                    "[linear_backward] dx is (5, 11), expected (5, 7)");
  CHECK_THROWS_WITH(ops::linear_backward(ctx, w.rows_on<P>(), W, y.rows_on<P>(), NoGrad{}, dw.matrix_on<P>()),
                    "[linear_backward] x is (11, 7) and dy is (5, 11): their rows differ");
  CHECK_THROWS_WITH(ops::linear_backward(ctx, x.rows_on<P>(), W, y.rows_on<P>(), NoGrad{}, x.matrix_on<P>()),
                    "[linear_backward] dw is (5, 7), expected (11, 7)");
  CHECK_THROWS_WITH(
      ops::linear_backward(ctx, x.rows_on<P>(), W, y.rows_on<P>(), NoGrad{}, NoGrad{}, short_b.vector_on<P>()),
      "[linear_backward] db has 3 numbers, expected 11");
}

}  // namespace linear_test
