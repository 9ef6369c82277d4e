#include <flamingo/model/contrastive/bert.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

#include <flamingo/cpu.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace bert_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

// Heads of 4 features: the scale of their scores, 1/2, is exact in float.
constexpr BertText c{
    .context = 6, .vocabulary = 13, .segments = 2, .dim = 8, .layers = 2, .heads = 2, .hidden = 5, .epsilon = 1e-3f};
constexpr BertText bare = [] {
  BertText b = c;
  b.segments = 0;
  return b;
}();
using Texts = std::vector<std::vector<int>>;
const Texts texts{{1, 4, 12, 2}, {0}, {2, 5, 5}};

template <BertText C = c, Platform P>
Tensor<typename P::Real> pooled(Context<P>& ctx, const Store<model::Bert<C, P>, P>& w, const Texts& lines) {
  const BertPlan plan = BertPlan::of(C, lines);
  Tensor<typename P::Real> y(plan.texts(), C.dim);
  model::Bert<C, P>::forward(ctx, w.views, plan, y.template rows_on<P, C.dim>());
  return y;
}

/// The same by loops over one text, number by number, as the publication tells it.
using Line = std::vector<double>;
std::vector<double> naive(const Store<model::Bert<c, Cpu<double>>, Cpu<double>>& w, const std::vector<int>& ids) {
  constexpr int E = c.dim, H = c.heads, K = E / H;
  const std::size_t T = ids.size();
  const auto each = [](int count, const std::function<double(int)>& f) {
    Line y;
    for (int i = 0; i < count; ++i) y.push_back(f(i));
    return y;
  };
  const auto at = [](const Line& x, int i) { return x[static_cast<std::size_t>(i)]; };
  const auto linear = [&](const auto& m, const auto& bias, const Line& x) {
    return each(int(m.rows), [&](int o) {
      double sum = bias.data[o];
      for (int i = 0; i < int(m.columns); ++i) sum += m.row(o)[i] * at(x, i);
      return sum;
    });
  };
  const auto norm = [&](const auto& p, const Line& x) {
    double mean = 0, variance = 0;
    for (const double number : x) mean += number / E;
    for (const double number : x) variance += (number - mean) * (number - mean) / E;
    return each(E, [&](int i) {
      return (at(x, i) - mean) / std::sqrt(variance + static_cast<double>(c.epsilon)) * p.scale.data[i] +
             p.bias.data[i];
    });
  };
  const auto add = [&](const Line& a, const Line& b) { return each(E, [&](int i) { return at(a, i) + at(b, i); }); };

  const auto& v = w.views;
  std::vector<Line> x;
  for (std::size_t t = 0; t < T; ++t)
    x.push_back(norm(v.norm, each(E, [&](int i) {
                       return v.embedding.row(ids[t])[i] + v.positions.row(static_cast<int>(t))[i] +
                              v.segments.row(0)[i];
                     })));
  for (const auto& block : v.blocks) {
    const auto& a = block.attention;
    std::vector<Line> q, k, u, y;
    for (const Line& row : x) {
      q.push_back(linear(a.query, a.query_bias, row));
      k.push_back(linear(a.key, a.key_bias, row));
      u.push_back(linear(a.value, a.value_bias, row));
    }
    for (std::size_t t = 0; t < T; ++t) {
      Line heads(E, 0.0);
      for (int h = 0; h < H; ++h) {
        Line score;
        double all = 0;
        for (std::size_t s = 0; s < T; ++s) {
          double dot = 0;
          for (int i = h * K; i < (h + 1) * K; ++i) dot += at(q[t], i) * at(k[s], i);
          score.push_back(std::exp(dot / std::sqrt(double{K})));
          all += score.back();
        }
        for (std::size_t s = 0; s < T; ++s)
          for (int i = h * K; i < (h + 1) * K; ++i) heads[static_cast<std::size_t>(i)] += score[s] / all * at(u[s], i);
      }
      const Line attended = norm(block.norm, add(x[t], linear(a.out, a.out_bias, heads)));
      Line hidden = linear(block.dense.up, block.dense.up_bias, attended);
      for (double& z : hidden) z = z / 2 * (1 + std::erf(z / std::sqrt(2.0)));
      y.push_back(norm(block.norm_dense, add(attended, linear(block.dense.down, block.dense.down_bias, hidden))));
    }
    x = y;
  }
  return each(E, [&](int i) {
    double mean = 0;
    for (const Line& row : x) mean += at(row, i) / static_cast<double>(T);
    return mean;
  });
}

}  // namespace

TEST_CASE("BERT's pooled texts are those of loops over every number", "[contrastive]") {
  Context<Cpu<double>> ctx(1, 1 << 20);
  Context<Cpu<float>> single_ctx(1, 1 << 20);
  const auto w = drawn<model::Bert<c, Cpu<double>>, Cpu<double>>(1);
  const auto single = drawn<model::Bert<c, Cpu<float>>, Cpu<float>>(1);
  const auto y = pooled(ctx, w, texts);
  const auto z = pooled(single_ctx, single, texts);
  for (std::size_t n = 0; n < texts.size(); ++n) {
    const auto expected = naive(w, texts[n]);
    const auto row = rows_of(y, static_cast<int>(n), 1);
    CHECK(distance(row.data(), expected.data(), expected.size()).largest < 1e-12);
    CHECK(distance(rows_of(z, static_cast<int>(n), 1).data(), expected.data(), expected.size()).relative < 1e-5);
    CHECK(pooled(ctx, w, {texts[n]}) == row);  // no text sees another
  }
  CHECK((ctx.arena().kept() == 0 && ctx.arena().scratched() == 0));
}

TEST_CASE("BERT reads a text's order, and without a table of segments what positions tell", "[contrastive]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  const auto w = drawn<model::Bert<c, P>, P>(1);
  CHECK(distance(pooled(ctx, w, {{1, 4, 12}}), pooled(ctx, w, {{4, 1, 12}})).relative > 1e-3);
  Store<model::Bert<bare, P>, P> without = drawn<model::Bert<bare, P>, P>(1);
  for (int t = 0; t < c.context; ++t)
    for (int i = 0; i < c.dim; ++i) without.views.positions.row(t)[i] += w.views.segments.row(0)[i];
  CHECK(distance(pooled<bare>(ctx, without, texts), pooled(ctx, w, texts)).relative < chain_bound<float>(200));
}

TEST_CASE("BERT refuses an empty text, a long one, and ids that it does not know", "[contrastive]") {
  CHECK_THROWS_WITH(BertPlan::of(c, Texts{{7}, {}}), "[bert] text 1 has 0 tokens, expected 1 to 6");
  CHECK_THROWS_WITH(BertPlan::of(c, Texts{{1, 2, 3, 4, 5, 6, 7}}), "[bert] text 0 has 7 tokens, expected 1 to 6");
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  const auto w = drawn<model::Bert<c, P>, P>(1);
  CHECK_THROWS_WITH(pooled(ctx, w, {{1, 13}}), Catch::Contains("id 13"));
}

TEST_CASE("BERT's gradients are those of finite differences", "[contrastive]") {
  using P = Cpu<double>;
  using Tower = model::Bert<c, P>;
  Context<P> ctx(1, 1 << 22);
  auto w = drawn<Tower, P>(3);
  Store<Tower, P> g;
  const BertPlan plan = BertPlan::of(c, texts);
  auto dy = drawn_rows<double>(3, c.dim, 2);
  Tensor<double> y(3, c.dim);
  {
    const auto kept = ctx.kept_scope();
    const auto saved = Tower::forward<weight_gradients>(ctx, w.views, plan, y.rows_on<P, c.dim>());
    Tower::backward(ctx, w.views, saved, plan, dy.rows_on<P, c.dim>(), g.views);
  }
  check_weight_gradients(w, g, [&] { return inner(dy, y = pooled(ctx, w, texts)); });
  for (int i = 0; i < c.dim; ++i) CHECK(g.views.segments.row(1)[i] == 0);  // nobody is in the second segment
}

}  // namespace bert_test
