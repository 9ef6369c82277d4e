#include <flamingo/ops/residual.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/residual.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace residual_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 7, D = 37;

/// Length 1: one gate for the layer; D: one a feature.
template <class R, int Length>
struct GateCase {
  using P = Cpu<R>;
  Tensor<R> x = Tensor<R>::random(N, D, 1), branch = Tensor<R>::random(N, D, 2),
            gate = Tensor<R>::random(1, Length, 3, 0.2, 0.9), dy = Tensor<R>::random(N, D, 4);
  Tensor<R> y{N, D, R(7)}, dbranch{N, D, R(7)}, dgate{1, Length};

  void forward(Context<P>& ctx) {
    ops::gated_add(ctx, x.template rows_on<P>(), gate.template vector_on<P, Length>(), branch.template rows_on<P>(),
                   y.template rows_on<P>());
  }
  template <class DBranch, class DGate>
  void backward(Context<P>& ctx, const DBranch& to_branch, const DGate& to_gate) {
    ops::gated_add_backward(ctx, gate.template vector_on<P, Length>(), branch.template rows_on<P>(),
                            dy.template rows_on<P>(), to_branch, to_gate);
  }
  void backward(Context<P>& ctx) {
    backward(ctx, dbranch.template rows_on<P>(), dgate.template vector_on<P, Length>());
  }
};

template <int Length>
Tensor<double> naive(const GateCase<double, Length>& c) {
  auto y = c.x;
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) y(n, i) += std::tanh(c.gate(0, i % Length)) * c.branch(n, i);
  return y;
}

template <class R, int Length>
void check_gate() {
  GateCase<R, Length> c;
  GateCase<double, Length> exact;
  Context<Cpu<R>> ctx(1, 1 << 20);
  Context<Cpu<double>> exact_ctx(1, 1 << 20);
  c.forward(ctx);
  c.backward(ctx);
  exact.forward(exact_ctx);
  exact.backward(exact_ctx);
  CHECK(distance(c.y, naive(exact)).relative < chain_bound<R>(8));
  CHECK(distance(c.dbranch, exact.dbranch).relative < chain_bound<R>(8));
  // Terms of both signs cancel: the error counts against their magnitudes.
  CHECK(distance(c.dgate, exact.dgate).largest < sum_bound<R>(N * D / Length, 1.0 * N * D / Length));
  CHECK((c.y.intact() && c.dbranch.intact() && c.dgate.intact()));

  const auto loss = [&] { return inner(exact.dy, naive(exact)); };
  CHECK(gradient_check(exact.branch, exact.dbranch, loss).relative < difference_bound());
  CHECK(gradient_check(exact.gate, exact.dgate, loss).relative < difference_bound());

  GateCase<R, Length> branch_alone, gate_alone, twice;
  branch_alone.backward(ctx, branch_alone.dbranch.template rows_on<Cpu<R>>(), NoGrad{});
  gate_alone.backward(ctx, NoGrad{}, gate_alone.dgate.template vector_on<Cpu<R>, Length>());
  CHECK(branch_alone.dbranch == c.dbranch);
  CHECK(gate_alone.dgate == c.dgate);
  for (int time = 0; time < 2; ++time) twice.backward(ctx);
  CHECK(twice.dbranch == c.dbranch);
  CHECK(distance(twice.dgate, gate_alone.dgate).relative == Approx(1).epsilon(chain_bound<R>(2 * N)));  // added to

  for (R& g : c.gate) g = 0;
  c.forward(ctx);
  CHECK(c.y == c.x);  // a closed gate is the identity, bit for bit
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("gated_add with one gate for the layer", "[residual]", Platforms) {
  check_gate<typename TestType::Real, 1>();
}
TEMPLATE_LIST_TEST_CASE("gated_add with a gate for each feature", "[residual]", Platforms) {
  check_gate<typename TestType::Real, D>();
}

TEMPLATE_LIST_TEST_CASE("add, subtract, accumulate and copy are exact", "[residual]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto a = Tensor<R>::random(N, D, 1), b = Tensor<R>::random(N, D, 2);
  Tensor<R> y(N, D), sum = b, copied(N, D), expected(N, D);
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) expected(n, i) = a(n, i) + b(n, i);
  Context<P> ctx(1, 1 << 20);
  ops::add(ctx, a.template rows_on<P>(), b.template rows_on<P>(), y.template rows_on<P>());
  ops::accumulate(ctx, a.template rows_on<P>(), sum.template rows_on<P>());
  ops::accumulate(ctx, a.template rows_on<P>(), NoGrad{});
  ops::copy(ctx, a.template rows_on<P>(), copied.template rows_on<P>());
  CHECK(y == expected);
  CHECK(sum == expected);
  CHECK(copied == a);
  ops::subtract(ctx, y.template rows_on<P>(), b.template rows_on<P>(), y.template rows_on<P>());
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) CHECK(y(n, i) == expected(n, i) - b(n, i));
  CHECK((y.intact() && sum.intact() && copied.intact()));
}

TEMPLATE_LIST_TEST_CASE("exp_scale multiplies by a number kept as its logarithm", "[residual]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  auto x = Tensor<R>::random(N, D, 1), s = Tensor<R>::of({R(0.7)});
  const auto dy = Tensor<R>::random(N, D, 2);
  Tensor<R> y(N, D, R(7)), dx = Tensor<R>::random(N, D, 3), ds = Tensor<R>::of({R(2)});
  const auto before = dx;
  Tensor<double> expected(N, D), dexpected(N, D);
  double ds_expected = 2;
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) {
      const double scale = std::exp(static_cast<double>(s(0, 0))), d = static_cast<double>(dy(n, i));
      expected(n, i) = scale * static_cast<double>(x(n, i));
      dexpected(n, i) = static_cast<double>(before(n, i)) + scale * d;
      ds_expected += d * expected(n, i);
    }
  Context<P> ctx(1, 1 << 20);
  const auto scale = s.template vector_on<P, 1>(), dscale = ds.template vector_on<P, 1>();
  const auto rows = [](auto& t) { return t.template rows_on<P>(); };
  ops::exp_scale(ctx, rows(x), scale, rows(y));
  ops::exp_scale_backward(ctx, scale, rows(y), rows(dy), rows(dx), dscale);
  CHECK(distance(y, expected).relative < chain_bound<R>(6));
  CHECK(distance(dx, dexpected).relative < chain_bound<R>(8));
  CHECK(std::abs(static_cast<double>(ds(0, 0)) - ds_expected) < sum_bound<R>(N * D, 3.0 * N * D));
  CHECK((y.intact() && dx.intact() && ds.intact()));

  const auto ds_before = ds, dx_before = dx;
  ops::exp_scale_backward(ctx, scale, rows(y), rows(dy), NoGrad{}, NoGrad{});
  CHECK((ds == ds_before && dx == dx_before));
  ops::exp_scale(ctx, rows(x), scale, rows(x));  // in place
  CHECK(x == y);
}

TEST_CASE("residual ops say what is wrong", "[residual]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> a(5, 7), b(7, 5), gate(1, 7), few(1, 3);
  const auto x = a.rows_on<P>(), y = b.rows_on<P>();
  const auto g = gate.vector_on<P>(), f = few.vector_on<P>();
  CHECK_THROWS_WITH(ops::add(ctx, x, y, x), "[add] a is (5, 7), b is (7, 5) and y is (5, 7): their shapes differ");
  CHECK_THROWS_WITH(ops::subtract(ctx, x, y, x),
                    "[subtract] a is (5, 7), b is (7, 5) and y is (5, 7): their shapes differ");
  CHECK_THROWS_WITH(ops::copy(ctx, x, y), "[copy] x is (5, 7) and y is (7, 5): their shapes differ");
  const auto one = few.vector_on<P, 1>();
  CHECK_THROWS_WITH(ops::exp_scale(ctx, x, one, y), "[exp_scale] x is (5, 7) and y is (7, 5): their shapes differ");
  CHECK_THROWS_WITH(ops::exp_scale_backward(ctx, one, y, x, NoGrad{}, one),
                    "[exp_scale_backward] y is (7, 5) and dy is (5, 7): their shapes differ");
  CHECK_THROWS_WITH(ops::exp_scale_backward(ctx, one, x, x, y, NoGrad{}),
                    "[exp_scale_backward] dx is (7, 5) and dy is (5, 7): their shapes differ");
  CHECK_THROWS_WITH(ops::gated_add(ctx, x, g, y, x),
                    "[gated_add] x is (5, 7), branch is (7, 5) and y is (5, 7): their shapes differ");
  CHECK_THROWS_WITH(ops::gated_add(ctx, x, f, x, x), "[gated_add] gate has 3 numbers, expected 7, or 1 in its type");
  CHECK_THROWS_WITH(ops::gated_add_backward(ctx, g, y, x, NoGrad{}, g),
                    "[gated_add_backward] branch is (7, 5) and dy is (5, 7): their shapes differ");
  CHECK_THROWS_WITH(ops::gated_add_backward(ctx, g, x, x, NoGrad{}, f),
                    "[gated_add_backward] dgate has 3 numbers, expected 7, or 1 in its type");
  CHECK_THROWS_WITH(ops::gated_add_backward(ctx, g, x, x, y, NoGrad{}),
                    "[gated_add_backward] dbranch is (7, 5) and dy is (5, 7): their shapes differ");
}

}  // namespace residual_test
