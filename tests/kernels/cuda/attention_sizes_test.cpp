#include <flamingo/kernels/cuda/attention_sizes.hpp>

#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>
#include <flamingo/dry.hpp>

namespace attention_sizes_test {

using namespace flamingo;

namespace {

template <class R, int K>
void check_decode(int head_dim) {
  using Number = typename flamingo::detail::Bare<R>::Type;
  for (const int group : {1, 2, 4, 6, 8, 16})
    for (const int kv_heads : {1, 3, 12})
      for (const int tiles : {1, 2, 7, 64})
        for (const long long most_keys : {0, 1, 40, 1000, 100'000}) {
          const int heads = group * kv_heads;
          const raw::AttentionShape shape{tiles, heads, kv_heads, head_dim};
          const int parts = raw::attention_decode_parts<K, Number>(shape, tiles, most_keys);
          const std::size_t expected = raw::attention_decode_size(shape, tiles, parts);
          const std::size_t got = kernels::decode_numbers<R>({heads, kv_heads, head_dim}, tiles, most_keys);
          if (got != expected) FAIL_CHECK(got << " numbers, expected " << expected << " of heads of " << head_dim);
        }
}

constexpr int H = 4, KV = 2, K = 8, distances = 45;

/// What a call takes at most: of three spans of so many rows each, and its operands.
template <Platform P, class Position>
std::size_t taken(Context<P>& ctx, int rows, const Position& position, bool backward) {
  using A = AccumulateOf<P>;
  const AttentionShape shape{H, KV, K, 0.5f};
  constexpr int keys = std::is_same_v<Position, Relative<P>> ? 30 : 300;  // of several parts
  SpanList list;
  for (int s = 0; s < 3; ++s) {
    list.begin(s * rows, rows, 40 - rows);
    list.add({.pool = 0, .first = 10 * s, .count = keys, .position = 5, .causal = 1});
  }
  const auto q = keep<H * K>(ctx, 3 * rows + 2), y = keep<H * K>(ctx, 3 * rows + 2),
             dy = keep<H * K>(ctx, 3 * rows + 2);
  const auto k = keep<KV * K>(ctx, 500), v = keep<KV * K>(ctx, 500), dk = keep<KV * K>(ctx, 500),
             dv = keep<KV * K>(ctx, 500);
  for (const auto& x : {q, dy}) ops::clear(ctx, x);
  for (const auto& x : {k, v}) ops::clear(ctx, x);
  const auto lse = keep<dynamic, A>(ctx, q.rows, H);
  const auto spans = table(ctx, list);
  const std::array<KeyValue<P>, 1> pools{KeyValue<P>{k, v}};
  ops::attention(ctx, shape, q, pools, spans, position, y, lse);
  if (backward) {
    const std::array<KeyValueGradient<P>, 1> dpools{KeyValueGradient<P>{dk, dv}};
    if constexpr (std::is_same_v<Position, Relative<P>>) {
      const auto du = take_vector<A, true>(ctx, H * K), dv_ = take_vector<A, true>(ctx, H * K);
      const auto dr = keep<H * K>(ctx, distances);
      ops::attention_backward(ctx, shape, q, pools, spans, position, y, lse, dy, dy, dpools,
                              RelativeGradient<P>{dr, du, dv_});
    } else {
      ops::attention_backward(ctx, shape, q, pools, spans, position, y, lse, dy, dy, dpools, NoGrad{});
    }
  }
  return ctx.arena().peak();
}
template <Platform P>
Context<P> context() {
  if constexpr (requires { Context<P>(std::size_t{1} << 20, 4096); })
    return Context<P>(std::size_t{1} << 20, 4096);
  else
    return {};
}
template <Platform P>
std::size_t plainly(int rows, bool backward) {
  Context<P> ctx = context<P>();
  return taken(ctx, rows, NoPosition{}, backward);
}
template <Platform P>
std::size_t by_distance(int rows, bool backward) {
  Context<P> ctx = context<P>();
  using A = AccumulateOf<P>;
  const auto r = keep<H * K>(ctx, distances);
  const auto u = take_vector<A, true>(ctx, H * K), v = take_vector<A, true>(ctx, H * K);
  ops::clear(ctx, r);
  clear_numbers(ctx, u.data, u.size());
  clear_numbers(ctx, v.data, v.size());
  return taken(ctx, rows, Relative<P>{r, {u.data, u.shape}, {v.data, v.shape}}, backward);
}

}  // namespace

TEMPLATE_TEST_CASE("the workspace of decoding has the size that its kernels ask for", "[cuda]", float, double,
                   bfloat16) {
  for (const int head_dim : {1, 8, 24, 32}) check_decode<TestType, 32>(head_dim);
  for (const int head_dim : {40, 64}) check_decode<TestType, 64>(head_dim);
  for (const int head_dim : {72, 128}) check_decode<TestType, 128>(head_dim);
}

TEMPLATE_TEST_CASE("dry attention takes what Cuda's does", "[cuda]", float, double, bfloat16) {
  using P = Cuda<TestType>;
  CHECK(plainly<Dry<P>>(1, false) == plainly<P>(1, false));
  CHECK(plainly<Dry<P>>(3, true) == plainly<P>(3, true));
  CHECK(by_distance<Dry<P>>(3, false) == by_distance<P>(3, false));
  CHECK(by_distance<Dry<P>>(3, true) == by_distance<P>(3, true));
  CHECK(by_distance<Dry<P>>(1, true) == by_distance<P>(1, true));
}

TEMPLATE_TEST_CASE("dry tables take what Cuda's do", "[cuda]", float, bfloat16) {
  const auto kept = []<Platform P>(Context<P> ctx) {
    std::vector<std::size_t> after;
    const auto note = [&] { after.push_back(ctx.arena().kept()); };
    table(ctx, std::vector<int>(17));
    note();
    const std::vector<float> lasts(33);
    lasting_table(ctx, lasts);
    note();
    SpanList list;
    list.begin(3, 200);
    list.add({.pool = 0, .first = 10, .count = 300, .position = 0, .causal = 1});
    list.add({.pool = 1, .first = 0, .count = 7, .position = 0, .causal = 0});
    table(ctx, list);
    note();
    return after;
  };
  using P = Cuda<TestType>;
  CHECK(kept(context<Dry<P>>()) == kept(context<P>()));
}

TEST_CASE("scores by distance are of as many heads as the table holds", "[cuda]") {
  const AttentionShape shape{12, 3, 8};
  CHECK(kernels::RelativeTable(shape, 10, 9).heads == 12);
  CHECK(kernels::RelativeTable(shape, 10, 9).columns == 16);
  CHECK(kernels::RelativeTable(shape, 10, 9, 2 * 4 * 160).heads == 8);
  CHECK(kernels::RelativeTable(shape, 10, 9, 1).heads == 4);
}

}  // namespace attention_sizes_test
