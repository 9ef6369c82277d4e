/// Attention of single queries, as decoding has them, on raw pointers: the keys of a row are divided among blocks.
///
///   o = Σ_j p_j v_j,  p_j = exp(s_j - lse),  lse = log Σ_j exp(s_j),  s_j = scale q·k_j (+ position term)
///
/// Operands as in attention.cuh, forward alone; every span has at most one row. What a token costs is reading its keys
/// and values, so a block takes all query heads that share a head of keys, and a part of the keys (Flash-Decoding, Dao
/// et al. 2023): one kernel leaves the maximum, the sum and the weighted values of each part in a workspace, a second
/// one combines them, parts in their order; a part alone is the result. What is invisible is not touched. The same bits
/// every time; they depend on the number of parts, so on how many rows there are and on how many keys they see.
///
/// How many parts there are is the host's choice (attention_decode_parts), out of sizes that stay for many tokens, so
/// that a captured graph may be replayed; which keys are a part's is read from the tables on the device.
///
///   const int parts = attention_decode_parts<K, R>(shape, tables.query_tile_count, most_keys);
///   // workspace: attention_decode_size(shape, tables.query_tile_count, parts) numbers
///   const cudaError_t error = attention_decode<K, R>(shape, tables, q, pools, scale, position, parts, workspace, o,
///   lse, stream);
#pragma once
#include <cmath>
#include <cstddef>

#include "attention_parts.hpp"
#include "attention_walk.cuh"

namespace flamingo::raw {

/// Numbers [begin, end) of a row's visible keys, counted over all its segments.
struct KeyRange {
  int begin, end;
};
/// Part `part` of `parts`: whole steps of `step` keys, but for the last ones. Late parts may be empty.
__device__ inline KeyRange part_of(int keys, int part, int parts, int step) {
  const int share = tiles_over(tiles_over(keys, parts), step) * step;
  const int begin = part * share < keys ? part * share : keys;
  return {begin, begin + share < keys ? begin + share : keys};
}

/// How many keys a query at this position sees; the same in all lanes.
__device__ inline int count_visible(const Segment* segments, int count, int position) {
  int own = 0;
  for (int i = lane_index(); i < count; i += 32) own += visible_keys(segments[i], position);
  return warp_sum(own);
}

/// Finds visible keys by their number, which grows from call to call and is smaller than count_visible.
template <class R>
struct VisibleKeys {
  const Segment* segment;  ///< the next one
  int query_position;
  int begin = 0, end = 0;  ///< the numbers of the keys of the segment at hand
  const R *k = nullptr, *v = nullptr;
  long long k_stride = 0, v_stride = 0;
  int distance = 0;  ///< from the query to the segment's first key

  __device__ void seek(int key, const Pools<const R>& pools, int column) {
    if (key < end) return;
    do {
      begin = end;
      end += visible_keys(*segment++, query_position);
    } while (key >= end);
    const Segment& found = segment[-1];
    const Strided<const R>&keys = pools.k[found.pool], &values = pools.v[found.pool];
    k = keys.data + found.first * keys.stride + column;
    v = values.data + found.first * values.stride + column;
    k_stride = keys.stride;
    v_stride = values.stride;
    distance = found.position - query_position;
  }
};

/// A pack of a row, or zeros where there is none.
template <int Count, class R>
__device__ inline Pack<R, Count> load_valid(const R* from, bool valid) {
  if (valid) return read_once<Pack<R, Count>>(from);
  Pack<R, Count> none;
  for (int i = 0; i < Count; ++i) none.value[i] = narrow<R>(0);
  return none;
}

/// What sums of weights e^(s - from) are multiplied by to become sums of e^(s - to); none were summed where both are
/// -infinity.
template <class A>
__device__ inline A rescale(A from, A to) {
  return from == to ? A(1) : exponential(from - to);
}

/// What a part leaves of a row and head: d weighted values, then the largest score and the sum of weights.
template <class A>
__device__ inline A* decode_record(A* workspace, long long row, int heads, int head, int parts, int part, int d) {
  return workspace + ((row * heads + head) * parts + part) * (d + 2);
}

/// Writes a number of a row and head, and with channel 0 its lse, of what was summed; -infinity and zeros where nothing
/// was.
template <class R, class A>
__device__ inline void store_attended(const AttentionShape& shape, const Strided<R>& o, A* lse, long long row, int head,
                                      int channel, A sum, A above, A weights) {
  const bool sees = weights != 0;
  o.data[row * o.stride + head * shape.head_dim + channel] = narrow<R>(sees ? sum / weights : A(0));
  if (lse && channel == 0) lse[shape.statistic(row, head)] = sees ? above + logarithm(weights) : above;
}

template <int K, int Count, int Heads, class Position, class R, class A>
static __global__ void __launch_bounds__(DecodeLanes<K, Count, Heads>::threads)
    attention_decode_kernel(AttentionShape shape, AttentionTables tables, Strided<const R> q,
                            const __grid_constant__ Pools<const R> pools, A scale, Position position, int parts,
                            A* workspace, Strided<R> o, A* lse) {
  begin_early();
  using L = DecodeLanes<K, Count, Heads>;
  constexpr int warps = decode_policy.warps, keys = L::keys, numbers = L::packs * Count;
  struct Shared {
    Array<Array<Array<A, K>, Heads>, warps> sums;
    Array<Array<A, Heads>, warps> maximum, total;
  };
  Shared& shared = shared_memory<Shared>();
  const int row = block_index_x() / parts, part = block_index_x() % parts;
  const QueryTile tile = tables.query_tiles[row];
  const int d = shape.head_dim, group = shape.heads / shape.kv_heads, blocks = tiles_over(group, Heads);
  const int kv_head = block_index_y() / blocks, first = block_index_y() % blocks * Heads;
  const int heads = group - first < Heads ? group - first : Heads, first_head = kv_head * group + first;
  if (tile.span < 0) {  // rows of no span; of several parts the kernel that combines knows it
    for (int i = thread_index(); parts == 1 && i < tile.rows * heads * d; i += L::threads)
      store_attended(shape, o, lse, tile.first_row + i / (heads * d), first_head + i / d % heads, i % d, A(0),
                     static_cast<A>(-INFINITY), A(0));
    return;
  }
  const Span span = tables.spans[tile.span];
  const int slot = lane_index() / L::lanes, lane = lane_index() % L::lanes;

  Array<Array<A, numbers>, Heads> own, sums = {};
  Array<A, Heads> maximum, total = {};
  FLAMINGO_UNROLL
  for (int h = 0; h < Heads; ++h) {
    maximum[h] = static_cast<A>(-INFINITY);
    FLAMINGO_UNROLL
    for (int i = 0; i < L::packs; ++i) {
      const int channel = (lane + i * L::lanes) * Count;
      const auto pack = load_valid<Count>(q.data + tile.first_row * q.stride + (first_head + h) * d + channel,
                                          h < heads && channel < d);
      FLAMINGO_UNROLL
      for (int c = 0; c < Count; ++c) own[h][i * Count + c] = widen(pack.value[c]);
    }
  }

  const Segment* const segments = tables.segments + span.first_segment;
  const KeyRange range = part_of(count_visible(segments, span.segments, span.position), part, parts, L::block_keys);
  VisibleKeys<R> visible{segments, span.position};
  for (int base = range.begin; base < range.end; base += L::block_keys) {
    Array<Array<Pack<R, Count>, L::packs>, keys> k, v;
    Array<int, keys> distance;
    int held = 0;  // held: of this lane's keys; the first ones
    FLAMINGO_UNROLL
    for (int j = 0; j < keys; ++j) {
      const int key = base + (j * warps + warp_index()) * L::slots + slot;
      const bool there = key < range.end;
      if (there) visible.seek(key, pools, kv_head * d);
      const long long at = key - visible.begin;
      held += there;
      distance[j] = visible.distance + static_cast<int>(at);
      FLAMINGO_UNROLL
      for (int i = 0; i < L::packs; ++i) {
        const int channel = (lane + i * L::lanes) * Count;
        const bool valid = there && channel < d;
        k[j][i] = load_valid<Count>(valid ? visible.k + at * visible.k_stride + channel : nullptr, valid);
        v[j][i] = load_valid<Count>(valid ? visible.v + at * visible.v_stride + channel : nullptr, valid);
      }
    }
    Array<Array<A, keys>, Heads> weights;  // scores at first
    FLAMINGO_UNROLL
    for (int j = 0; j < keys; ++j) {
      FLAMINGO_UNROLL
      for (int h = 0; h < Heads; ++h) {
        A dot = 0;
        FLAMINGO_UNROLL
        for (int i = 0; i < numbers; ++i) dot += own[h][i] * static_cast<A>(widen(k[j][i / Count].value[i % Count]));
        for (int step = L::lanes / 2; step > 0; step /= 2) dot += __shfl_xor_sync(0xffffffffu, dot, step);
        weights[h][j] =
            span.uniform ? A(0) : position(dot * scale, first_head + (h < heads ? h : 0), tile.first_row, distance[j]);
      }
    }
    FLAMINGO_UNROLL
    for (int h = 0; h < Heads; ++h) {
      A above = maximum[h];
      FLAMINGO_UNROLL
      for (int j = 0; j < keys; ++j)
        if (j < held) above = larger(above, weights[h][j]);
      const A shrink = rescale(maximum[h], above);
      maximum[h] = above;
      total[h] *= shrink;
      FLAMINGO_UNROLL
      for (int i = 0; i < numbers; ++i) sums[h][i] *= shrink;
      FLAMINGO_UNROLL
      for (int j = 0; j < keys; ++j) {
        weights[h][j] = j < held ? exponential(weights[h][j] - above) : A(0);
        total[h] += weights[h][j];
      }
    }
    FLAMINGO_UNROLL
    for (int j = 0; j < keys; ++j) {
      FLAMINGO_UNROLL
      for (int i = 0; i < numbers; ++i) {
        const A value = widen(v[j][i / Count].value[i % Count]);
        FLAMINGO_UNROLL
        for (int h = 0; h < Heads; ++h) sums[h][i] += weights[h][j] * value;
      }
    }
  }

  FLAMINGO_UNROLL
  for (int h = 0; h < Heads; ++h) {
    for (int step = L::lanes; step < 32; step *= 2) {  // the warp's slots
      const A other = __shfl_xor_sync(0xffffffffu, maximum[h], step), above = larger(maximum[h], other);
      const A mine = rescale(maximum[h], above), others = rescale(other, above);
      maximum[h] = above;
      total[h] = total[h] * mine + __shfl_xor_sync(0xffffffffu, total[h], step) * others;
      FLAMINGO_UNROLL
      for (int i = 0; i < numbers; ++i)
        sums[h][i] = sums[h][i] * mine + __shfl_xor_sync(0xffffffffu, sums[h][i], step) * others;
    }
    FLAMINGO_UNROLL
    for (int i = 0; i < numbers; ++i) {
      const int channel = (lane + i / Count * L::lanes) * Count + i % Count;
      if (slot == 0 && channel < d) shared.sums[warp_index()][h][channel] = sums[h][i];
    }
    if (lane_index() == 0) {
      shared.maximum[warp_index()][h] = maximum[h];
      shared.total[warp_index()][h] = total[h];
    }
  }
  __syncthreads();
  for (int i = thread_index(); i < heads * d; i += L::threads) {  // the block's warps
    const int h = i / d, channel = i % d;
    A above = static_cast<A>(-INFINITY), sum = 0, weights = 0;
    for (int warp = 0; warp < warps; ++warp) above = larger(above, shared.maximum[warp][h]);
    for (int warp = 0; warp < warps; ++warp) {
      const A factor = rescale(shared.maximum[warp][h], above);
      sum += shared.sums[warp][h][channel] * factor;
      weights += shared.total[warp][h] * factor;
    }
    if (parts == 1) {
      store_attended(shape, o, lse, tile.first_row, first_head + h, channel, sum, above, weights);
      continue;
    }
    A* const record = decode_record(workspace, row, shape.heads, first_head + h, parts, part, d);
    record[channel] = sum;
    if (channel == 0) {
      record[d] = above;
      record[d + 1] = weights;
    }
  }
}

inline constexpr int decode_combine_threads = 128;  ///< a channel each

/// A block for a row and head; for the rows of a tile of no span, which have no parts.
template <class R, class A>
static __global__ void __launch_bounds__(decode_combine_threads)
    attention_decode_combine_kernel(AttentionShape shape, AttentionTables tables, int parts, const A* workspace,
                                    Strided<R> o, A* lse) {
  begin_early();
  const QueryTile tile = tables.query_tiles[block_index_x()];
  const int head = block_index_y(), d = shape.head_dim, channel = thread_index();
  const A* const records = decode_record(workspace, block_index_x(), shape.heads, head, parts, 0, d);
  A above = static_cast<A>(-INFINITY), sum = 0, weights = 0;
  if (tile.span >= 0) {
    for (int part = lane_index(); part < parts; part += 32)
      above = larger(above, records[static_cast<long long>(part) * (d + 2) + d]);
    above = warp_max(above);
  }
  for (int part = 0; tile.span >= 0 && channel < d && part < parts; ++part) {
    const A* const record = records + static_cast<long long>(part) * (d + 2);
    const A factor = rescale(record[d], above);
    sum += record[channel] * factor;
    weights += record[d + 1] * factor;
  }
  for (long long row = tile.first_row; channel < d && row < tile.first_row + tile.rows; ++row)
    store_attended(shape, o, lse, row, head, channel, sum, above, weights);
}

/// Into how many parts the keys of a row are divided, for tables of so many query tiles and at most so many keys that a
/// row sees.
template <int K, class R>
int attention_decode_parts(const AttentionShape& shape, int query_tiles, long long most_keys) {
  return decode_parts<K, pack_count<R>>(shape.heads, shape.kv_heads, query_tiles, most_keys);
}
/// The numbers of the workspace.
inline std::size_t attention_decode_size(const AttentionShape& shape, int query_tiles, int parts) {
  return decode_size(query_tiles, shape.heads, shape.head_dim, parts);
}

/// Writes o, and lse unless null (-infinity where a row sees nothing). Tables lie on the device; of them spans,
/// segments and query tiles are read. K is a multiple of 8, of 16 for bf16; shape.head_dim at most K. parts is
/// positive, and any: they decide how fast it is.
template <int K, class R, class Position>
cudaError_t attention_decode(const AttentionShape& shape, const AttentionTables& tables, Strided<const R> q,
                             const Pools<const R>& pools, Accumulate<R> scale, Position position, int parts,
                             Accumulate<R>* workspace, Strided<R> o, Accumulate<R>* lse, cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr int count = pack_count<R>;
  if (parts < 1 || shape.head_dim < 1 || shape.head_dim > K) return cudaErrorInvalidValue;
  const int group = shape.heads / shape.kv_heads;
  const bool packed = pools_pack(pools) && packs(q.data, q.stride) && shape.head_dim % count == 0;
  const int heads = packed ? decode_heads(group) : 1;
  const auto kernel = !packed      ? attention_decode_kernel<K, 1, 1, Position, R, A>
                      : heads == 1 ? attention_decode_kernel<K, count, 1, Position, R, A>
                      : heads == 4 ? attention_decode_kernel<K, count, 4, Position, R, A>
                                   : attention_decode_kernel<K, count, 8, Position, R, A>;
  const std::size_t shared = static_cast<std::size_t>(decode_policy.warps * heads * (K + 2)) * sizeof(A);
  const cudaError_t error = launch_early(
      grid_of(tables.query_tile_count * parts, shape.kv_heads * tiles_over(group, heads)), decode_policy.warps * 32,
      shared, stream, kernel, shape, tables, q, pools, scale, position, parts, workspace, o, lse);
  if (error != cudaSuccess || parts == 1) return error;
  return launch_early(grid_of(tables.query_tile_count, shape.heads), decode_combine_threads, 0, stream,
                      attention_decode_combine_kernel<R, A>, shape, tables, parts, workspace, o, lse);
}

}  // namespace flamingo::raw
