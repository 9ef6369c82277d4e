#include <flamingo/ops/attention.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include <flamingo/kernels/cpu/attention.hpp>

#include "support/attention_case.hpp"
#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace attention_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// The definition, key by key, in double. `lse` may be null.
Tensor<double> naive(const AttentionCase<double>& c, Positions kind, Tensor<double>* lse = nullptr) {
  const int K = c.shape.head_dim, H = c.shape.heads, group = H / c.shape.kv_heads;
  Tensor<double> y(c.q.rows(), H * K);
  for (const Span& span : c.spans)
    for (int row = span.first_row; row < span.first_row + span.rows; ++row)
      for (int h = 0; h < H; ++h) {
        const int at = span.position + row - span.first_row;
        std::vector<double> weights;
        std::vector<const double*> values;
        double total = 0;
        for (int s = 0; s < span.segments; ++s) {
          const Segment& segment = c.segments[static_cast<std::size_t>(span.first_segment + s)];
          for (int j = 0; j < segment.count; ++j) {
            const int key = segment.first + j, apart = at - (segment.position + j);
            if (segment.causal && apart < 0) continue;
            const auto pool = static_cast<std::size_t>(segment.pool);
            double score = 0;
            for (int i = 0; i < K; ++i) {
              const double query = c.q(row, h * K + i), feature = c.k[pool](key, h / group * K + i);
              if (kind == Positions::relative)
                score += (query + c.u(0, h * K + i)) * feature +
                         (query + c.w(0, h * K + i)) * (span.uniform ? 0 : c.r(apart, h * K + i));
              else
                score += query * feature;
            }
            score *= static_cast<double>(c.shape.scale);
            if (kind == Positions::alibi) score -= c.slopes(0, h) * apart;
            weights.push_back(span.uniform ? 1 : std::exp(score));
            values.push_back(&c.v[pool](key, h / group * K));
            total += weights.back();
          }
        }
        for (std::size_t j = 0; j < weights.size(); ++j)
          for (int i = 0; i < K; ++i) y(row, h * K + i) += weights[j] / total * values[j][i];
        if (lse) (*lse)(row, h) = std::log(total);
      }
  return y;
}

// A weight goes through a product of K terms, a scale, an exponential and a sum over at most 18 keys.
constexpr std::size_t roundings = AttentionCase<float>::K + 18 + 8;

template <Positions kind>
void check_gradients() {
  AttentionCase<double> c;
  Context<Cpu<double>> ctx(1, 1 << 20);
  c.forward<kind>(ctx);
  c.backward<kind>(ctx);
  CHECK(c.intact());
  const auto loss = [&] { return inner(c.dy, naive(c, kind)); };
  const auto check_one = [&](const char* name, Tensor<double>& x, const Tensor<double>& dx) {
    INFO(name);
    const Distance d = gradient_check(x, dx, loss);
    CHECK(d.relative < difference_bound());
    CHECK(d.largest < difference_bound());
    CHECK_FALSE(all_zero(dx));
  };
  check_one("dq", c.q, c.dq);
  for (std::size_t pool = 0; pool < 2; ++pool) {
    check_one("dk", c.k[pool], c.dk[pool]);
    check_one("dv", c.v[pool], c.dv[pool]);
  }
  if (kind == Positions::relative) {
    check_one("dr", c.r, c.dr);
    check_one("du", c.u, c.du);
    check_one("dv of the position", c.w, c.dw);
  }
}

template <class R, Positions kind>
void check_values() {
  AttentionCase<R> c;
  AttentionCase<double> exact;
  Context<Cpu<R>> ctx(1, 1 << 20);
  c.template forward<kind>(ctx);
  Tensor<double> lse(exact.N, exact.H);
  CHECK(distance(c.y, naive(exact, kind, &lse)).relative < chain_bound<R>(roundings));
  for (int n = 0; n < c.N; ++n)
    if (std::find(c.rows_without_keys.begin(), c.rows_without_keys.end(), n) == c.rows_without_keys.end() && n != 12)
      for (int h = 0; h < c.H; ++h)
        CHECK(std::abs(c.lse(n, h) - lse(n, h)) < chain_bound<R>(roundings) * (1 + std::abs(lse(n, h))));

  Context<Cpu<double>> exact_ctx(1, 1 << 20);
  exact.forward<kind>(exact_ctx);
  exact.backward<kind>(exact_ctx);
  c.template backward<kind>(ctx);
  const double bound = chain_bound<R>(2 * roundings + 31);  // gradients add over the rows too
  CHECK(distance(c.dq, exact.dq).relative < bound);
  for (std::size_t pool = 0; pool < 2; ++pool) {
    CHECK(distance(c.dk[pool], exact.dk[pool]).relative < bound);
    CHECK(distance(c.dv[pool], exact.dv[pool]).relative < bound);
  }
  CHECK(distance(c.dr, exact.dr).relative <= bound);
  CHECK(distance(c.du, exact.du).relative <= bound);
  CHECK(distance(c.dw, exact.dw).relative <= bound);
  CHECK(c.intact());
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("attention is a softmax over all segments of a row's span", "[attention]", Platforms) {
  using R = typename TestType::Real;
  SECTION("without positions") { check_values<R, Positions::none>(); }
  SECTION("Alibi") { check_values<R, Positions::alibi>(); }
  SECTION("Relative") { check_values<R, Positions::relative>(); }
}

TEST_CASE("attention's gradients are those of finite differences", "[attention]") {
  SECTION("without positions") { check_gradients<Positions::none>(); }
  SECTION("Alibi") { check_gradients<Positions::alibi>(); }
  SECTION("Relative") { check_gradients<Positions::relative>(); }
}

TEMPLATE_LIST_TEST_CASE("a row without a key gives exactly zero and no gradient", "[attention]", Platforms) {
  AttentionCase<typename TestType::Real> c;
  Context<TestType> ctx(1, 1 << 20);
  c.forward(ctx);
  c.backward(ctx);
  for (const int row : c.rows_without_keys) {
    CHECK(all_zero(rows_of(c.y, row, 1)));
    CHECK(all_zero(rows_of(c.dq, row, 1)));
    for (int h = 0; h < c.H; ++h) CHECK((std::isinf(c.lse(row, h)) && c.lse(row, h) < 0));
  }
  // Key 0 of pool 0 lies in no segment; keys 12 of pool 1 neither.
  CHECK(all_zero(rows_of(c.dk[0], 0, 1)));
  CHECK(all_zero(rows_of(c.dv[0], 0, 1)));
  CHECK(all_zero(rows_of(c.dk[1], 11, 2)));
  CHECK(all_zero(rows_of(c.dv[1], 11, 2)));

  // Whatever flows into such rows reaches no key.
  const auto before = c.dv;
  for (const int row : c.rows_without_keys)
    for (int i = 0; i < c.dy.columns(); ++i) c.dy(row, i) = 1000;
  c.backward(ctx);
  CHECK(c.dv == before);
}

TEMPLATE_LIST_TEST_CASE("under equal weights a row is the mean of its values", "[attention]", Platforms) {
  using R = typename TestType::Real;
  AttentionCase<R> c;
  Context<TestType> ctx(1, 1 << 20);
  c.forward(ctx);
  c.backward(ctx);
  for (int row = 26; row < 29; ++row) {
    CHECK(all_zero(rows_of(c.dq, row, 1)));
    for (int h = 0; h < c.H; ++h) {
      CHECK(c.lse(row, h) == Approx(std::log(11.0)).epsilon(chain_bound<R>(roundings)));
      for (int i = 0; i < c.K; ++i) {
        double mean = 0, magnitudes = 0;
        for (int j = 0; j < 11; ++j) {
          const double value = static_cast<double>(c.v[1](j, h / 3 * c.K + i));
          mean += value / 11;
          magnitudes += std::abs(value) / 11;
        }
        CHECK(std::abs(static_cast<double>(c.y(row, h * c.K + i)) - mean) < sum_bound<R>(11, magnitudes));
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("the order of keys does not matter", "[attention]", Platforms) {
  using R = typename TestType::Real;
  AttentionCase<R> c, turned;
  // All segments of pool 1 that do not look at positions; the span of rows 26 .. 28 no longer uniform.
  c.spans = turned.spans = {{.first_row = 3, .rows = 23, .position = 0, .first_segment = 5, .segments = 1}};
  for (int j = 0; j < 11; ++j)
    for (int i = 0; i < c.k[1].columns(); ++i) {
      turned.k[1](j, i) = c.k[1](10 - j, i);
      turned.v[1](j, i) = c.v[1](10 - j, i);
    }
  Context<TestType> ctx(1, 1 << 20);
  c.forward(ctx);
  c.backward(ctx);
  turned.forward(ctx);
  turned.backward(ctx);
  CHECK(distance(turned.y, c.y).relative < chain_bound<R>(roundings));
  CHECK(distance(turned.dq, c.dq).relative < chain_bound<R>(2 * roundings));
  for (int j = 0; j < 11; ++j)
    CHECK(distance(rows_of(turned.dk[1], j, 1), rows_of(c.dk[1], 10 - j, 1)).relative < chain_bound<R>(3 * roundings));
}

TEMPLATE_LIST_TEST_CASE("a pool without a gradient leaves the others' bits alone", "[attention]", Platforms) {
  AttentionCase<typename TestType::Real> all, suffix;
  Context<TestType> ctx(1, 1 << 20);
  all.template forward<Positions::relative>(ctx);
  all.template backward<Positions::relative>(ctx);
  suffix.template forward<Positions::relative>(ctx);
  suffix.template backward<Positions::relative>(ctx, {true, false});
  CHECK(suffix.dq == all.dq);
  CHECK(suffix.dk[1] == all.dk[1]);
  CHECK(suffix.dv[1] == all.dv[1]);
  CHECK(suffix.dr == all.dr);
  CHECK(suffix.du == all.du);
  CHECK(suffix.dw == all.dw);
  CHECK(suffix.dk[0](1, 0) == 7);  // not touched
}

TEST_CASE("Relative's gradients are added to", "[attention]") {
  AttentionCase<double> once, twice;
  Context<Cpu<double>> ctx(1, 1 << 20);
  once.forward<Positions::relative>(ctx);
  once.backward<Positions::relative>(ctx);
  twice.forward<Positions::relative>(ctx);
  twice.backward<Positions::relative>(ctx);
  twice.backward<Positions::relative>(ctx);
  for (double& x : once.dr) x *= 2;
  CHECK(distance(twice.dr, once.dr).relative < chain_bound<double>(roundings));
  CHECK(twice.dq == once.dq);  // written
}

TEST_CASE("attention survives scores that no exponential holds", "[attention]") {
  AttentionCase<float> c;
  AttentionCase<double> exact;
  c.shape.scale = exact.shape.scale = 1000;
  Context<Cpu<float>> ctx(1, 1 << 20);
  Context<Cpu<double>> exact_ctx(1, 1 << 20);
  c.forward(ctx);
  exact.forward(exact_ctx);
  // A score of some thousands has an absolute error of some thousands of ε, and its weight a relative one.
  CHECK(distance(c.y, exact.y).relative < chain_bound<float>(roundings * 4000));
}

TEST_CASE("attention says what is wrong", "[attention]") {
  using P = Cpu<float>;
  AttentionCase<float> c;
  Context<P> ctx(1, 1 << 20);
  SECTION("heads") {
    c.shape.kv_heads = 4;
    CHECK_THROWS_WITH(c.forward(ctx),
                      "[attention] 6 heads over 4 key heads: the first must be a multiple of the second");
  }
  SECTION("width of q") {
    c.shape.head_dim = 7;
    CHECK_THROWS_WITH(c.forward(ctx), "[attention] q is (31, 30), expected width 42");
  }
  SECTION("width of keys") {
    c.k[1] = Tensor<float>(13, 7);
    CHECK_THROWS_WITH(c.forward(ctx), "[attention] keys are (13, 7) and values (13, 10), expected width 10 of both");
  }
  SECTION("shape of y") {
    c.y = Tensor<float>(29, 30);
    CHECK_THROWS_WITH(c.forward(ctx), "[attention] q is (31, 30), y is (29, 30) and lse is (31, 6), expected (31, 6)");
  }
  SECTION("number of pools") {
    const std::vector<KeyValue<P>> pools(5, c.pools<P>()[0]);
    CHECK_THROWS_WITH(ops::attention(ctx, c.shape, c.q.rows_on<P>(), pools, c.tables<P>(), NoPosition{},
                                     c.y.rows_on<P>(), c.lse.rows_on<P>()),
                      "[attention] 5 pools, at most 4");
  }
  SECTION("number of gradients") {
    const std::vector<KeyValueGradient<P>> gradients(1);
    CHECK_THROWS_WITH(ops::attention_backward(ctx, c.shape, c.q.rows_on<P>(), c.pools<P>(), c.tables<P>(), NoPosition{},
                                              c.y.rows_on<P>(), c.lse.rows_on<P>(), c.dy.rows_on<P>(),
                                              c.dq.rows_on<P>(), gradients, NoPosition{}),
                      "[attention_backward] 1 gradients for 2 pools");
  }
  SECTION("shape of dy") {
    c.dy = Tensor<float>(31, 29);
    CHECK_THROWS_WITH(c.backward(ctx),
                      "[attention_backward] q is (31, 30), dy is (31, 29) and dq is (31, 30): their shapes differ");
  }
}

}  // namespace attention_test
