/// What the kernels of attention share: the operands, what a row sees, and the walk through the other side's tiles.
#pragma once
#include <cstddef>

#include "attention_plan.hpp"
#include "tile.cuh"

namespace flamingo::raw {

/// No position term: positions are in q and k already (rotary, absolute), or there are none.
struct None {
  static constexpr bool keeps_gradients = false;
  template <class A>
  __device__ A operator()(A score, int /*head*/, int /*row*/, int /*distance*/) const {
    return score;
  }
};

/// ALiBi (Press et al. 2022): the score of a key grows by its head's slope times (its position - the query's).
template <class T>
struct Alibi {
  static constexpr bool keeps_gradients = false;
  const T* slopes;  ///< (H), on the device
  template <class A>
  __device__ A operator()(A score, int head, int /*row*/, int distance) const {
    return score + static_cast<A>(slopes[head]) * static_cast<A>(distance);
  }
};

/// The score of a query and a key `distance` positions before it grows by a number of a table: relative positions,
/// whose part of the scores is a product of its own. The gradients of scores come into a table alike.
template <class R>
struct ByDistance {
  static constexpr bool keeps_gradients = true;
  const Accumulate<R>* scores;  ///< (H, rows, distances), on the device
  R* gradients;                 ///< as scores; backward adds to them. Null: none are wanted
  int rows, distances;          ///< no visible key stands so far before a query, and none after it

  template <class A>
  __device__ A operator()(A score, int head, int row, int distance) const {
    return holds(row, distance) ? score + scores[at(head, row, distance)] : score;
  }
  template <class A>
  __device__ void add_gradient(A ds, int head, int row, int distance) const {
    if (!gradients || !holds(row, distance)) return;
    R& sum = gradients[at(head, row, distance)];
    sum = narrow<R>(static_cast<A>(widen(sum)) + ds);
  }

 private:
  /// The kernels ask for more than what is visible, and do not use the answer.
  __device__ bool holds(int row, int distance) const { return row < rows && distance <= 0 && -distance < distances; }
  __device__ long long at(int head, int row, int distance) const {
    return (static_cast<long long>(head) * rows + row) * distances - distance;
  }
};

/// Rows of a matrix: `stride` elements from one to the next.
template <class R>
struct Strided {
  R* data = nullptr;
  long long stride = 0;
};

/// Keys and values, or their gradients, by pool. A pool whose gradients are null gets none.
template <class R>
struct Pools {
  Strided<R> k[attention_pools], v[attention_pools];
};

/// Sizes and constants of a call. The kernels' K is a size of tiles: a smaller head lies in them beside zeros.
struct AttentionShape {
  int N, heads, kv_heads;  ///< heads: a multiple of kv_heads
  int head_dim = 0;        ///< at most K; 0: K
  int all_heads = 0;       ///< of which these are some, side by side in a row of lse and delta; 0: they are all

  /// Of row and head, in lse and delta.
  __device__ long long statistic(long long row, int head) const { return row * statistics_stride() + head; }
  __device__ int statistics_stride() const { return all_heads ? all_heads : heads; }
};

/// How many keys of the segment a query at this position sees: always the first ones.
__device__ inline int visible_keys(const Segment& segment, int position) {
  if (!segment.causal) return segment.count;
  const int visible = position - segment.position + 1;
  return visible < 0 ? 0 : visible < segment.count ? visible : segment.count;
}
/// The first query row (counted in its span) that sees key `key` of the segment: it and all after it do.
__device__ inline int first_seeing(const Segment& segment, const Span& span, int key) {
  const int first = segment.position + key - span.position;
  return segment.causal && first > 0 ? first : 0;
}

/// Walks the tiles of Step keys of a span that a query at `last_position` sees.
template <int Step>
struct KeyCursor {
  const Segment* segment;
  const Segment* end;
  int last_position;
  int offset = 0;
  int seen = -1;  ///< keys of the segment that the last position sees; -1: not asked yet

  __device__ bool done() {
    while (segment != end) {
      if (seen < 0) seen = visible_keys(*segment, last_position);
      if (offset < seen) return false;
      ++segment;
      offset = 0;
      seen = -1;
    }
    return true;
  }
  __device__ void next() { offset += Step; }
};

/// Walks the tiles of Step queries that see keys of a key tile: uses, heads of the group, rows of the span.
template <int Step>
struct QueryCursor {
  const KeyUse* use;
  const KeyUse* end;
  const Span* spans;
  const Segment* segments;
  int tile_row;  ///< the key tile's first row in its pool
  int group;
  int head = 0;     ///< within the group
  int offset = -1;  ///< of the query rows in their span; -1: before the first

  /// The first row of the span that sees any key of the tile.
  __device__ int first() const {
    const Segment& segment = segments[use->segment];
    const int key = tile_row > segment.first ? tile_row - segment.first : 0;
    return first_seeing(segment, spans[use->span], key);
  }
  __device__ bool done() {
    while (use != end) {
      if (offset < 0) offset = first();
      if (offset < spans[use->span].rows) return false;
      offset = -1;
      if (++head == group) {
        head = 0;
        ++use;
      }
    }
    return true;
  }
  __device__ void next() { offset += Step; }
};

/// Runs multiply(cursor, stage) for all tiles of the stream, copy(cursor, stage) having begun its copies one tile
/// ahead where there are two stages.
template <int Stages, class Cursor, class Copy, class Multiply>
__device__ inline void for_each_tile(Cursor at, Copy copy, Multiply multiply) {
  bool more = !at.done();
  const auto copy_next = [&](int stage) {
    if (more) copy(at, stage);
    commit_async();
  };
  copy_next(0);
  for (int step = 0; more; ++step) {
    wait_async<0>();
    __syncthreads();  // the tile is there, and nobody reads the one before any more
    const Cursor now = at;
    at.next();
    more = !at.done();
    if constexpr (Stages == 2) copy_next((step + 1) % 2);
    multiply(now, step % Stages);
    if constexpr (Stages == 1) {
      __syncthreads();
      copy_next(0);
    }
  }
}

template <class R>
bool pools_pack(const Pools<const R>& pools) {
  bool all = true;
  for (int i = 0; i < attention_pools; ++i)
    all = all && packs(pools.k[i].data, pools.k[i].stride) && packs(pools.v[i].data, pools.v[i].stride);
  return all;
}

}  // namespace flamingo::raw
