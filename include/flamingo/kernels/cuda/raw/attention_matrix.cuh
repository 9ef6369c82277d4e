/// The kernels of attention for bf16, on the matrix units: FlashAttention-2 (Dao 2023) over spans.
///
/// A warp takes 16 rows, or twice 16 where spans are long, of the block's own side; the other side streams by in tiles,
/// one multiplied while the next one's copies are on their way. Scores and sums stay in registers, laid out as PTX's
/// mma.m16n8k16 has its results: that of p is that of a left operand too, so p goes into the second product without
/// memory between. p and ds are rounded to bf16 before they are multiplied, everything else is fp32. Exponentials are
/// powers of two. What a row does not see has weight zero, but is multiplied: it must be finite.
#pragma once
#include <type_traits>

#include "attention_walk.cuh"

namespace flamingo::raw {

using bf16 = __nv_bfloat16;

inline constexpr int matrix_warps = 4, matrix_threads = matrix_warps * 32;
inline constexpr int matrix_stream_rows = 64;  ///< keys of a tile in forward, queries in dk and dv
inline constexpr float log2_of_e = 1.44269504088896340736f, ln_of_2 = 0.69314718055994530942f;

/// One row to the next, in shared memory: 16 bytes more than the row, so that eight rows lie in different banks.
template <int K>
constexpr int matrix_pitch = K + 8;

/// A head's part of rows [0, rows) into shared rows of K channels; what is not there is zero. Packed: all rows begin on
/// 16 bytes. Each thread keeps its channels and goes down the rows, where that comes out even.
template <int Rows, int K>
__device__ inline void copy_head_async(bf16* tile, const bf16* from, long long stride, int rows, int channels,
                                       bool packed) {
  constexpr int across = K / 8, down = matrix_threads / across;
  if constexpr (matrix_threads % across == 0 && Rows % down == 0) {
    if (packed) {
      const int first = thread_index() / across, channel = thread_index() % across * 8;
      const bf16* source = from + first * stride + channel;
      bf16* const target = tile + first * matrix_pitch<K> + channel;
      const int left = channel < channels ? rows - first : 0;
      FLAMINGO_UNROLL
      for (int row = 0; row < Rows; row += down, source += down * stride)
        copy_async<16>(target + row * matrix_pitch<K>, source, row < left);
      return;
    }
  } else if (packed) {
    copy_tile_async<matrix_threads, 8, Rows, K, matrix_pitch<K>>(tile, from, stride, rows, channels);
    return;
  }
  copy_tile_async<matrix_threads, 1, Rows, K, matrix_pitch<K>>(tile, from, stride, rows, channels);
}

/// The keys and values of a tile that some query of the block sees, of one key head.
template <int Columns, int K>
__device__ inline void copy_keys_async(bf16* keys, bf16* values, const Pools<const bf16>& pools,
                                       const KeyCursor<Columns>& at, int kv_head, int channels, bool packed) {
  const Segment& s = *at.segment;
  const Strided<const bf16> k = pools.k[s.pool], v = pools.v[s.pool];
  const long long row = s.first + at.offset;
  const int seen = at.seen - at.offset;
  copy_head_async<Columns, K>(keys, k.data + row * k.stride + kv_head * channels, k.stride, seen, channels, packed);
  copy_head_async<Columns, K>(values, v.data + row * v.stride + kv_head * channels, v.stride, seen, channels, packed);
}

/// A left operand of 16 rows: depths [16 k, 16 k + 16) of the rows that begin here.
template <int K>
__device__ inline void load_left(unsigned (&a)[4], const bf16* rows, int k) {
  load_matrices<false>(a, rows + lane_index() % 16 * matrix_pitch<K> + k * 16 + lane_index() / 16 * 8);
}
/// Two right operands of 8 columns, the columns being rows of shared memory: a[0, 1] and b[2, 3].
template <int K>
__device__ inline void load_right_of_rows(unsigned (&b)[4], const bf16* rows, int k) {
  load_matrices<false>(
      b, rows + (lane_index() % 8 + lane_index() / 16 * 8) * matrix_pitch<K> + k * 16 + lane_index() / 8 % 2 * 8);
}
/// Two right operands of 8 columns, the depths being rows of shared memory: channels [16 n, 16 n + 16).
template <int K>
__device__ inline void load_right_of_depths(unsigned (&b)[4], const bf16* rows, int n) {
  load_matrices<true>(b, rows + lane_index() % 16 * matrix_pitch<K> + n * 16 + lane_index() / 16 * 8);
}
__device__ inline void multiply_add_pair(float (&c0)[4], float (&c1)[4], const unsigned (&a)[4],
                                         const unsigned (&b)[4]) {
  const unsigned first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
  multiply_add_16x8x16(c0, a, first);
  multiply_add_16x8x16(c1, a, second);
}

/// scores (16 Tiles, Columns) = own rows · the stream's rows, over K channels.
template <int K, int Tiles, int Columns>
__device__ inline void multiply_rows(Array<Array<float[4], Columns / 8>, Tiles>& scores, const bf16* own,
                                     const bf16* stream) {
  for (int t = 0; t < Tiles; ++t)
    for (int n = 0; n < Columns / 8; ++n)
      for (int i = 0; i < 4; ++i) scores[t][n][i] = 0;
  FLAMINGO_UNROLL
  for (int k = 0; k < K / 16; ++k) {
    Array<unsigned[4], Tiles> a;
    FLAMINGO_UNROLL
    for (int t = 0; t < Tiles; ++t) load_left<K>(a[t], own + t * 16 * matrix_pitch<K>, k);
    FLAMINGO_UNROLL
    for (int n = 0; n < Columns / 16; ++n) {
      unsigned b[4];
      load_right_of_rows<K>(b, stream + n * 16 * matrix_pitch<K>, k);
      FLAMINGO_UNROLL
      for (int t = 0; t < Tiles; ++t) multiply_add_pair(scores[t][2 * n], scores[t][2 * n + 1], a[t], b);
    }
  }
}
/// sums (16 Tiles, K) += weights (16 Tiles, Columns), rounded, × the stream's rows.
template <int K, int Tiles, int Columns>
__device__ inline void add_weighted_rows(Array<Array<float[4], K / 8>, Tiles>& sums,
                                         const Array<Array<float[4], Columns / 8>, Tiles>& weights,
                                         const bf16* stream) {
  FLAMINGO_UNROLL
  for (int k = 0; k < Columns / 16; ++k) {
    Array<unsigned[4], Tiles> a;
    FLAMINGO_UNROLL
    for (int t = 0; t < Tiles; ++t) FLAMINGO_UNROLL
    for (int i = 0; i < 4; ++i)
      a[t][i] = bf16_pair(weights[t][2 * k + i / 2][i % 2 * 2], weights[t][2 * k + i / 2][i % 2 * 2 + 1]);
    FLAMINGO_UNROLL
    for (int n = 0; n < K / 16; ++n) {
      unsigned b[4];
      load_right_of_depths<K>(b, stream + k * 16 * matrix_pitch<K>, n);
      FLAMINGO_UNROLL
      for (int t = 0; t < Tiles; ++t) multiply_add_pair(sums[t][2 * n], sums[t][2 * n + 1], a[t], b);
    }
  }
}

/// Over the four lanes that share a row.
__device__ inline float row_max(float x) {
  x = larger(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return larger(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}
/// Of a tile's result i of a lane: its row (without 16 times the tile) and its column (without 8 times the tile).
__device__ inline int result_row(int i) { return lane_index() / 4 + i / 2 * 8; }
__device__ inline int result_column(int i) { return lane_index() % 4 * 2 + i % 2; }

/// Writes 16 rows of sums times factor[half].
template <int K>
__device__ inline void store_rows(Strided<bf16> to, long long first_row, int rows, int first_channel, int channels,
                                  const Array<float[4], K / 8>& sums, const float (&factor)[2]) {
  const bool pairs = to.stride % 2 == 0 && first_channel % 2 == 0 && channels % 2 == 0 &&
                     reinterpret_cast<std::uintptr_t>(to.data) % 4 == 0;
  FLAMINGO_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int row = result_row(2 * half);
    if (row >= rows) continue;
    bf16* const at = to.data + (first_row + row) * to.stride + first_channel;
    FLAMINGO_UNROLL
    for (int n = 0; n < K / 8; ++n) {
      const int channel = n * 8 + result_column(0);
      const float a = sums[n][2 * half] * factor[half], b = sums[n][2 * half + 1] * factor[half];
      if (pairs && channel < channels) {
        *reinterpret_cast<unsigned*>(at + channel) = bf16_pair(a, b);
      } else {
        if (channel < channels) at[channel] = narrow<bf16>(a);
        if (channel + 1 < channels) at[channel + 1] = narrow<bf16>(b);
      }
    }
  }
}

/// Scores stay dot products as long as they can: 2^(factor × score - what it is measured from) is one multiplication.
template <class Position>
__device__ inline float score_factor(float scale) {
  return std::is_same_v<Position, None> ? scale * log2_of_e : 1.0f;
}
/// A score with its position term, to be multiplied by score_factor.
template <class Position>
__device__ inline float positioned(float dot, float scale, const Position& position, int head, int row, int distance) {
  if constexpr (std::is_same_v<Position, None>)
    return dot;
  else
    return position(dot * scale, head, row, distance) * log2_of_e;
}

/// A block's place: its query rows, where their keys are, and its warp's rows among them.
template <int Tiles>
struct QueryBlock {
  QueryTile tile;
  Span span;
  int head, kv_head, warp_row, tile_position;

  /// Long spans come last and causal ones see most at their ends: the last tiles begin first.
  __device__ QueryBlock(const AttentionShape& shape, const AttentionTables& tables)
      : tile(tables.query_tiles[tables.query_tile_count - 1 - block_index_x()]),
        span(tile.span < 0 ? Span{} : tables.spans[tile.span]),
        head(block_index_y()),
        kv_head(block_index_y() / (shape.heads / shape.kv_heads)),
        warp_row(warp_index() * 16 * Tiles),
        tile_position(span.position + tile.first_row - span.first_row) {}

  __device__ int position(int row) const { return tile_position + row; }
  __device__ int last_position() const { return tile_position + tile.rows - 1; }

  /// Gives the dot products of a tile of keys their position terms, and what a row does not see -infinity.
  template <int Columns, class Position>
  __device__ void prepare(Array<Array<float[4], Columns / 8>, Tiles>& scores, const Segment& segment, int offset,
                          bool whole, float scale, const Position& rule) const {
    FLAMINGO_UNROLL
    for (int t = 0; t < Tiles; ++t) FLAMINGO_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int row = warp_row + t * 16 + result_row(i);
      const int end = whole ? Columns : row < tile.rows ? visible_keys(segment, position(row)) - offset : 0;
      const int distance = segment.position + offset - position(row);
      FLAMINGO_UNROLL
      for (int n = 0; n < Columns / 8; ++n) {
        const int column = n * 8 + result_column(i);
        float& score = scores[t][n][i];
        score = span.uniform ? 0 : positioned(score, scale, rule, head, tile.first_row + row, distance + column);
        if (column >= end) score = -INFINITY;
      }
    }
  }

  /// Hands the gradients of a tile's scores to the position term.
  template <int Columns, class Position>
  __device__ void add_gradients(const Array<Array<float[4], Columns / 8>, Tiles>& dscores, const Segment& segment,
                                int offset, const Position& rule) const {
    FLAMINGO_UNROLL
    for (int t = 0; t < Tiles; ++t) FLAMINGO_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int row = warp_row + t * 16 + result_row(i);
      const int end = row < tile.rows ? visible_keys(segment, position(row)) - offset : 0;
      FLAMINGO_UNROLL
      for (int n = 0; n < Columns / 8; ++n) {
        const int column = n * 8 + result_column(i);
        if (column < end)
          rule.add_gradient(dscores[t][n][i], head, tile.first_row + row,
                            segment.position + offset + column - position(row));
      }
    }
  }
};

template <int K, int Tiles, int Columns>
struct ForwardShared {
  alignas(16) Array<bf16, 64 * Tiles * matrix_pitch<K>> q;
  alignas(16) Array<Array<bf16, Columns * matrix_pitch<K>>, 2> k;
  alignas(16) Array<Array<bf16, Columns * matrix_pitch<K>>, 2> v;
};

template <int K, int Tiles, class Position>
static __global__ void __launch_bounds__(matrix_threads, 2)
    attention_forward_matrix_kernel(AttentionShape shape, AttentionTables tables, Strided<const bf16> q,
                                    const __grid_constant__ Pools<const bf16> pools, float scale, Position position,
                                    bool packed, Strided<bf16> o, float* lse) {
  constexpr int columns = matrix_stream_rows;
  auto& shared = shared_memory<ForwardShared<K, Tiles, columns>>();
  const QueryBlock<Tiles> own(shape, tables);
  const int d = shape.head_dim;

  copy_head_async<64 * Tiles, K>(shared.q, q.data + own.tile.first_row * q.stride + own.head * d, q.stride,
                                 own.tile.rows, d, packed);
  const float factor = score_factor<Position>(scale);
  Array<float[2], Tiles> maximum, total;  // maximum: of the row's scores; total: of this lane's keys
  Array<Array<float[4], K / 8>, Tiles> sums = {};
  for (int t = 0; t < Tiles; ++t)
    for (int half = 0; half < 2; ++half) {
      maximum[t][half] = -INFINITY;
      total[t][half] = 0;
    }
  const Segment* segments = tables.segments + own.span.first_segment;
  using Cursor = KeyCursor<columns>;
  for_each_tile<2>(
      Cursor{segments, segments + own.span.segments, own.last_position()},
      [&](const Cursor& at, int stage) {
        copy_keys_async<columns, K>(shared.k[stage], shared.v[stage], pools, at, own.kv_head, d, packed);
      },
      [&](const Cursor& at, int stage) {
        const Segment& segment = *at.segment;
        if (own.warp_row >= own.tile.rows) return;  // a whole warp; its part of the copies is done
        Array<Array<float[4], columns / 8>, Tiles> p;
        multiply_rows<K, Tiles, columns>(p, shared.q + own.warp_row * matrix_pitch<K>, shared.k[stage]);
        // Rows see more the later they are: if the warp's first sees the tile, all do.
        const bool whole = visible_keys(segment, own.position(own.warp_row)) - at.offset >= columns;
        if (!whole || own.span.uniform || !std::is_same_v<Position, None>)
          own.template prepare<columns>(p, segment, at.offset, whole, scale, position);
        FLAMINGO_UNROLL
        for (int t = 0; t < Tiles; ++t) FLAMINGO_UNROLL
        for (int half = 0; half < 2; ++half) {
          float above = maximum[t][half];
          FLAMINGO_UNROLL
          for (int n = 0; n < columns / 8; ++n) above = larger(above, larger(p[t][n][2 * half], p[t][n][2 * half + 1]));
          above = row_max(above);
          const float base = above == -INFINITY ? 0 : above * factor;  // nothing seen yet: 2^-infinity is 0
          const float shrink = power_of_two(maximum[t][half] * factor - base);
          maximum[t][half] = above;
          float sum = 0;
          FLAMINGO_UNROLL
          for (int n = 0; n < columns / 8; ++n) FLAMINGO_UNROLL
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            p[t][n][i] = power_of_two(p[t][n][i] * factor - base);
            sum += p[t][n][i];
          }
          total[t][half] = total[t][half] * shrink + sum;
          FLAMINGO_UNROLL
          for (int n = 0; n < K / 8; ++n) {
            sums[t][n][2 * half] *= shrink;
            sums[t][n][2 * half + 1] *= shrink;
          }
        }
        add_weighted_rows<K, Tiles, columns>(sums, p, shared.v[stage]);
      });
  wait_async<0>();  // for the own rows, where no tile followed

  FLAMINGO_UNROLL
  for (int t = 0; t < Tiles; ++t) {
    const int first = own.warp_row + t * 16;
    float share[2];
    for (int half = 0; half < 2; ++half) {
      const float all = row_sum(total[t][half]);
      const bool sees = maximum[t][half] != -INFINITY;
      share[half] = sees ? 1 / all : 0;
      const int row = first + result_row(2 * half);
      if (lse && lane_index() % 4 == 0 && row < own.tile.rows)
        lse[shape.statistic(own.tile.first_row + row, own.head)] =
            sees ? (maximum[t][half] * factor + logarithm_of_two(all)) * ln_of_2 : -INFINITY;
    }
    store_rows<K>(o, own.tile.first_row + first, own.tile.rows - first, own.head * d, d, sums[t], share);
  }
}

/// Fewer keys at a time where a warp has more rows: scores, their gradients and the sums share the registers.
template <int Tiles>
constexpr int backward_q_columns = 64 / Tiles;

template <int K, int Tiles>
struct BackwardQShared {
  alignas(16) Array<bf16, 64 * Tiles * matrix_pitch<K>> q;
  alignas(16) Array<bf16, 64 * Tiles * matrix_pitch<K>> dout;
  alignas(16) Array<Array<bf16, backward_q_columns<Tiles> * matrix_pitch<K>>, 2> k;
  alignas(16) Array<Array<bf16, backward_q_columns<Tiles> * matrix_pitch<K>>, 2> v;
};

template <int K, int Tiles, class Position>
static __global__ void __launch_bounds__(matrix_threads, 2)
    attention_backward_q_matrix_kernel(AttentionShape shape, AttentionTables tables, Strided<const bf16> q,
                                       const __grid_constant__ Pools<const bf16> pools, float scale, Position position,
                                       bool packed, Strided<const bf16> dout, const float* lse, const float* delta,
                                       Strided<bf16> dq) {
  constexpr int columns = backward_q_columns<Tiles>;
  auto& shared = shared_memory<BackwardQShared<K, Tiles>>();
  const QueryBlock<Tiles> own(shape, tables);
  const int d = shape.head_dim;

  copy_head_async<64 * Tiles, K>(shared.q, q.data + own.tile.first_row * q.stride + own.head * d, q.stride,
                                 own.tile.rows, d, packed);
  copy_head_async<64 * Tiles, K>(shared.dout, dout.data + own.tile.first_row * dout.stride + own.head * d, dout.stride,
                                 own.tile.rows, d, packed);
  const float factor = score_factor<Position>(scale);
  Array<float[2], Tiles> own_lse, own_delta;
  Array<Array<float[4], K / 8>, Tiles> sums = {};
  for (int t = 0; t < Tiles; ++t)
    for (int half = 0; half < 2; ++half) {
      const int row = own.warp_row + t * 16 + result_row(2 * half);
      const long long at = shape.statistic(own.tile.first_row + row, own.head);
      // What sees nothing has -infinity, and so have its scores.
      own_lse[t][half] = row < own.tile.rows && lse[at] != -INFINITY ? lse[at] * log2_of_e : 0;
      own_delta[t][half] = row < own.tile.rows ? delta[at] : 0;
    }
  const int segment_count = own.span.uniform ? 0 : own.span.segments;  // equal weights do not depend on q
  const Segment* segments = tables.segments + own.span.first_segment;
  using Cursor = KeyCursor<columns>;
  for_each_tile<2>(
      Cursor{segments, segments + segment_count, own.last_position()},
      [&](const Cursor& at, int stage) {
        copy_keys_async<columns, K>(shared.k[stage], shared.v[stage], pools, at, own.kv_head, d, packed);
      },
      [&](const Cursor& at, int stage) {
        const Segment& segment = *at.segment;
        if (own.warp_row >= own.tile.rows) return;
        Array<Array<float[4], columns / 8>, Tiles> p, ds;
        multiply_rows<K, Tiles, columns>(p, shared.q + own.warp_row * matrix_pitch<K>, shared.k[stage]);
        multiply_rows<K, Tiles, columns>(ds, shared.dout + own.warp_row * matrix_pitch<K>, shared.v[stage]);
        const bool whole = visible_keys(segment, own.position(own.warp_row)) - at.offset >= columns;
        if (!whole || !std::is_same_v<Position, None>)
          own.template prepare<columns>(p, segment, at.offset, whole, scale, position);
        FLAMINGO_UNROLL
        for (int t = 0; t < Tiles; ++t) FLAMINGO_UNROLL
        for (int n = 0; n < columns / 8; ++n) FLAMINGO_UNROLL
        for (int i = 0; i < 4; ++i)
          ds[t][n][i] = power_of_two(p[t][n][i] * factor - own_lse[t][i / 2]) * (ds[t][n][i] - own_delta[t][i / 2]);
        if constexpr (Position::keeps_gradients) own.template add_gradients<columns>(ds, segment, at.offset, position);
        add_weighted_rows<K, Tiles, columns>(sums, ds, shared.k[stage]);
      });
  wait_async<0>();
  const float scales[2] = {scale, scale};
  FLAMINGO_UNROLL
  for (int t = 0; t < Tiles; ++t) {
    const int first = own.warp_row + t * 16;
    store_rows<K>(dq, own.tile.first_row + first, own.tile.rows - first, own.head * d, d, sums[t], scales);
  }
}

template <int K>
struct BackwardKVShared {
  static constexpr int rows = matrix_stream_rows;
  alignas(16) Array<bf16, 64 * matrix_pitch<K>> k;
  alignas(16) Array<bf16, 64 * matrix_pitch<K>> v;
  alignas(16) Array<Array<bf16, rows * matrix_pitch<K>>, 2> q;
  alignas(16) Array<Array<bf16, rows * matrix_pitch<K>>, 2> dout;
  alignas(8) Array<Array<float, rows>, 2> lse;
  alignas(8) Array<Array<float, rows>, 2> delta;
};

/// A block's place where keys are its own: its key rows, and its warp's rows among them.
struct KeyBlock {
  KeyTile tile;
  int kv_head, group, warp_row;

  __device__ KeyBlock(const AttentionShape& shape, const AttentionTables& tables)
      : tile(tables.key_tiles[block_index_x()]),
        kv_head(block_index_y()),
        group(shape.heads / shape.kv_heads),
        warp_row(warp_index() * 16) {}

  /// The warp's first key in the segment.
  __device__ int first_key(const Segment& segment) const { return tile.first_row + warp_row - segment.first; }

  /// Gives the dot products of the warp's keys and a tile of queries their position terms, and what a query does not
  /// see -infinity.
  template <int Columns, class Position>
  __device__ void prepare(Array<float[4], Columns / 8>& scores, const Span& span, const Segment& segment, int offset,
                          int head, float scale, const Position& rule) const {
    const int first = first_key(segment), rows = span.rows - offset < Columns ? span.rows - offset : Columns;
    // Keys are seen by fewer queries the later they are: by those that see the warp's last one, all are.
    const bool whole = first >= 0 && first + 16 <= segment.count && warp_row + 16 <= tile.rows && rows == Columns &&
                       first_seeing(segment, span, first + 15) <= offset;
    if (whole && !span.uniform && std::is_same_v<Position, None>) return;
    FLAMINGO_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int row = warp_row + result_row(i), key = first + result_row(i);
      const bool used = row < tile.rows && key >= 0 && key < segment.count;
      const int begin = used ? first_seeing(segment, span, key) - offset : 0, end = used ? rows : 0;
      const int distance = segment.position + key - (span.position + offset);
      FLAMINGO_UNROLL
      for (int n = 0; n < Columns / 8; ++n) {
        const int column = n * 8 + result_column(i);
        float& score = scores[n][i];
        score = span.uniform
                    ? 0
                    : positioned(score, scale, rule, head, span.first_row + offset + column, distance - column);
        if (column < begin || column >= end) score = -INFINITY;
      }
    }
  }
};

/// A block takes 64 keys and one key head: the queries of all heads of its group stream by. Scores lie transposed, a
/// row a key.
template <int K, class Position>
static __global__ void __launch_bounds__(matrix_threads, 2)
    attention_backward_kv_matrix_kernel(AttentionShape shape, AttentionTables tables, Strided<const bf16> q,
                                        const __grid_constant__ Pools<const bf16> pools, float scale, Position position,
                                        bool packed, Strided<const bf16> dout, const float* lse, const float* delta,
                                        const __grid_constant__ Pools<bf16> gradients) {
  constexpr int columns = matrix_stream_rows;
  auto& shared = shared_memory<BackwardKVShared<K>>();
  const KeyBlock own(shape, tables);
  const KeyTile& tile = own.tile;
  const int kv_head = own.kv_head, group = own.group, warp_row = own.warp_row, d = shape.head_dim;
  const Strided<bf16> dk = gradients.k[tile.pool], dv = gradients.v[tile.pool];
  if (!dk.data && !dv.data) return;  // the whole block: this pool's gradients are not wanted
  const Strided<const bf16> k = pools.k[tile.pool], v = pools.v[tile.pool];

  copy_head_async<64, K>(shared.k, k.data + tile.first_row * k.stride + kv_head * d, k.stride, tile.rows, d, packed);
  copy_head_async<64, K>(shared.v, v.data + tile.first_row * v.stride + kv_head * d, v.stride, tile.rows, d, packed);

  const float factor = score_factor<Position>(scale);
  Array<Array<float[4], K / 8>, 1> k_sums = {}, v_sums = {};
  const KeyUse* uses = tables.key_uses + tile.first_use;
  using Cursor = QueryCursor<columns>;
  for_each_tile<2>(
      Cursor{uses, uses + tile.uses, tables.spans, tables.segments, tile.first_row, group},
      [&](const Cursor& at, int stage) {
        const Span& span = tables.spans[at.use->span];
        const long long row = span.first_row + at.offset;
        const int head = kv_head * group + at.head, rows = span.rows - at.offset;
        copy_head_async<columns, K>(shared.q[stage], q.data + row * q.stride + head * d, q.stride, rows, d, packed);
        copy_head_async<columns, K>(shared.dout[stage], dout.data + row * dout.stride + head * d, dout.stride, rows, d,
                                    packed);
        const long long statistics = shape.statistic(row, head);
        const int stride = shape.statistics_stride();
        copy_tile_async<matrix_threads, 1, columns, 1, 1>(shared.lse[stage], lse + statistics, stride, rows, 1);
        copy_tile_async<matrix_threads, 1, columns, 1, 1>(shared.delta[stage], delta + statistics, stride, rows, 1);
      },
      [&](const Cursor& at, int stage) {
        const Span& span = tables.spans[at.use->span];
        const Segment& segment = tables.segments[at.use->segment];
        const int first_key = own.first_key(segment);
        if (first_key + 16 <= 0 || first_key >= segment.count) return;  // the segment has none of the warp's keys
        Array<Array<float[4], columns / 8>, 1> p, ds;
        multiply_rows<K, 1, columns>(p, shared.k + warp_row * matrix_pitch<K>, shared.q[stage]);
        own.template prepare<columns>(p[0], span, segment, at.offset, kv_head * group + at.head, scale, position);
        FLAMINGO_UNROLL
        for (int n = 0; n < columns / 8; ++n) {
          const auto query_lse = load_pack<2>(shared.lse[stage] + n * 8 + result_column(0));
          FLAMINGO_UNROLL
          for (int i = 0; i < 4; ++i) {
            // A query that sees nothing has -infinity.
            const float measure = query_lse.value[i % 2] == -INFINITY ? 0 : query_lse.value[i % 2] * log2_of_e;
            p[0][n][i] = power_of_two(p[0][n][i] * factor - measure);
          }
        }
        add_weighted_rows<K, 1, columns>(v_sums, p, shared.dout[stage]);
        if (span.uniform) return;  // its weights depend on neither k nor q
        multiply_rows<K, 1, columns>(ds, shared.v + warp_row * matrix_pitch<K>, shared.dout[stage]);
        FLAMINGO_UNROLL
        for (int n = 0; n < columns / 8; ++n) {
          const auto query_delta = load_pack<2>(shared.delta[stage] + n * 8 + result_column(0));
          FLAMINGO_UNROLL
          for (int i = 0; i < 4; ++i) ds[0][n][i] = p[0][n][i] * (ds[0][n][i] - query_delta.value[i % 2]);
        }
        add_weighted_rows<K, 1, columns>(k_sums, ds, shared.q[stage]);
      });
  wait_async<0>();
  const float k_factor[2] = {scale, scale}, v_factor[2] = {1, 1};
  if (dk.data) store_rows<K>(dk, tile.first_row + warp_row, tile.rows - warp_row, kv_head * d, d, k_sums[0], k_factor);
  if (dv.data) store_rows<K>(dv, tile.first_row + warp_row, tile.rows - warp_row, kv_head * d, d, v_sums[0], v_factor);
}

}  // namespace flamingo::raw
