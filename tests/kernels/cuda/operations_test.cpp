#include "kernels/cuda/operations.hpp"

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

}  // namespace operations_test
