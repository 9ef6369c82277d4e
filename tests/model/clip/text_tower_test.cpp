#include <flamingo/model/clip/text_tower.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "support/layer.hpp"

namespace text_tower_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using Texts = std::vector<std::vector<int>>;
constexpr ClipText c{.context = 6, .vocabulary = 13, .dim = 6, .layers = 2, .heads = 3, .hidden = 7};
constexpr ClipText with_end = [] {
  ClipText t = c;
  t.pooling = TextPooling::first_end;
  t.end = 7;
  return t;
}();

template <Platform P>
Tensor<typename P::Real> pooled(Context<P>& ctx, const Store<model::ClipTextTower<c, P>, P>& w, const Texts& texts) {
  const ClipTextPlan plan = ClipTextPlan::of(c, texts);
  Tensor<typename P::Real> y(plan.texts(), c.dim);
  model::ClipTextTower<c, P>::forward(ctx, w.views, plan, y.template rows_on<P, c.dim>());
  return y;
}

}  // namespace

TEST_CASE("a text is pooled at its highest id, or at its first end token", "[clip]") {
  const Texts texts{{1, 7, 12, 12, 0}, {3, 7, 7}};
  CHECK(ClipTextPlan::of(c, texts).pooled == std::vector{2, 6});
  const ClipTextPlan plan = ClipTextPlan::of(with_end, texts);
  CHECK(plan.pooled == std::vector{1, 6});
  CHECK(plan.places == std::vector{0, 1, 2, 3, 4, 0, 1, 2});
  CHECK(plan.ids == std::vector{1, 7, 12, 12, 0, 3, 7, 7});
}

TEST_CASE("a text without its end token, an empty one and a long one are refused", "[clip]") {
  CHECK_THROWS_WITH(ClipTextPlan::of(with_end, Texts{{7}, {1, 12}}), "[clip] text 1 has no end token, id 7");
  CHECK_THROWS_WITH(ClipTextPlan::of(c, Texts{{7}, {}}), "[clip] text 1 has 0 tokens, expected 1 to 6");
  CHECK_THROWS_WITH(ClipTextPlan::of(c, Texts{{1, 2, 3, 4, 5, 6, 7}}), "[clip] text 0 has 7 tokens, expected 1 to 6");
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  const auto w = drawn<model::ClipTextTower<c, P>, P>(1);
  CHECK_THROWS_WITH(pooled(ctx, w, {{1, 13}}), Catch::Contains("id 13"));
  CHECK_THROWS_WITH(pooled(ctx, w, {{-1, 3}}), Catch::Contains("id -1"));
}

TEST_CASE("a text's pooled row reads what stands before it, and no other text", "[clip]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  const auto w = drawn<model::ClipTextTower<c, P>, P>(1);
  const auto both = pooled(ctx, w, {{1, 4, 12}, {2, 12, 3, 5}});
  CHECK(rows_of(both, 0, 1) == pooled(ctx, w, {{1, 4, 12}}));
  CHECK(rows_of(both, 1, 1) == pooled(ctx, w, {{2, 12, 3, 5}}));
  CHECK(rows_of(both, 1, 1) == pooled(ctx, w, {{2, 12}}));
  CHECK(distance(rows_of(both, 0, 1), pooled(ctx, w, {{1, 5, 12}})).relative > 1e-3);
  CHECK(distance(rows_of(both, 0, 1), pooled(ctx, w, {{4, 1, 12}})).relative > 1e-3);
}

TEST_CASE("the text tower's gradients are those of finite differences", "[clip]") {
  using P = Cpu<double>;
  using Tower = model::ClipTextTower<c, P>;
  Context<P> ctx(1, 1 << 22);
  auto w = drawn<Tower, P>(3);
  Store<Tower, P> g;
  const Texts texts{{1, 4, 12, 2}, {2, 5, 5, 12}, {12}};
  const ClipTextPlan plan = ClipTextPlan::of(c, texts);
  const auto dy = drawn_rows<double>(3, c.dim, 2);
  Tensor<double> y(3, c.dim);
  const auto loss = [&] { return inner(dy, y = pooled(ctx, w, texts)); };
  const auto saved = Tower::forward<weight_gradients>(ctx, w.views, plan, y.rows_on<P, c.dim>());
  auto d = dy;
  Tower::backward(ctx, w.views, saved, plan, d.rows_on<P, c.dim>(), g.views);
  ctx.arena().release(0);
  check_weight_gradients(w, g, loss);
}

}  // namespace text_tower_test
