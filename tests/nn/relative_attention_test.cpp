// Transformer-XL's positions in an attention layer: projection of distances, u and v, caches.
#include <catch2/catch.hpp>
#include <cmath>

#include "nn/attention_case.hpp"
#include "support/platforms.hpp"

namespace relative_attention_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr AttentionConfig grouped{
    .dim = 8, .source_dim = 8, .heads = 4, .kv_heads = 2, .head_dim = 3, .relative = true},
    biased{.dim = 6, .source_dim = 6, .heads = 2, .kv_heads = 2, .head_dim = 5, .bias = true, .relative = true};

using P = Cpu<double>;

/// The layer in double loops: a score is ((q + u) k + (q + v) (w r)) / √K with r the sinusoid of the distance.
template <AttentionConfig C>
Tensor<double> naive(AttentionLayerCase<C, P>& c) {
  constexpr int D = C.dim, H = C.heads, K = C.head_dim, group = H / C.kv_heads, half = D / 2;
  const double scale = static_cast<double>(AttentionLayerCase<C, P>::Layer::shape().scale);  // 1 / √K in float
  using Row = std::vector<double>;
  const auto& w = c.weights.views;
  const auto product = [](const auto& matrix, int o, const double* x) {
    double sum = 0;
    for (int i = 0; i < matrix.columns; ++i) sum += matrix.row(o)[i] * x[i];
    return sum;
  };
  const auto bias = [](const auto& b, int o) {
    if constexpr (C.bias)
      return b.data[o];
    else
      return 0.0 * static_cast<double>(sizeof(b) + static_cast<std::size_t>(o));
  };
  Tensor<double> y(c.N, D);
  for (const Span& span : c.spans.spans)
    for (int n = span.first_row; n < span.first_row + span.rows; ++n) {
      const int at = span.position + n - span.first_row;
      Row attended(std::size_t{H * K});
      for (int h = 0; h < H; ++h) {
        double total = 0;
        Row sum(std::size_t{K});
        for (int s = 0; s < span.segments; ++s) {
          const Segment& segment = c.spans.segments[static_cast<std::size_t>(span.first_segment + s)];
          for (int j = 0; j < segment.count; ++j) {
            const int key = segment.first + j, apart = at - segment.position - j;
            if (segment.causal && apart < 0) continue;
            Row wave(std::size_t{D});
            for (int i = 0; i < half; ++i) {
              const double angle = apart * std::pow(10000, -static_cast<double>(i) / half);
              wave[static_cast<std::size_t>(i)] = std::sin(angle);
              wave[static_cast<std::size_t>(i + half)] = std::cos(angle);
            }
            double score = 0;
            Row value(std::size_t{K});
            for (int i = 0; i < K; ++i) {
              const int a = h * K + i, b = h / group * K + i;
              const double* asked = c.x.data() + key * D;
              const double q = product(w.query, a, c.x.data() + n * D) + bias(w.query_bias, a);
              const double k = segment.pool ? c.cached_k(key, b) : product(w.key, b, asked) + bias(w.key_bias, b);
              value[static_cast<std::size_t>(i)] =
                  segment.pool ? c.cached_v(key, b) : product(w.value, b, asked) + bias(w.value_bias, b);
              score += (q + w.u.data[a]) * k + (q + w.v.data[a]) * product(w.distance, a, wave.data());
            }
            const double weight = std::exp(score * scale);
            total += weight;
            for (std::size_t i = 0; i < K; ++i) sum[i] += weight * value[i];
          }
        }
        for (std::size_t i = 0; i < K; ++i) attended[static_cast<std::size_t>(h * K) + i] = sum[i] / total;
      }
      for (int o = 0; o < D; ++o) y(n, o) = product(w.out, o, attended.data()) + bias(w.out_bias, o);
    }
  return y;
}

template <AttentionConfig C>
void check_naive() {
  using Case = AttentionLayerCase<C, P>;
  Context<P> ctx(1, 1 << 20);
  Case c(drawn<typename Case::Layer, P>(7));
  c.forward(ctx);
  CHECK(distance(c.y, naive(c)).relative < 1e-12);
}

/// r made before, in pieces, is as good as r made for the call.
template <Platform Q>
void check_made_before() {
  using R = typename Q::Real;
  using Layer = nn::Attention<grouped, Q>;
  Context<Q> ctx(1, 1 << 20);
  const auto w = drawn<Layer, Q>(7);
  Tensor<R> r(9, Layer::Q, R(7)), whole(9, Layer::Q, R(7));
  const auto part = [](Tensor<R>& t, int first, int count) {
    return t.template rows_on<Q, Layer::Q>().slice(first, count);
  };
  Layer::distances(ctx, w.views, 0, part(whole, 0, 9));
  Layer::distances(ctx, w.views, 0, part(r, 0, 4));
  Layer::distances(ctx, w.views, 4, part(r, 4, 5));
  CHECK(r == whole);
  const auto x = drawn_rows<R>(5, 8, 1), k = drawn_rows<R>(5, Layer::KV, 2), v = drawn_rows<R>(5, Layer::KV, 3);
  SpanList spans;
  spans.begin(0, 5, 4);
  spans.add({0, 0, 5, 0, 1});
  const auto run = [&](const Positions<Q>& positions) {
    Tensor<R> y(5, 8, R(7));
    auto keys = k, values = v;
    Pools<Q> pools;
    pools.add({keys.template rows_on<Q>(), values.template rows_on<Q>()});
    Layer::template attend<no_gradients>(ctx, w.views, x.template rows_on<Q, 8>(), positions, pools, table(ctx, spans),
                                         y.template rows_on<Q, 8>());
    return y;
  };
  CHECK(run({{}, 9}) == run({{}, 9, part(r, 0, 9)}));
  CHECK_THROWS_WITH(run({{}, 8}),
                    "[attention] span 0 has keys at distances 0 to 8, expected 0 to 7: r has a row for "
                    "each distance");
}

}  // namespace

TEST_CASE("relative attention is a double loop's", "[nn][relative]") {
  check_naive<grouped>();
  check_naive<biased>();
}

TEST_CASE("relative attention's gradients are those of finite differences", "[nn][relative]") {
  check_differences<grouped>();
  check_differences<biased>();
}

TEST_CASE("relative attention is the same in float", "[nn][relative]") { check_types<biased>(); }

TEST_CASE("relative attention over two processes gives the undivided result", "[nn][relative][split]") {
  check_split<grouped, P>();
}

TEMPLATE_LIST_TEST_CASE("relative attention over a cache has the bits of the whole", "[nn][relative]", Platforms) {
  check_cache<grouped, TestType>();
  check_made_before<TestType>();
}

TEST_CASE("an unwanted gradient of relative attention changes no other bit", "[nn][relative]") {
  check_frozen<biased>();
}

}  // namespace relative_attention_test
