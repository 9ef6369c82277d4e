#include <flamingo/kernels/cpu/attention.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "support/attention_case.hpp"
#include "support/bits.hpp"
#include "support/compare.hpp"
#include "support/platforms.hpp"

namespace attention_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("a row of attention alone has the bits that it has among 300", "[attention]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2, 1 << 20);
  const auto prepared = [](int first, int count) {
    AttentionCase<R> c;
    c.q = rows_of(Tensor<R>::random(300, c.H * c.K, 1, -2, 2), first, count);
    c.dy = rows_of(Tensor<R>::random(300, c.H * c.K, 2), first, count);
    c.y = c.dq = Tensor<R>(count, c.H * c.K);
    c.lse = Tensor<R>(count, c.H);
    c.segments = {{.pool = 0, .first = 1, .count = 21, .position = 0, .causal = 1},
                  {.pool = 1, .first = 2, .count = 10, .position = 0, .causal = 0}};
    c.spans = {{.first_row = 0, .rows = count, .position = first, .first_segment = 0, .segments = 2}};
    return c;
  };
  auto all = prepared(0, 300);
  all.forward(ctx);
  all.backward(ctx);
  for (const auto& [first, count] : {std::array{0, 1}, {3, 1}, {15, 1}, {16, 1}, {17, 1}, {299, 1}, {31, 5}}) {
    INFO("row " << first);
    auto alone = prepared(first, count);
    alone.forward(ctx);
    alone.backward(ctx);
    CHECK(alone.y == rows_of(all.y, first, count));
    CHECK(alone.lse == rows_of(all.lse, first, count));
    CHECK(alone.dq == rows_of(all.dq, first, count));
  }
}

/// Causal attention over 300 keys, cut in many ways: heads of a whole number of registers, and of one more; G heads of
/// keys, as many as of queries or half of them.
template <class R, int K, int G = 2>
struct Cuts {
  static constexpr int N = 300, H = 4;
  Tensor<R> q = Tensor<R>::random(N, H* K, 1, -2, 2), k = Tensor<R>::random(N, G* K, 2, -2, 2),
            v = Tensor<R>::random(N, G* K, 3), slopes = Tensor<R>::random(1, H, 4, 0, 0.1),
            r = Tensor<R>::random(N, H* K, 5), u = Tensor<R>::random(1, H* K, 6), w = Tensor<R>::random(1, H* K, 7);

  Tensor<bfloat16> short_k = rounded(k), short_v = rounded(v);

  /// In bfloat16; x becomes what they are.
  static Tensor<bfloat16> rounded(Tensor<R>& x) {
    Tensor<bfloat16> y(x.rows(), x.columns());
    std::transform(x.begin(), x.end(), y.begin(), [](R number) { return bfloat16(static_cast<float>(number)); });
    std::transform(y.begin(), y.end(), x.begin(),
                   [](bfloat16 number) { return static_cast<R>(static_cast<float>(number)); });
    return y;
  }

  /// y of all rows of q, under a span's rows and segments.
  template <class P>
  Tensor<R> run(Context<P>& ctx, Positions kind, const SpanList& list, Tensor<R>& queries) {
    const std::array<KeyValue<P>, 1> pools{{{k.template rows_on<P>(), v.template rows_on<P>()}}};
    return run<P, R>(ctx, kind, list, queries, pools);
  }
  /// The same of keys and values in bfloat16.
  template <class P>
  Tensor<R> run_short(Context<P>& ctx, Positions kind, const SpanList& list, Tensor<R>& queries) {
    const std::array<KeyValue<P, bfloat16>, 1> pools{{{short_k.template rows_on<P>(), short_v.template rows_on<P>()}}};
    return run<P, bfloat16>(ctx, kind, list, queries, pools);
  }
  template <class P, class T>
  Tensor<R> run(Context<P>& ctx, Positions kind, const SpanList& list, Tensor<R>& queries,
                std::span<const KeyValue<P, T>> pools) {
    Tensor<R> y(queries.rows(), H * K, R(7)), lse(queries.rows(), H);
    const AttentionShape shape{.heads = H, .kv_heads = G, .head_dim = K, .scale = 0.3f};
    const Spans<P> spans{{list.spans.data(), {static_cast<int>(list.spans.size())}},
                         {list.segments.data(), {static_cast<int>(list.segments.size())}}};
    const auto with = [&](const auto& position) {
      ops::attention(ctx, shape, queries.template rows_on<P>(), pools, spans, position, y.template rows_on<P>(),
                     lse.template rows_on<P>());
    };
    if (kind == Positions::none)
      with(NoPosition{});
    else if (kind == Positions::alibi)
      with(Alibi<P>{slopes.template view_on<P>()});
    else
      with(Relative<P>{r.template rows_on<P>(), u.template view_on<P>(), w.template view_on<P>()});
    return y;
  }
};

template <class P, int K, int G = 2>
void check_cuts() {
  using R = typename P::Real;
  Cuts<R, K, G> c;
  Context<P> ctx(2, 1 << 20);
  for (const Positions kind : {Positions::none, Positions::alibi, Positions::relative}) {
    SpanList whole;
    whole.begin(0, c.N);
    whole.add({0, 0, c.N, 0, 1});
    const auto all = c.run(ctx, kind, whole, c.q);
    for (const int row : {0, 1, 15, 16, 127, 128, 129, 255, 256, 299}) {
      INFO("row " << row << " alone");
      SpanList one;
      one.begin(0, 1, row);
      one.add({0, 0, row / 3, 0, 0});
      one.add({0, row / 3, 0, row / 3, 0});
      one.add({0, row / 3, row + 1 - row / 3, row / 3, 1});
      auto q = rows_of(c.q, row, 1);
      CHECK(c.run(ctx, kind, one, q) == rows_of(all, row, 1));
    }
    for (const int rows : {1, 3, 50}) {
      INFO("pieces of " << rows << " rows");
      SpanList pieces;  // the last 150 rows share what came before, as answers share a prompt
      const int first = c.N - 150;
      for (int row = first; row < c.N; row += rows) {
        pieces.begin(row - first, rows, row);
        pieces.add({0, 0, 140, 0, 0});
        pieces.add({0, 140, row - 140, 140, 0});
        pieces.add({0, row, rows, row, 1});
      }
      auto q = rows_of(c.q, first, 150);
      CHECK(c.run(ctx, kind, pieces, q) == rows_of(all, first, 150));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a row's bits do not tell how its keys were cut, nor with whom it shares them", "[attention]",
                        Platforms) {
  SECTION("whole registers") { check_cuts<TestType, 32>(); }
  SECTION("each query its own keys") { check_cuts<TestType, 32, 4>(); }
  SECTION("and a rest") { check_cuts<TestType, 33>(); }
}

template <class P, int K, int G = 2>
void check_bfloat16() {
  Cuts<typename P::Real, K, G> c;
  Context<P> ctx(2, 1 << 20);
  for (const Positions kind : {Positions::none, Positions::alibi, Positions::relative})
    for (const int rows : {1, 3, 14, 300}) {  // of a tile, and of more than one
      INFO("spans of " << rows << " rows");
      SpanList list;
      for (int row = 0; row + rows <= c.N; row += rows) {
        list.begin(row, rows, row);
        list.add({0, 0, row / 2, 0, 0});
        list.add({0, row / 2, row - row / 2 + rows, row / 2, 1});
      }
      CHECK(c.run_short(ctx, kind, list, c.q) == c.run(ctx, kind, list, c.q));
    }
}

TEMPLATE_LIST_TEST_CASE("keys and values in bfloat16 give the bits of the same numbers widened", "[attention]",
                        Platforms) {
  SECTION("two registers of features") { check_bfloat16<TestType, 64>(); }
  SECTION("each query its own keys") { check_bfloat16<TestType, 96, 4>(); }
  SECTION("and a rest") { check_bfloat16<TestType, 41>(); }
  SECTION("less than a register") { check_bfloat16<TestType, 5>(); }
}

/// The definition's gradients over 300 keys and as many rows, each of which sees those up to its own.
TEST_CASE("attention's gradients over several blocks are the definition's", "[attention]") {
  using P = Cpu<double>;
  constexpr int N = 300, H = 2, K = 9;
  const auto dy = Tensor<double>::random(N, H * K, 8);
  Context<P> ctx(2, 1 << 20);
  for (const Positions kind : {Positions::alibi, Positions::relative}) {
    const bool relative = kind == Positions::relative;
    INFO((relative ? "relative" : "Alibi"));
    auto q = Tensor<double>::random(N, H * K, 1), y = q, lse = Tensor<double>(N, H), dq = q;
    auto k = Tensor<double>::random(N, K, 2), v = Tensor<double>::random(N, K, 3), dk = k, dv = v;
    Tensor<double> eq(N, H * K), ek(N, K), ev(N, K), r = Tensor<double>::random(N, H * K, 5), dr(N, H * K),
                                                     er(N, H * K);
    Tensor<double> u = Tensor<double>::random(1, H * K, 6), w = Tensor<double>::random(1, H * K, 7), du(1, H * K),
                   dw(1, H * K), eu(1, H * K), ew(1, H * K), slopes = Tensor<double>::random(1, H, 4, 0, 0.1);
    const double scale = 0.25;
    for (int n = 0; n < N; ++n)
      for (int h = 0; h < H; ++h) {
        std::vector<double> p(static_cast<std::size_t>(n + 1)), dp = p;
        double total = 0, mean = 0;
        for (int j = 0; j <= n; ++j) {
          double score = 0, flow = 0;
          for (int i = 0; i < K; ++i) {
            const int at = h * K + i;
            score +=
                relative ? (q(n, at) + u(0, at)) * k(j, i) + (q(n, at) + w(0, at)) * r(n - j, at) : q(n, at) * k(j, i);
            flow += dy(n, at) * v(j, i);
          }
          p[static_cast<std::size_t>(j)] = std::exp(score * scale - (relative ? 0 : slopes(0, h) * (n - j)));
          dp[static_cast<std::size_t>(j)] = flow;
          total += p[static_cast<std::size_t>(j)];
        }
        for (std::size_t j = 0; j < p.size(); ++j) mean += (p[j] /= total) * dp[j];
        for (int j = 0; j <= n; ++j) {
          const double weight = p[static_cast<std::size_t>(j)],
                       ds = weight * (dp[static_cast<std::size_t>(j)] - mean) * scale;
          for (int i = 0; i < K; ++i) {
            const int at = h * K + i;
            ev(j, i) += weight * dy(n, at);
            ek(j, i) += ds * (q(n, at) + (relative ? u(0, at) : 0));
            eq(n, at) += ds * (k(j, i) + (relative ? r(n - j, at) : 0));
            er(n - j, at) += ds * (q(n, at) + w(0, at));
            eu(0, at) += ds * k(j, i);
            ew(0, at) += ds * r(n - j, at);
          }
        }
      }
    SpanList list;
    list.begin(0, N);
    list.add({0, 0, N, 0, 1});
    const AttentionShape shape{.heads = H, .kv_heads = 1, .head_dim = K, .scale = static_cast<float>(scale)};
    const Spans<P> spans{{list.spans.data(), {1}}, {list.segments.data(), {1}}};
    const std::array<KeyValue<P>, 1> pools{{{k.rows_on<P>(), v.rows_on<P>()}}};
    const std::array<KeyValueGradient<P>, 1> gradients{{{dk.rows_on<P>(), dv.rows_on<P>()}}};
    const auto both = [&](const auto& position, const auto& dposition) {
      ops::attention(ctx, shape, q.rows_on<P>(), pools, spans, position, y.rows_on<P>(), lse.rows_on<P>());
      ops::attention_backward(ctx, shape, q.rows_on<P>(), pools, spans, position, y.rows_on<P>(), lse.rows_on<P>(),
                              dy.rows_on<P>(), dq.rows_on<P>(), gradients, dposition);
    };
    if (relative)
      both(Relative<P>{r.rows_on<P>(), u.view_on<P>(), w.view_on<P>()},
           RelativeGradient<P>{dr.rows_on<P>(), du.view_on<P>(), dw.view_on<P>()});
    else
      both(Alibi<P>{slopes.view_on<P>()}, NoPosition{});
    CHECK(distance(dq, eq).relative < 1e-12);
    CHECK(distance(dk, ek).relative < 1e-12);
    CHECK(distance(dv, ev).relative < 1e-12);
    if (!relative) continue;
    CHECK(distance(dr, er).relative < 1e-12);
    CHECK(distance(du, eu).relative < 1e-12);
    CHECK(distance(dw, ew).relative < 1e-12);
  }
}

TEMPLATE_LIST_TEST_CASE("attention has the same bits on any number of threads", "[attention]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  check_repeatable<P>([](Context<P>& ctx) {
    AttentionCase<R> c;
    c.template forward<Positions::relative>(ctx);
    c.template backward<Positions::relative>(ctx);
    return std::array{c.y, c.lse, c.dq, c.dk[0], c.dk[1], c.dv[0], c.dv[1], c.dr, c.du, c.dw};
  });
}

TEMPLATE_LIST_TEST_CASE("keys that nobody sees change no bit", "[attention]", Platforms) {
  using R = typename TestType::Real;
  AttentionCase<R> c, other;
  // Key 18 of pool 0 lies at position 17: only row 12 is so late. Row 0 and what lies behind 22 are in no segment.
  for (int i = 0; i < c.k[0].columns(); ++i) {
    other.k[0](18, i) = 1000;
    other.v[0](18, i) = 1000;
    other.k[0](0, i) = 1000;
  }
  Context<TestType> ctx(1, 1 << 20);
  c.forward(ctx);
  other.forward(ctx);
  CHECK(rows_of(other.y, 2, 10) == rows_of(c.y, 2, 10));
  CHECK_FALSE(rows_of(other.y, 12, 1) == rows_of(c.y, 12, 1));
}

TEST_CASE("attention refuses tables that leave their tensors", "[attention]") {
  using P = Cpu<float>;
  AttentionCase<float> c;
  Context<P> ctx(1, 1 << 20);
  const auto check_both = [&](const char* text) {
    CHECK_THROWS_WITH(c.forward(ctx), text);
    CHECK_THROWS_WITH(c.backward(ctx), text);
  };
  SECTION("rows") {
    c.spans[4].rows = 6;
    check_both("[attention] span 4 covers rows 26 to 32 of 31");
  }
  SECTION("segments") {
    c.spans[2].segments = 3;
    check_both("[attention] span 2 names segments 4 to 7 of 6");
  }
  SECTION("pools") {
    c.segments[3].pool = 2;
    check_both("[attention] segment 3 lies in pool 2 of 2");
  }
  SECTION("keys") {
    c.segments[3].count = 5;
    check_both("[attention] segment 3 covers keys 19 to 24 of 23");
  }
  SECTION("distances") {
    c.spans[1].position = 3;
    CHECK_THROWS_WITH(
        c.forward<Positions::relative>(ctx),
        "[attention] span 1 has keys at distances -1 to 7, expected 0 to 18: r has a row for each distance");
    c.spans[1].position = 15;
    CHECK_THROWS_WITH(
        c.backward<Positions::relative>(ctx),
        "[attention] span 1 has keys at distances 11 to 19, expected 0 to 18: r has a row for each distance");
  }
}

}  // namespace attention_test
