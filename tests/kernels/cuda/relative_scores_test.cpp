#include "kernels/cuda/relative_attention.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template Results relative_attention<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace relative_scores_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_TEST_CASE("attention with relative positions on Cuda agrees with the CPU's", "[cuda]", float, double,
                   bfloat16) {
  const Results got = relative_attention<Cuda<TestType>>(), expected = relative_attention<Cpu<double, Isa::portable>>();
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  // bf16: what is read, scores' operands, weights and results are rounded; sums are not.
  constexpr std::size_t roundings = std::is_same_v<TestType, bfloat16> ? 4 : roundings_of_relative_attention;
  CHECK(worst.distance < chain_bound<TestType>(roundings));
}

TEST_CASE("relative positions on Cuda hold r against the distances of the spans", "[cuda]") {
  using P = Cuda<float>;
  Run<P> run;
  auto& ctx = run.ctx;
  const auto attend = [&](int query_position, int distances) {
    SpanList list;
    list.begin(0, 3, query_position);
    list.add({.pool = 0, .first = 0, .count = 5, .position = 0, .causal = 0});
    const std::array<KeyValue<P>, 1> pools{{{run.rows(5, 8, 1), run.rows(5, 8, 2)}}};
    const auto bias = run.vector(8, 4);
    ops::attention(ctx, {.heads = 1, .kv_heads = 1, .head_dim = 8, .scale = 1}, run.rows(3, 8, 3), pools,
                   table(ctx, list), Relative<P>{run.rows(distances, 8, 5), {bias.data, {8}}, {bias.data, {8}}},
                   run.blank(3, 8), run.blank(3, 1));
  };
  CHECK_NOTHROW(attend(4, 7));
  CHECK_THROWS_WITH(attend(4, 6),
                    "[attention] the spans have keys at distances 0 to 6, expected 0 to 5: r has a row "
                    "for each distance");
  CHECK_THROWS_WITH(attend(3, 7), Catch::StartsWith("[attention] the spans have keys at distances -1 to 5"));
}

TEST_CASE("scores of relative positions are the same in a table of all heads and in several", "[cuda]") {
  using P = Cuda<float>;
  Run<P> run;
  const int rows = 5, K = 8, H = 6;
  const auto q = run.rows(rows, H * K, 1), r = run.rows(11, H * K, 2);
  const auto bias = run.vector(H * K, 3);
  const auto scores = [&](std::size_t most, std::vector<int>& parts) {
    std::vector<float> all;
    kernels::RelativeScores<float>(run.ctx, {rows, H, 2, K}, 0.5f, q, r, bias.data, most)
        .forward([&](int first, int heads, const auto& term) {
          CHECK((first == static_cast<int>(all.size()) / (rows * 16) && term.rows == rows && term.distances == 16));
          parts.push_back(heads);
          const auto some = host_copy(run.ctx, term.scores, static_cast<std::size_t>(heads * rows * 16));
          all.insert(all.end(), some.begin(), some.end());
        });
    return all;
  };
  std::vector<int> whole, halves;
  CHECK(scores(std::size_t{1} << 20, whole) == scores(1, halves));
  CHECK(whole == std::vector{6});
  CHECK(halves == std::vector{3, 3});
}

}  // namespace relative_scores_test
