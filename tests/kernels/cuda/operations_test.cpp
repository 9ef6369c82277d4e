#include "kernels/cuda/operations.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template Results operations<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace operations_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_TEST_CASE("each operation of Cuda agrees with the CPU's", "[cuda]", float, double) {
  const Results got = operations<Cuda<TestType>>(), expected = operations<Cpu<double, Isa::portable>>();
  const double allowed = chain_bound<TestType>(roundings_of_operations);
  if (std::is_same_v<TestType, double>) REQUIRE(allowed < 1e-12);
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  CHECK(worst.distance < allowed);
}

TEST_CASE("maps with what follows them compare shapes before anything is read", "[cuda]") {
  using P = Cuda<float>;
  Run<P> run;
  auto& ctx = run.ctx;
  const auto x = run.rows(3, 8, 1), base = run.rows(3, 5, 2), branch = run.blank(3, 5), sum = run.blank(3, 5);
  const auto w = run.matrix(5, 8, 3);
  CHECK_THROWS_WITH(ops::last_linear<1>(ctx, x, w, Nothing{}, onto(base.slice(0, 2), branch, sum)),
                    "[linear] the stream is (2, 5) and its sum is (3, 5)");
  CHECK_THROWS_WITH(ops::last_linear<1>(ctx, x, w, run.vector(4, 4), onto(base, branch, sum)),
                    "[linear] b has 4 numbers, expected 5");
  CHECK_THROWS_WITH(ops::last_linear<1>(ctx, x, w, Nothing{}, onto<false>(base, run.vector(4, 5), branch, sum)),
                    "[linear] gate has 4 numbers, expected 5, or 1 in its type");
}

TEST_CASE("attention on Cuda holds its tables against its tensors", "[cuda]") {
  using P = Cuda<float>;
  Run<P> run;
  auto& ctx = run.ctx;
  SpanList list;
  list.begin(0, 3);
  list.add({.pool = 0, .first = 2, .count = 3, .position = 0, .causal = 0});
  const auto spans = table(ctx, list);
  const auto attend = [&](int queries, int keys, int head_dim) {
    const std::array<KeyValue<P>, 1> pools{{{run.rows(keys, head_dim, 1), run.rows(keys, head_dim, 2)}}};
    ops::attention(ctx, {.heads = 1, .kv_heads = 1, .head_dim = head_dim, .scale = 1}, run.rows(queries, head_dim, 3),
                   pools, spans, NoPosition{}, run.blank(queries, head_dim), run.blank(queries, 1));
  };
  CHECK_NOTHROW(attend(3, 5, 7));
  CHECK_THROWS_WITH(attend(2, 5, 7), "[attention] the spans cover rows up to 3 of 2");
  CHECK_THROWS_WITH(attend(3, 4, 7), "[attention] the segments cover keys up to 5 of pool 0, which has 4");
  CHECK_THROWS_WITH(attend(3, 5, 131), "[attention] head_dim is 131, expected at most 128 on CUDA");
}

TEST_CASE("tables made for forward alone have no lists of keys, and no backward", "[cuda]") {
  using P = Cuda<float>;
  Run<P> run;
  auto& ctx = run.ctx;
  SpanList list;
  list.begin(0, 3);
  list.add({.pool = 0, .first = 0, .count = 5, .position = 0, .causal = 0});
  const auto both = table(ctx, list), forward = forward_table(ctx, list);
  CHECK(both.lists.tables.key_tile_count > 0);
  CHECK(forward.lists.tables.key_tile_count == 0);
  const int K = 8;
  const AttentionShape shape{.heads = 1, .kv_heads = 1, .head_dim = K, .scale = 1};
  const auto q = run.rows(3, K, 3), y = run.blank(3, K), again = run.blank(3, K), lse = run.blank(3, 1),
             dq = run.blank(3, K), dk = run.blank(5, K), dv = run.blank(5, K);
  const std::array<KeyValue<P>, 1> pools{{{run.rows(5, K, 1), run.rows(5, K, 2)}}};
  const std::array<KeyValueGradient<P>, 1> dpools{{{dk, dv}}};
  ops::attention(ctx, shape, q, pools, both, NoPosition{}, y, lse);
  ops::attention(ctx, shape, q, pools, forward, NoPosition{}, again, lse);
  CHECK(host_copy(ctx, y.data, y.size()) == host_copy(ctx, again.data, y.size()));
  CHECK_THROWS_WITH(
      ops::attention_backward(ctx, shape, q, pools, forward, NoPosition{}, y, lse, q, dq, dpools, NoGrad{}),
      "[attention_backward] the tables were made for forward alone (forward_table)");
}

TEST_CASE("a captured call of single rows reads the tables of each step", "[cuda]") {
  using P = Cuda<float>;
  Run<P> run;
  auto& ctx = run.ctx;
  const int N = 3, H = 4, G = 2, K = 32;
  const std::array<KeyValue<P>, 1> pools{{{run.rows(300, G * K, 1), run.rows(300, G * K, 2)}}};
  const auto q = run.rows(N, H * K, 3), y = run.blank(N, H * K), lse = run.blank(N, H);
  Replay<P> replay;
  for (int step = 0; step < 5; ++step) {
    const auto kept = ctx.kept_scope();
    SpanList list;
    for (int n = 0; n < N; ++n) {
      list.begin(n, 1);
      list.add({.pool = 0, .first = 100 * n, .count = 31 * n + step, .position = 0, .causal = 0});
    }
    const auto spans = table(ctx, list);
    const auto attend = [&] {
      ops::attention(ctx, {.heads = H, .kv_heads = G, .head_dim = K, .scale = 0.25f}, q, pools, spans, NoPosition{}, y,
                     lse);
    };
    std::vector<std::uintptr_t> key;
    extend_key(key, spans);
    replay(ctx, key, attend);
    CHECK(replay.captured() == (step > 0 && step != 3));  // then there are 65 keys, and more parts than for 64
    const auto replayed = host_copy(ctx, y.data, y.size());
    clear_numbers(ctx, y.data, y.size());
    attend();
    CHECK(host_copy(ctx, y.data, y.size()) == replayed);
    CHECK(std::isfinite(host_copy(ctx, lse.data, 1)[0]) == (step > 0));
  }
}

TEST_CASE("more single rows than are divided among blocks go the way of all others, to the same numbers", "[cuda]") {
  using P = Cuda<double>;
  Run<P> run;
  auto& ctx = run.ctx;
  const int many = 65, K = 16;
  const std::array<KeyValue<P>, 1> pools{{{run.rows(90, K, 1), run.rows(90, K, 2)}}};
  const auto q = run.rows(many, K, 3);
  const auto attend = [&](int rows) {
    SpanList list;
    for (int n = 0; n < rows; ++n) {
      list.begin(n, 1, n);
      list.add({.pool = 0, .first = 3, .count = 87, .position = 0, .causal = 1});
    }
    const auto y = run.blank(rows, K), lse = run.blank(rows, 1);
    ops::attention(ctx, {.heads = 1, .kv_heads = 1, .head_dim = K, .scale = 0.25f}, q.slice(0, rows), pools,
                   table(ctx, list), NoPosition{}, y, lse);
    return host_copy(ctx, y.data, static_cast<std::size_t>(64 * K));
  };
  const std::vector<double> by_parts = attend(64), by_tiles = attend(many);
  for (std::size_t i = 0; i < by_parts.size(); ++i)
    CHECK(by_parts[i] == Approx(by_tiles[i]).epsilon(1e-11).margin(1e-13));
  CHECK(by_parts != by_tiles);  // sums in another order
}

TEST_CASE("spans of single rows have a key of their own", "[cuda]") {
  Context<Cuda<float>> ctx(std::size_t{1} << 16);
  const auto key_of = [&](const SpanList& list) {
    std::vector<std::uintptr_t> key;
    const auto kept = ctx.kept_scope();
    extend_key(key, table(ctx, list));
    return key;
  };
  SpanList both, last;  // three rows and two tiles in both
  both.begin(0, 1);
  both.begin(1, 2);
  last.begin(2, 1);
  CHECK(key_of(both) == key_of(both));
  CHECK(key_of(both) != key_of(last));
}

}  // namespace operations_test
