#include <flamingo/ops/norm.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/norm.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace norm_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 7, D = 37;
constexpr float eps = 1e-3f;
// Two sums over the axis, a root, a quotient, scale and bias.
constexpr std::size_t roundings = 2 * D + 8;

enum class Kind { layer, rms };

/// One norm with everything around it.
template <class R>
struct NormCase {
  using P = Cpu<R>;
  Kind kind;
  Tensor<R> x = Tensor<R>::random(N, D, 1, -1, 3), scale = Tensor<R>::random(1, D, 2, 0.5, 2),
            bias = Tensor<R>::random(1, D, 3), dy = Tensor<R>::random(N, D, 4);
  Tensor<R> y{N, D, R(7)}, moments{N, 2, R(7)}, dx{N, D, R(7)}, dscale{1, D}, dbias{1, D};

  explicit NormCase(Kind k) : kind(k) {}

  void forward(Context<P>& ctx) {
    if (kind == Kind::layer)
      ops::layer_norm(ctx, x.template rows_on<P>(), scale.template vector_on<P>(), bias.template vector_on<P>(), eps,
                      y.template rows_on<P>(), moments.template rows_on<P, 2>());
    else
      ops::rms_norm(ctx, x.template rows_on<P>(), scale.template vector_on<P>(), eps, y.template rows_on<P>(),
                    moments.template rows_on<P, 2>());
  }
  template <class DX, class DScale, class DBias>
  void backward(Context<P>& ctx, const DX& to_x, const DScale& to_scale, const DBias& to_bias) {
    const auto m = moments.template rows_on<P, 2>();
    if (kind == Kind::layer)
      ops::layer_norm_backward(ctx, x.template rows_on<P>(), m, scale.template vector_on<P>(), dy.template rows_on<P>(),
                               to_x, to_scale, to_bias);
    else
      ops::rms_norm_backward(ctx, x.template rows_on<P>(), m, scale.template vector_on<P>(), dy.template rows_on<P>(),
                             to_x, to_scale);
  }
  void backward(Context<P>& ctx) {
    backward(ctx, dx.template rows_on<P>(), dscale.template vector_on<P>(), dbias.template vector_on<P>());
  }
};

Tensor<double> naive(const NormCase<double>& c) {
  Tensor<double> y(c.x.rows(), D);
  for (int n = 0; n < c.x.rows(); ++n) {
    double mean = 0, square = 0;
    for (int i = 0; i < D; ++i) mean += c.kind == Kind::layer ? c.x(n, i) / D : 0;
    for (int i = 0; i < D; ++i) square += (c.x(n, i) - mean) * (c.x(n, i) - mean) / D;
    for (int i = 0; i < D; ++i)
      y(n, i) = (c.x(n, i) - mean) / std::sqrt(square + static_cast<double>(eps)) * c.scale(0, i) +
                (c.kind == Kind::layer ? c.bias(0, i) : 0);
  }
  return y;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("norms agree with their formulas", "[norm]", Platforms) {
  using R = typename TestType::Real;
  const Kind kind = GENERATE(Kind::layer, Kind::rms);
  NormCase<R> c(kind);
  NormCase<double> exact(kind);
  Context<TestType> ctx(1, 1 << 20);
  Context<Cpu<double>> exact_ctx(1, 1 << 20);
  c.forward(ctx);
  CHECK(distance(c.y, naive(exact)).relative < chain_bound<R>(roundings));
  c.backward(ctx);
  exact.forward(exact_ctx);
  exact.backward(exact_ctx);
  CHECK(distance(c.dx, exact.dx).relative < chain_bound<R>(3 * roundings));
  CHECK(distance(c.dscale, exact.dscale).relative < chain_bound<R>(roundings + N));
  CHECK(distance(c.dbias, exact.dbias).relative < chain_bound<R>(N));
  CHECK((c.y.intact() && c.moments.intact() && c.dx.intact() && c.dscale.intact() && c.dbias.intact()));
}

TEST_CASE("norms' gradients are those of finite differences", "[norm]") {
  const Kind kind = GENERATE(Kind::layer, Kind::rms);
  NormCase<double> c(kind);
  Context<Cpu<double>> ctx(1, 1 << 20);
  c.forward(ctx);
  c.backward(ctx);
  const auto loss = [&] { return inner(c.dy, naive(c)); };
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
  CHECK(gradient_check(c.scale, c.dscale, loss).relative < difference_bound());
  CHECK(gradient_check(c.bias, c.dbias, loss).relative < difference_bound());
}

TEMPLATE_LIST_TEST_CASE("norms write dx and add to the others", "[norm]", Platforms) {
  using R = typename TestType::Real;
  const Kind kind = GENERATE(Kind::layer, Kind::rms);
  NormCase<R> once(kind), twice(kind);
  Context<TestType> ctx(1, 1 << 20);
  for (NormCase<R>* c : {&once, &twice}) {
    c->forward(ctx);
    c->backward(ctx);
  }
  twice.backward(ctx);
  CHECK(twice.dx == once.dx);
  for (R& g : once.dscale) g *= 2;
  for (R& g : once.dbias) g *= 2;
  CHECK(distance(twice.dscale, once.dscale).relative < chain_bound<R>(2 * N));
  CHECK(distance(twice.dbias, once.dbias).relative <= chain_bound<R>(2 * N));
}

TEMPLATE_LIST_TEST_CASE("an unwanted gradient of a norm changes no other bit", "[norm]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const Kind kind = GENERATE(Kind::layer, Kind::rms);
  NormCase<R> all(kind), inputs(kind), scale(kind), bias(kind);
  Context<P> ctx(1, 1 << 20);
  for (NormCase<R>* c : {&all, &inputs, &scale, &bias}) c->forward(ctx);
  all.backward(ctx);
  inputs.backward(ctx, inputs.dx.template rows_on<P>(), NoGrad{}, NoGrad{});
  scale.backward(ctx, NoGrad{}, scale.dscale.template vector_on<P>(), NoGrad{});
  bias.backward(ctx, NoGrad{}, NoGrad{}, bias.dbias.template vector_on<P>());
  CHECK(inputs.dx == all.dx);
  CHECK(scale.dscale == all.dscale);
  CHECK(bias.dbias == all.dbias);
}

TEMPLATE_LIST_TEST_CASE("layer norm ignores a large mean, rms norm an all-zero row", "[norm]", Platforms) {
  using R = typename TestType::Real;
  NormCase<R> c(Kind::layer);
  NormCase<double> exact(Kind::layer);
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) exact.x(n, i) = static_cast<double>(c.x(n, i) += R(1000));
  Context<TestType> ctx(1, 1 << 20);
  c.forward(ctx);
  // The mean's error is some ε of 1000; a variance as E[x²] - E[x]² would err by ε of 10⁶.
  CHECK(distance(c.y, naive(exact)).relative < chain_bound<R>(roundings * 1000));

  NormCase<R> zero(Kind::rms);
  for (R& x : zero.x) x = 0;
  zero.forward(ctx);
  zero.backward(ctx);
  CHECK(all_zero(zero.y));
  for (const R g : zero.dx) CHECK(std::isfinite(g));
}

TEST_CASE("norms say what is wrong", "[norm]") {
  using P = Cpu<float>;
  NormCase<float> c(Kind::layer);
  Context<P> ctx(1, 1 << 20);
  SECTION("scale") {
    c.scale = Tensor<float>(1, 5);
    CHECK_THROWS_WITH(c.forward(ctx), "[layer_norm] x is (7, 37) but scale has 5 numbers");
    c.kind = Kind::rms;
    CHECK_THROWS_WITH(c.forward(ctx), "[rms_norm] x is (7, 37) but scale has 5 numbers");
  }
  SECTION("bias") {
    c.bias = Tensor<float>(1, 5);
    CHECK_THROWS_WITH(c.forward(ctx), "[layer_norm] x is (7, 37) but bias has 5 numbers");
  }
  SECTION("y") {
    c.y = Tensor<float>(5, 37);
    CHECK_THROWS_WITH(c.forward(ctx), "[layer_norm] x is (7, 37) and y is (5, 37): their shapes differ");
  }
  SECTION("moments") {
    c.moments = Tensor<float>(5, 2);
    CHECK_THROWS_WITH(c.forward(ctx), "[layer_norm] x is (7, 37) and moments have 5 rows");
    CHECK_THROWS_WITH(c.backward(ctx), "[layer_norm_backward] x is (7, 37) and moments have 5 rows");
  }
  SECTION("dy, dx and gradients of weights") {
    c.dbias = Tensor<float>(1, 5);
    CHECK_THROWS_WITH(c.backward(ctx), "[layer_norm_backward] x is (7, 37) but dbias has 5 numbers");
    c.dscale = Tensor<float>(1, 5);
    CHECK_THROWS_WITH(c.backward(ctx), "[layer_norm_backward] x is (7, 37) but dscale has 5 numbers");
    c.dx = Tensor<float>(5, 37);
    CHECK_THROWS_WITH(c.backward(ctx), "[layer_norm_backward] x is (7, 37) and dx is (5, 37): their shapes differ");
    c.dy = Tensor<float>(5, 37);
    CHECK_THROWS_WITH(c.backward(ctx), "[layer_norm_backward] x is (7, 37) and dy is (5, 37): their shapes differ");
  }
}

}  // namespace norm_test
