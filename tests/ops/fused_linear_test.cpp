/// Maps with what follows them are that: the bits of one operation after the other where nothing is fused. What CUDA
/// fuses is held against them in kernels/cuda/operations_test.cpp.
#include <flamingo/ops/fused_linear.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "support/platforms.hpp"
#include "support/tensor.hpp"

namespace fused_linear_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 5, I = 19, O = 13;

template <class P>
struct Case {
  using R = typename P::Real;
  Context<P> ctx{1, 1 << 20};
  Tensor<R> x = Tensor<R>::random(N, I, 1), w = Tensor<R>::random(O, I, 2), up = Tensor<R>::random(O, I, 3),
            b = Tensor<R>::random(1, O, 4), base = Tensor<R>::random(N, O, 5), gate = Tensor<R>::random(1, O, 6);
  Tensor<R> hidden{N, O, R(7)}, other{N, O, R(7)}, y{N, O, R(7)}, want{N, O, R(7)};

  static auto rows(Tensor<R>& t) { return t.template rows_on<P>(); }
  static auto matrix(Tensor<R>& t) { return t.template matrix_on<P>(); }
  static auto vector(Tensor<R>& t) { return t.template vector_on<P>(); }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("a map with what follows it", "[ops][fused_linear]", Platforms) {
  Case<TestType> c;
  auto& ctx = c.ctx;
  const auto x = c.rows(c.x), base = c.rows(c.base), hidden = c.rows(c.hidden), other = c.rows(c.other),
             y = c.rows(c.y), want = c.rows(c.want);
  const auto w = c.matrix(c.w), up = c.matrix(c.up);
  const auto b = c.vector(c.b), gate = c.vector(c.gate);

  SECTION("several maps") {
    ops::linears(ctx, x, map_to(w, b, y), map_to(up, Nothing{}, hidden));
    ops::linear(ctx, x, w, b, want);
    CHECK(c.y == c.want);
    ops::linear(ctx, x, up, want);
    CHECK(c.hidden == c.want);
  }
  SECTION("a non-linearity") {
    ops::linear(ctx, x, w, b, want);
    ops::linear_activate<Activation::gelu, true>(ctx, x, w, b, hidden, y);
    CHECK(c.hidden == c.want);
    ops::activate<Activation::gelu>(ctx, want, want);
    CHECK(c.y == c.want);
    ops::clear(ctx, y);
    ops::linear_activate<Activation::gelu, false>(ctx, x, w, b, other, y);
    CHECK(c.y == c.want);
  }
  SECTION("a gate") {
    ops::linear_gate_activate<Activation::silu, true>(ctx, x, w, up, hidden, other, y);
    ops::linear(ctx, x, w, want);
    CHECK(c.hidden == c.want);
    ops::linear(ctx, x, up, want);
    CHECK(c.other == c.want);
    ops::gate_activate<Activation::silu>(ctx, hidden, other, want);
    CHECK(c.y == c.want);
  }
  SECTION("rows that it is added to") {
    ops::last_linear<1>(ctx, x, w, b, hidden);
    ops::linear(ctx, x, w, b, want);
    CHECK(c.hidden == c.want);
    ops::last_linear<1>(ctx, x, w, b, onto(base, other, y));
    ops::add(ctx, base, hidden, want);
    CHECK(c.y == c.want);
    ops::last_linear<1>(ctx, x, w, b, onto<true>(base, gate, other, y));
    CHECK(c.other == c.hidden);
    ops::gated_add(ctx, base, gate, hidden, want);
    CHECK(c.y == c.want);
  }
  SECTION("shapes are compared") {
    CHECK_THROWS_WITH(ops::last_linear<1>(ctx, x.slice(0, 2), w, b, onto(base, other, y)),
                      "[linear] y is (5, 13), expected (2, 13)");
    CHECK_THROWS_WITH(ops::last_linear<1>(ctx, x, w, c.vector(c.x), onto(base, other, y)),
                      "[linear] b has 95 numbers, expected 13");
    CHECK_THROWS_WITH(ops::last_linear<1>(ctx, x, w, b, onto(base.slice(0, 2), other, y)),
                      Catch::Contains("shapes differ"));
  }
}

}  // namespace fused_linear_test
