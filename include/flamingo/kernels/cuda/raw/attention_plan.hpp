/// Which query rows see which key rows: spans and their segments, and the lists that the attention kernels walk. Built
/// on the host, read on the device; plain C++.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace flamingo::raw {

/// Keys: rows [first, first + count) of a key/value pool; `position` is the first one's. If causal, a key is visible to
/// the queries whose position is not smaller than its own.
struct Segment {
  int pool;
  int first;
  int count;
  int position;
  int causal;
};

/// Queries: rows [first_row, first_row + rows), `position` the first one's; one softmax over all its segments. If
/// uniform, every visible key weighs the same, whatever its score.
struct Span {
  int first_row;
  int rows;
  int position;
  int first_segment;
  int segments;
  int uniform = 0;
};

/// Query rows that one block takes, all of one span; span -1: rows of no span, whose output is zero.
struct QueryTile {
  int span;
  int first_row;
  int rows;
};

/// Key rows that one block takes, and the uses of any of them.
struct KeyTile {
  int pool;
  int first_row;
  int rows;
  int first_use;
  int uses;
};

/// A span that reads a tile's keys through one of its segments.
struct KeyUse {
  int span;
  int segment;
};

inline constexpr int attention_pools = 4;  ///< most pools that one plan names

/// Most query rows that a block of forward and dq takes, and most key rows of one of dk and dv: what the kernels ask
/// for. These are those of the lane kernels (attention_lanes.cuh).
struct AttentionTiles {
  int query_rows = 16;
  int key_rows = 16;
};

/// The tiles that the kernels walk, those on the matrix units or by lanes, for plans of these spans. Matrix kernels
/// take 128 queries a block where few of them stay empty, else 64.
inline AttentionTiles attention_tiles(std::span<const Span> spans, bool matrix) {
  if (!matrix) return {};
  const auto filled = [](int rows, int tile) { return static_cast<long long>((rows + tile - 1) / tile) * tile; };
  long long narrow = 0, wide = 0;  // rows with the empty ones
  for (const Span& span : spans) {
    narrow += filled(span.rows, 64);
    wide += filled(span.rows, 128);
  }
  return {4 * narrow <= 3 * wide ? 64 : 128, 64};  // 128 queries read each key once for twice as many
}

/// The tables of a plan, wherever they lie.
struct AttentionTables {
  const Span* spans = nullptr;
  const Segment* segments = nullptr;
  const QueryTile* query_tiles = nullptr;
  int query_tile_count = 0;
  const KeyTile* key_tiles = nullptr;
  const KeyUse* key_uses = nullptr;
  int key_tile_count = 0;
  AttentionTiles tiles;  ///< what the lists were made for
};

/// The tables in host memory. Forward and dq walk spans; dk and dv walk the transposed list, so that each sum has one
/// owner and one order, and no atomics are needed.
struct AttentionPlan {
  std::vector<Span> spans;
  std::vector<Segment> segments;
  std::vector<QueryTile> query_tiles;
  std::vector<KeyTile> key_tiles;
  std::vector<KeyUse> key_uses;
  AttentionTiles tiles;

  AttentionTables tables() const {
    return {spans.data(),
            segments.data(),
            query_tiles.data(),
            static_cast<int>(query_tiles.size()),
            key_tiles.data(),
            key_uses.data(),
            static_cast<int>(key_tiles.size()),
            tiles};
  }
};

namespace detail {

inline void refuse(bool wrong, const char* what, std::size_t which, const std::string& rule) {
  if (wrong) throw std::invalid_argument("[attention plan] " + std::string(what) + ' ' + std::to_string(which) + rule);
}

}  // namespace detail

/// The plan for `rows` query rows and pools of pool_rows rows each; a pool of 0 rows gets no key tiles (no dk, dv) but
/// may be read. Spans must not share query rows; segments lie inside their pool. Throws std::invalid_argument
/// otherwise.
inline AttentionPlan make_attention_plan(std::span<const Span> spans, std::span<const Segment> segments, int rows,
                                         std::span<const int> pool_rows, AttentionTiles tiles = {}) {
  detail::refuse(pool_rows.size() > attention_pools, "pool", attention_pools,
                 ": a plan names at most " + std::to_string(attention_pools) + " pools");
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    detail::refuse(s.pool < 0 || s.pool >= static_cast<int>(pool_rows.size()), "segment", i,
                   " is of pool " + std::to_string(s.pool) + ", there are " + std::to_string(pool_rows.size()));
    const int held = pool_rows[static_cast<std::size_t>(s.pool)];
    detail::refuse(s.first < 0 || s.count < 0 || (held > 0 && s.first > held - s.count), "segment", i,
                   " is rows " + std::to_string(s.first) + " to " + std::to_string(s.first + s.count) +
                       " of a pool of " + std::to_string(held));
  }
  AttentionPlan plan;
  plan.tiles = tiles;
  plan.spans.assign(spans.begin(), spans.end());
  plan.segments.assign(segments.begin(), segments.end());

  std::vector<int> span_of(static_cast<std::size_t>(rows), -1);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const Span& s = spans[i];
    detail::refuse(s.first_row < 0 || s.rows < 0 || s.first_row > rows - s.rows, "span", i,
                   " is rows " + std::to_string(s.first_row) + " to " + std::to_string(s.first_row + s.rows) + " of " +
                       std::to_string(rows));
    detail::refuse(
        s.first_segment < 0 || s.segments < 0 || s.first_segment > static_cast<int>(segments.size()) - s.segments,
        "span", i, " names segments that the table of " + std::to_string(segments.size()) + " does not hold");
    for (int row = s.first_row; row < s.first_row + s.rows; ++row) {
      detail::refuse(span_of[static_cast<std::size_t>(row)] >= 0, "span", i,
                     " shares query row " + std::to_string(row) + " with another: a row has one softmax");
      span_of[static_cast<std::size_t>(row)] = static_cast<int>(i);
    }
  }
  for (int row = 0; row < rows;) {
    const int span = span_of[static_cast<std::size_t>(row)];
    int end = row + 1;
    while (end < rows && end < row + tiles.query_rows && span_of[static_cast<std::size_t>(end)] == span) ++end;
    plan.query_tiles.push_back({span, row, end - row});
    row = end;
  }

  std::vector<std::size_t> first_tile;  // of each pool
  for (std::size_t pool = 0; pool < pool_rows.size(); ++pool) {
    first_tile.push_back(plan.key_tiles.size());
    for (int row = 0; row < pool_rows[pool]; row += tiles.key_rows)
      plan.key_tiles.push_back({static_cast<int>(pool), row, std::min(tiles.key_rows, pool_rows[pool] - row), 0, 0});
  }
  const auto for_each_use = [&](auto&& visit) {
    for (std::size_t i = 0; i < spans.size(); ++i)
      for (int j = spans[i].first_segment; spans[i].rows > 0 && j < spans[i].first_segment + spans[i].segments; ++j) {
        const Segment& s = segments[static_cast<std::size_t>(j)];
        if (s.count == 0 || pool_rows[static_cast<std::size_t>(s.pool)] == 0) continue;
        for (int tile = s.first / tiles.key_rows; tile <= (s.first + s.count - 1) / tiles.key_rows; ++tile)
          visit(plan.key_tiles[first_tile[static_cast<std::size_t>(s.pool)] + static_cast<std::size_t>(tile)],
                KeyUse{static_cast<int>(i), j});
      }
  };
  for_each_use([](KeyTile& tile, KeyUse) { ++tile.uses; });
  int uses = 0;
  for (KeyTile& tile : plan.key_tiles) {
    tile.first_use = uses;
    uses += std::exchange(tile.uses, 0);
  }
  plan.key_uses.resize(static_cast<std::size_t>(uses));
  for_each_use(
      [&](KeyTile& tile, KeyUse use) { plan.key_uses[static_cast<std::size_t>(tile.first_use + tile.uses++)] = use; });
  return plan;
}

}  // namespace flamingo::raw
