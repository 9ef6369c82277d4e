/// The lists of an attention plan against a search through all pairs, and what a plan refuses.
#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cuda/raw/attention_plan.hpp>

namespace attention_plan_test {

using namespace flamingo::raw;

TEST_CASE("tiles cover each row once and uses are exactly the overlaps", "[raw][attention_plan]") {
  std::mt19937 bits(7);
  const auto below = [&](int n) { return static_cast<int>(bits() % static_cast<unsigned>(n)); };
  const std::vector<int> pool_rows = {97, 0, 16, 33};
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<Segment> segments;
    for (int i = 0; i < 13; ++i) {
      const int pool = below(4), rows = pool_rows[static_cast<std::size_t>(pool)];
      const int first = rows ? below(rows) : below(50), count = rows ? below(rows - first + 1) : below(50);
      segments.push_back({pool, first, count, below(100), below(2)});
    }
    std::vector<Span> spans;
    int row = below(3);
    while (row < 83) {
      const int rows = std::min(below(37), 83 - row), segment = below(14);
      spans.push_back({row, rows, below(100), segment, below(14 - segment)});
      row += rows + below(5);
    }
    const AttentionPlan plan = make_attention_plan(spans, segments, 83, pool_rows);

    std::vector<int> owner(83, -2);
    for (const QueryTile& tile : plan.query_tiles) {
      CHECK((tile.rows >= 1 && tile.rows <= plan.tiles.query_rows));
      for (int i = tile.first_row; i < tile.first_row + tile.rows; ++i) {
        CHECK(owner[static_cast<std::size_t>(i)] == -2);
        owner[static_cast<std::size_t>(i)] = tile.span;
      }
    }
    for (int i = 0; i < 83; ++i) {
      int want = -1;
      for (std::size_t s = 0; s < spans.size(); ++s)
        if (i >= spans[s].first_row && i < spans[s].first_row + spans[s].rows) want = static_cast<int>(s);
      CHECK(owner[static_cast<std::size_t>(i)] == want);
    }
    std::vector<int> covered = {0, 0, 0, 0};
    for (const KeyTile& tile : plan.key_tiles) {
      int& next = covered[static_cast<std::size_t>(tile.pool)];
      CHECK(tile.first_row == next);
      next += tile.rows;
      std::vector<std::pair<int, int>> got, want;
      for (int u = tile.first_use; u < tile.first_use + tile.uses; ++u) {
        const KeyUse& use = plan.key_uses[static_cast<std::size_t>(u)];
        got.emplace_back(use.span, use.segment);
      }
      for (std::size_t s = 0; s < spans.size(); ++s)
        for (int i = spans[s].first_segment; i < spans[s].first_segment + spans[s].segments; ++i) {
          const Segment& segment = segments[static_cast<std::size_t>(i)];
          const bool overlaps = segment.first < tile.first_row + tile.rows &&
                                segment.first + segment.count > tile.first_row && segment.count > 0;
          if (segment.pool == tile.pool && overlaps && spans[s].rows > 0) want.emplace_back(static_cast<int>(s), i);
        }
      CHECK(got == want);
    }
    CHECK(covered == pool_rows);
  }
}

TEST_CASE("a plan refuses what makes no sense", "[raw][attention_plan]") {
  const std::vector<int> pools = {10, 7};
  const std::vector<Segment> segments = {{0, 2, 8, 0, 0}, {1, 0, 7, 0, 1}};
  const auto plan = [&](std::vector<Span> spans, std::vector<Segment> with) {
    return make_attention_plan(spans, with, 11, pools);
  };
  CHECK_NOTHROW(plan({{0, 11, 0, 0, 2}}, segments));
  CHECK_THROWS_WITH(plan({{4, 8, 0, 0, 2}}, segments), "[attention plan] span 0 is rows 4 to 12 of 11");
  CHECK_THROWS_WITH(plan({{0, 5, 0, 0, 1}, {4, 2, 0, 1, 1}}, segments),
                    "[attention plan] span 1 shares query row 4 with another: a row has one softmax");
  CHECK_THROWS_WITH(plan({{0, 5, 0, 1, 2}}, segments),
                    "[attention plan] span 0 names segments that the table of 2 does not hold");
  CHECK_THROWS_WITH(plan({}, {{0, 3, 8, 0, 0}}), "[attention plan] segment 0 is rows 3 to 11 of a pool of 10");
  CHECK_THROWS_WITH(plan({}, {{2, 0, 1, 0, 0}}), "[attention plan] segment 0 is of pool 2, there are 2");
  CHECK_THROWS_WITH(make_attention_plan({}, {}, 0, std::vector<int>(5, 1)),
                    "[attention plan] pool 4: a plan names at most 4 pools");
}

}  // namespace attention_plan_test
