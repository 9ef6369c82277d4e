/// The kernels of attention for any number type, on the ordinary units: a lane has a row of the stream.
#pragma once
#include "attention_walk.cuh"

namespace flamingo::raw {

/// A block takes rows (queries; in dk and dv, keys), a warp four of them; the other side streams by in tiles of one row
/// a lane, two stages of them where shared memory allows.
struct AttentionPolicy {
  int warps = 4, rows = 4;  ///< rows of one warp: each tile element read is used that many times
};
inline constexpr AttentionPolicy attention_policy{};
inline constexpr int attention_tile_rows = attention_policy.warps * attention_policy.rows;

template <class R, int K, int Stages>
struct AttentionShared {
  static_assert(K % 8 == 0 && K >= 8 && K <= 128, "attention: the head size is a multiple of 8, at most 128");
  using A = Accumulate<R>;
  static constexpr int rows = attention_tile_rows, pitch = K + pack_count<R>;
  alignas(16) Array<Array<R, 32 * pitch>, Stages> first;   ///< the stream: k, or q
  alignas(16) Array<Array<R, 32 * pitch>, Stages> second;  ///< v, or do
  Array<A, rows * K> own_first, own_second;                ///< the block's rows: q and do, or k and v
  Array<Array<A, rows * 32>, 2> weights;                   ///< p and ds of the block's rows against the stream's
};

/// Most stages that 160 KiB hold.
template <class R, int K>
constexpr int attention_stages = sizeof(AttentionShared<R, K, 2>) <= 160 * 1024 ? 2 : 1;

/// The block's own rows, widened; rows from `rows` on and channels from `channels` on are zero.
template <int Threads, int K, class R, class A>
__device__ inline void load_own(A* own, const R* from, long long stride, int rows, int channels) {
  for (int i = thread_index(); i < attention_tile_rows * K; i += Threads)
    own[i] = i / K < rows && i % K < channels ? static_cast<A>(widen(from[i / K * stride + i % K])) : A(0);
}

/// dots[r] = own row r · the stream's row of this lane.
template <int K, int Rows, int Pitch, class R, class A>
__device__ inline void dot_rows(const A* own, const R* stream, Array<A, Rows>& dots) {
  for (int r = 0; r < Rows; ++r) dots[r] = 0;
  for (int c = 0; c < K; c += pack_count<R>) {
    const auto pack = load_pack<pack_count<R>>(stream + lane_index() * Pitch + c);
    for (int i = 0; i < pack_count<R>; ++i)
      for (int r = 0; r < Rows; ++r) dots[r] += own[r * K + c + i] * widen(pack.value[i]);
  }
}

/// sums[r][·] += Σ_j weights[r][j] × the stream's row j, over begin[r] <= j < end[r]; a lane holds channels lane, lane
/// + 32...
template <int K, int Rows, int Channels, int Pitch, class R, class A>
__device__ inline void add_rows(const A* weights, const R* stream, const Array<int, Rows>& begin,
                                const Array<int, Rows>& end, Array<Array<A, Channels>, Rows>& sums) {
  int last = 0;
  for (int r = 0; r < Rows; ++r) last = end[r] > last ? end[r] : last;
  for (int j = 0; j < last; ++j)
    for (int i = 0; i < Channels; ++i) {
      const int channel = lane_index() + 32 * i;
      if (channel >= K) continue;
      const A value = widen(stream[j * Pitch + channel]);
      for (int r = 0; r < Rows; ++r)
        if (j >= begin[r] && j < end[r]) sums[r][i] += weights[r * 32 + j] * value;
    }
}

template <int Channels, class R, class A>
__device__ inline void store_row(R* to, const Array<A, Channels>& sums, A factor, int channels) {
  for (int i = 0; i < Channels; ++i)
    if (lane_index() + 32 * i < channels) to[lane_index() + 32 * i] = narrow<R>(sums[i] * factor);
}

/// What the three kernels know of their warp's place.
template <int K>
struct WarpRows {
  static constexpr int warps = attention_policy.warps, rows = attention_policy.rows, threads = warps * 32;
  static constexpr int channels = (K + 31) / 32;
};

template <int K, int Count, int Stages, class Position, class R, class A>
static __global__ void __launch_bounds__(WarpRows<K>::threads)
    attention_forward_kernel(AttentionShape shape, AttentionTables tables, Strided<const R> q,
                             const __grid_constant__ Pools<const R> pools, A scale, Position position, Strided<R> o,
                             A* lse) {
  using W = WarpRows<K>;
  using Shared = AttentionShared<R, K, Stages>;
  Shared& shared = shared_memory<Shared>();
  const QueryTile tile = tables.query_tiles[block_index_x()];
  const int head = block_index_y(), kv_head = head / (shape.heads / shape.kv_heads), warp_row = warp_index() * W::rows;
  const int d = shape.head_dim;
  const Span span = tile.span < 0 ? Span{} : tables.spans[tile.span];
  const int tile_position = span.position + tile.first_row - span.first_row;

  load_own<W::threads, K>(shared.own_first, q.data + tile.first_row * q.stride + head * d, q.stride, tile.rows, d);
  const A* own_q = shared.own_first + warp_row * K;
  A* p = shared.weights[0] + warp_row * 32;

  A maximum[W::rows], total[W::rows], sums[W::rows][W::channels] = {};  // total: of this lane's keys
  for (int r = 0; r < W::rows; ++r) {
    maximum[r] = static_cast<A>(-INFINITY);
    total[r] = 0;
  }
  const Segment* segments = tables.segments + span.first_segment;
  for_each_tile<Stages>(
      KeyCursor<32>{segments, segments + span.segments, tile_position + tile.rows - 1},
      [&](const KeyCursor<32>& at, int stage) {
        const Segment& s = *at.segment;
        const Strided<const R> k = pools.k[s.pool], v = pools.v[s.pool];
        const long long row = s.first + at.offset;
        copy_tile_async<W::threads, Count, 32, K, Shared::pitch>(
            shared.first[stage], k.data + row * k.stride + kv_head * d, k.stride, s.count - at.offset, d);
        copy_tile_async<W::threads, Count, 32, K, Shared::pitch>(
            shared.second[stage], v.data + row * v.stride + kv_head * d, v.stride, s.count - at.offset, d);
      },
      [&](const KeyCursor<32>& at, int stage) {
        A scores[W::rows];
        int begin[W::rows], end[W::rows];
        dot_rows<K, W::rows, Shared::pitch>(own_q, shared.first[stage], scores);
        for (int r = 0; r < W::rows; ++r) {
          const int query_position = tile_position + warp_row + r;
          begin[r] = 0;
          end[r] = warp_row + r < tile.rows ? visible_keys(*at.segment, query_position) - at.offset : 0;
          end[r] = end[r] < 0 ? 0 : end[r] < 32 ? end[r] : 32;
          if (end[r] == 0) continue;  // the same in all lanes
          const bool visible = lane_index() < end[r];
          const A score = !visible       ? static_cast<A>(-INFINITY)
                          : span.uniform ? A(0)
                                         : position(scores[r] * scale, head, tile.first_row + warp_row + r,
                                                    at.segment->position + at.offset + lane_index() - query_position);
          const A above = larger(maximum[r], warp_max(score)), shrink = exponential(maximum[r] - above);
          const A weight = visible ? exponential(score - above) : A(0);
          maximum[r] = above;
          total[r] = total[r] * shrink + weight;
          for (int i = 0; i < W::channels; ++i) sums[r][i] *= shrink;
          p[r * 32 + lane_index()] = weight;
        }
        __syncwarp();
        add_rows<K, W::rows, W::channels, Shared::pitch>(p, shared.second[stage], begin, end, sums);
      });

  for (int r = 0; r < W::rows && warp_row + r < tile.rows; ++r) {
    const long long row = tile.first_row + warp_row + r;
    const A all = warp_sum(total[r]);
    const bool sees = maximum[r] != static_cast<A>(-INFINITY);
    store_row<W::channels>(o.data + row * o.stride + head * d, sums[r], sees ? A(1) / all : A(0), d);
    if (lse && lane_index() == 0)
      lse[shape.statistic(row, head)] = sees ? maximum[r] + logarithm(all) : static_cast<A>(-INFINITY);
  }
}

/// delta (N, H) = do·o: one warp a row and head.
template <int K, class R, class A>
static __global__ void __launch_bounds__(WarpRows<K>::threads)
    attention_delta_kernel(AttentionShape shape, Strided<const R> dout, Strided<const R> o, A* delta) {
  const int row = block_index_x() * WarpRows<K>::warps + warp_index(), head = block_index_y(), d = shape.head_dim;
  if (row >= shape.N) return;  // a whole warp
  A sum = 0;
  for (int c = lane_index(); c < d; c += 32)
    sum += static_cast<A>(widen(dout.data[row * dout.stride + head * d + c])) *
           static_cast<A>(widen(o.data[row * o.stride + head * d + c]));
  sum = warp_sum(sum);
  if (lane_index() == 0) delta[shape.statistic(row, head)] = sum;
}

template <int K, int Count, int Stages, class Position, class R, class A>
static __global__ void __launch_bounds__(WarpRows<K>::threads)
    attention_backward_q_kernel(AttentionShape shape, AttentionTables tables, Strided<const R> q,
                                const __grid_constant__ Pools<const R> pools, A scale, Position position,
                                Strided<const R> dout, const A* lse, const A* delta, Strided<R> dq) {
  using W = WarpRows<K>;
  using Shared = AttentionShared<R, K, Stages>;
  Shared& shared = shared_memory<Shared>();
  const QueryTile tile = tables.query_tiles[block_index_x()];
  const int head = block_index_y(), kv_head = head / (shape.heads / shape.kv_heads), warp_row = warp_index() * W::rows;
  const int d = shape.head_dim;
  const Span span = tile.span < 0 ? Span{} : tables.spans[tile.span];
  const int tile_position = span.position + tile.first_row - span.first_row;

  load_own<W::threads, K>(shared.own_first, q.data + tile.first_row * q.stride + head * d, q.stride, tile.rows, d);
  load_own<W::threads, K>(shared.own_second, dout.data + tile.first_row * dout.stride + head * d, dout.stride,
                          tile.rows, d);
  A* ds = shared.weights[0] + warp_row * 32;

  A own_lse[W::rows] = {}, own_delta[W::rows] = {}, sums[W::rows][W::channels] = {};
  for (int r = 0; r < W::rows && warp_row + r < tile.rows; ++r) {
    const long long at = shape.statistic(tile.first_row + warp_row + r, head);
    own_lse[r] = lse[at];
    own_delta[r] = delta[at];
  }
  const int segment_count = span.uniform ? 0 : span.segments;  // equal weights do not depend on q
  const Segment* segments = tables.segments + span.first_segment;
  for_each_tile<Stages>(
      KeyCursor<32>{segments, segments + segment_count, tile_position + tile.rows - 1},
      [&](const KeyCursor<32>& at, int stage) {
        const Segment& s = *at.segment;
        const Strided<const R> k = pools.k[s.pool], v = pools.v[s.pool];
        const long long row = s.first + at.offset;
        copy_tile_async<W::threads, Count, 32, K, Shared::pitch>(
            shared.first[stage], k.data + row * k.stride + kv_head * d, k.stride, s.count - at.offset, d);
        copy_tile_async<W::threads, Count, 32, K, Shared::pitch>(
            shared.second[stage], v.data + row * v.stride + kv_head * d, v.stride, s.count - at.offset, d);
      },
      [&](const KeyCursor<32>& at, int stage) {
        A scores[W::rows], dweights[W::rows];
        int begin[W::rows], end[W::rows];
        dot_rows<K, W::rows, Shared::pitch>(shared.own_first + warp_row * K, shared.first[stage], scores);
        dot_rows<K, W::rows, Shared::pitch>(shared.own_second + warp_row * K, shared.second[stage], dweights);
        for (int r = 0; r < W::rows; ++r) {
          const int query_position = tile_position + warp_row + r;
          begin[r] = 0;
          end[r] = warp_row + r < tile.rows ? visible_keys(*at.segment, query_position) - at.offset : 0;
          end[r] = end[r] < 0 ? 0 : end[r] < 32 ? end[r] : 32;
          if (lane_index() >= end[r]) continue;
          const int row = tile.first_row + warp_row + r,
                    distance = at.segment->position + at.offset + lane_index() - query_position;
          const A score = position(scores[r] * scale, head, row, distance),
                  dscore = exponential(score - own_lse[r]) * (dweights[r] - own_delta[r]);
          ds[r * 32 + lane_index()] = dscore;
          if constexpr (Position::keeps_gradients) position.add_gradient(dscore, head, row, distance);
        }
        __syncwarp();
        add_rows<K, W::rows, W::channels, Shared::pitch>(ds, shared.first[stage], begin, end, sums);
      });
  for (int r = 0; r < W::rows && warp_row + r < tile.rows; ++r)
    store_row<W::channels>(dq.data + (tile.first_row + warp_row + r) * dq.stride + head * d, sums[r], scale, d);
}

/// A block takes one key tile and one key head: the queries of all heads of its group stream by.
template <int K, int Count, int Stages, class Position, class R, class A>
static __global__ void __launch_bounds__(WarpRows<K>::threads)
    attention_backward_kv_kernel(AttentionShape shape, AttentionTables tables, Strided<const R> q,
                                 const __grid_constant__ Pools<const R> pools, A scale, Position position,
                                 Strided<const R> dout, const A* lse, const A* delta,
                                 const __grid_constant__ Pools<R> gradients) {
  using W = WarpRows<K>;
  using Shared = AttentionShared<R, K, Stages>;
  Shared& shared = shared_memory<Shared>();
  const KeyTile tile = tables.key_tiles[block_index_x()];
  const int kv_head = block_index_y(), group = shape.heads / shape.kv_heads, warp_row = warp_index() * W::rows;
  const int d = shape.head_dim;
  const Strided<R> dk = gradients.k[tile.pool], dv = gradients.v[tile.pool];
  if (!dk.data && !dv.data) return;  // the whole block: this pool's gradients are not wanted
  const Strided<const R> k = pools.k[tile.pool], v = pools.v[tile.pool];

  load_own<W::threads, K>(shared.own_first, k.data + tile.first_row * k.stride + kv_head * d, k.stride, tile.rows, d);
  load_own<W::threads, K>(shared.own_second, v.data + tile.first_row * v.stride + kv_head * d, v.stride, tile.rows, d);
  A *p = shared.weights[0] + warp_row * 32, *ds = shared.weights[1] + warp_row * 32;

  A k_sums[W::rows][W::channels] = {}, v_sums[W::rows][W::channels] = {};
  const KeyUse* uses = tables.key_uses + tile.first_use;
  for_each_tile<Stages>(
      QueryCursor<32>{uses, uses + tile.uses, tables.spans, tables.segments, tile.first_row, group},
      [&](const QueryCursor<32>& at, int stage) {
        const Span& span = tables.spans[at.use->span];
        const long long row = span.first_row + at.offset;
        const int head = kv_head * group + at.head;
        copy_tile_async<W::threads, Count, 32, K, Shared::pitch>(
            shared.first[stage], q.data + row * q.stride + head * d, q.stride, span.rows - at.offset, d);
        copy_tile_async<W::threads, Count, 32, K, Shared::pitch>(
            shared.second[stage], dout.data + row * dout.stride + head * d, dout.stride, span.rows - at.offset, d);
      },
      [&](const QueryCursor<32>& at, int stage) {
        const Span& span = tables.spans[at.use->span];
        const Segment& segment = tables.segments[at.use->segment];
        const int head = kv_head * group + at.head, rows = span.rows - at.offset < 32 ? span.rows - at.offset : 32;
        const int row = span.first_row + at.offset + lane_index();
        const long long statistics = shape.statistic(row, head);
        const A query_lse = lane_index() < rows ? lse[statistics] : A(0);
        const A query_delta = lane_index() < rows ? delta[statistics] : A(0);
        A scores[W::rows], dweights[W::rows];
        int begin[W::rows], end[W::rows];
        dot_rows<K, W::rows, Shared::pitch>(shared.own_first + warp_row * K, shared.first[stage], scores);
        dot_rows<K, W::rows, Shared::pitch>(shared.own_second + warp_row * K, shared.second[stage], dweights);
        for (int r = 0; r < W::rows; ++r) {
          const int key = tile.first_row + warp_row + r - segment.first;  // in its segment
          const bool used = warp_row + r < tile.rows && key >= 0 && key < segment.count;
          begin[r] = used ? first_seeing(segment, span, key) - at.offset : 0;
          begin[r] = begin[r] > 0 ? begin[r] : 0;
          end[r] = used ? rows : 0;
          if (lane_index() < begin[r] || lane_index() >= end[r]) continue;
          const int distance = segment.position + key - (span.position + at.offset + lane_index());
          const A weight =
              exponential((span.uniform ? A(0) : position(scores[r] * scale, head, row, distance)) - query_lse);
          p[r * 32 + lane_index()] = weight;
          ds[r * 32 + lane_index()] = weight * (dweights[r] - query_delta);
        }
        __syncwarp();
        add_rows<K, W::rows, W::channels, Shared::pitch>(p, shared.second[stage], begin, end, v_sums);
        if (span.uniform) return;  // its weights depend on neither k nor q
        add_rows<K, W::rows, W::channels, Shared::pitch>(ds, shared.first[stage], begin, end, k_sums);
      });
  for (int r = 0; r < W::rows && warp_row + r < tile.rows; ++r) {
    const long long row = tile.first_row + warp_row + r;
    if (dk.data) store_row<W::channels>(dk.data + row * dk.stride + kv_head * d, k_sums[r], scale, d);
    if (dv.data) store_row<W::channels>(dv.data + row * dv.stride + kv_head * d, v_sums[r], A(1), d);
  }
}

}  // namespace flamingo::raw
