/// The kernels of attention for bf16 heads of 64 and 128 on Hopper (sm_90a): FlashAttention-3 (Shah et al. 2024) over
/// spans, without its atomics.
///
/// Two warpgroups of a block take 64 rows each of the block's own side and multiply; a third copies tiles of the other
/// side, as far ahead as there is room. Barriers in shared memory say which tiles are there and which are read. The
/// two may be at different tiles, so that one has the matrix units while the other makes exponentials. Registers,
/// rounding and what is multiplied unseen are those of attention_matrix.cuh.
#pragma once
#include "attention_matrix.cuh"
#include "wgmma.cuh"

namespace flamingo::raw {

inline constexpr int hopper_rows = 128;                                     ///< of a block: two warpgroups of 64
inline constexpr int hopper_threads = hopper_rows * 2 + warpgroup_threads;  ///< and one that copies
inline constexpr int hopper_copying_registers = 40, hopper_multiplying_registers = 232;
/// Whether there are kernels for heads of K. Positions whose gradients are kept stay with attention_matrix.cuh.
template <int K, class Position>
constexpr bool hopper_takes = (K == 64 || K == 128) && !Position::keeps_gradients;

/// What a kernel that streams tiles through shared memory knows of them: `full` ends a phase when a tile is there,
/// `empty` when all warps that multiply have read it.
template <int Stages>
struct StageBarriers {
  Array<SharedBarrier, Stages> full, empty;

  __device__ void begin(int copying, int multiplying) {
    for (int i = 0; i < Stages; ++i) {
      full[i].begin(copying);
      empty[i].begin(multiplying);
    }
  }
};

#if defined(FLAMINGO_WARPGROUPS)

/// Rows [0, rows) of a head's channels into a swizzled tile by the warpgroup that copies, and its arrival at the
/// barrier; what is not there is zero.
template <int Rows, int K>
__device__ inline void copy_swizzled(SwizzledTile<Rows, K>& tile, Strided<const bf16> from, long long first_row,
                                     int first_channel, int rows, int channels, bool packed) {
  const bf16* source = from.data + first_row * from.stride + first_channel;
  if (packed) {
    constexpr int across = K / 8, down = warpgroup_threads / across;
    const int first = thread_index() % warpgroup_threads / across, channel = thread_index() % across * 8;
    bf16* const target = tile.at(first, channel);  // `down` is a multiple of 8: the next rows lie alike
    source += first * from.stride + channel;
    const int left = channel < channels ? rows - first : 0;
    FLAMINGO_ROLL  // few registers are left here
        for (int row = 0; row < Rows; row += down, source += down * from.stride)
            copy_async<16>(target + row * 64, source, row < left);
  } else {
    for (int i = thread_index() % warpgroup_threads; i < Rows * K; i += warpgroup_threads) {
      const int row = i / K, channel = i % K;
      tile.at(row, channel / 8 * 8)[channel % 8] =
          row < rows && channel < channels ? source[row * from.stride + channel] : narrow<bf16>(0);
    }
    show_to_products();
  }
}
/// After the copies of a tile.
__device__ inline void arrive_with_copies(SharedBarrier& full, bool packed) {
  if (packed)
    full.arrive_after_copies();
  else
    full.arrive();
}
/// Waits until a tile is there to be multiplied.
__device__ inline void wait_for_tile(SharedBarrier& full, int parity) {
  full.wait(parity);
  show_to_products();
}
/// A warp has read a tile: its part of the products is done.
__device__ inline void leave_tile(SharedBarrier& empty) {
  if (lane_index() == 0) empty.arrive();
}

/// Begins scores = rows [row, row + 64) of own · the stream's first 8 Tiles rows.
template <int K, int OwnRows, int Rows, std::size_t Tiles>
__device__ inline void begin_scores(float (&scores)[Tiles][4], const SwizzledTile<OwnRows, K>& own, int row,
                                    const SwizzledTile<Rows, K>& stream) {
  static_assert(Tiles * 8 == Rows, "scores have a column for each row of the stream's tile");
  begin_products();
  FLAMINGO_UNROLL
  for (int k = 0; k < K / 16; ++k) multiply_rows_async(scores, own.rows(row, k), stream.rows(0, k), k > 0);
  commit_products();
}
/// Begins sums (64, K) += weights (64, Rows) · the stream's rows.
template <int K, int Rows, std::size_t Tiles, std::size_t Depths>
__device__ inline void begin_weighted(float (&sums)[Tiles][4], const unsigned (&weights)[Depths][4],
                                      const SwizzledTile<Rows, K>& stream) {
  static_assert(Tiles * 8 == K && Depths * 16 == Rows, "weights have a column for each row of the stream's tile");
  begin_products();
  FLAMINGO_UNROLL
  for (int k = 0; k < Rows / 16; ++k) add_weighted_async(sums, weights[k], stream.depths(k));
  commit_products();
}
/// Weights as left operands.
template <std::size_t Depths, std::size_t Tiles>
__device__ inline void round_weights(unsigned (&to)[Depths][4], const float (&weights)[Tiles][4]) {
  static_assert(Tiles == 2 * Depths, "a depth of 16 is two results of 8");
  FLAMINGO_UNROLL
  for (std::size_t k = 0; k < Depths; ++k) FLAMINGO_UNROLL
  for (std::size_t i = 0; i < 4; ++i)
    to[k][i] = bf16_pair(weights[2 * k + i / 2][i % 2 * 2], weights[2 * k + i / 2][i % 2 * 2 + 1]);
}

#endif

/// A block's query rows, and of them those of the thread's warpgroup. The first two warpgroups multiply.
struct HopperQueries : QueryBlock<1> {
  using QueryBlock<1>::QueryBlock;
  __device__ int group_row() const { return warp_row / 64 * 64; }
  __device__ bool whole(const Segment& segment, int offset, int columns) const {
    return visible_keys(segment, position(warp_row)) - offset >= columns;
  }
};

/// Tiles of keys and values on their way through a block that has queries of its own.
template <int K, int Columns, int Stages>
struct KeyStream {
  Array<SwizzledTile<Columns, K>, Stages> k, v;
  StageBarriers<Stages> keys, values;

  __device__ void begin() {
    keys.begin(warpgroup_threads, hopper_rows / 16);
    values.begin(warpgroup_threads, hopper_rows / 16);
  }
#if defined(FLAMINGO_WARPGROUPS)
  /// What the warpgroup that copies does: all tiles of a key head, d channels wide, each where there is room.
  __device__ void copy(KeyCursor<Columns> at, const Pools<const bf16>& pools, int kv_head, int d, bool packed) {
    for (int step = 0; !at.done(); at.next(), ++step) {
      const int stage = step % Stages, parity = step / Stages % 2, seen = at.seen - at.offset;
      const long long row = at.segment->first + at.offset;
      keys.empty[stage].wait(parity ^ 1);
      copy_swizzled(k[stage], pools.k[at.segment->pool], row, kv_head * d, seen, d, packed);
      arrive_with_copies(keys.full[stage], packed);
      values.empty[stage].wait(parity ^ 1);
      copy_swizzled(v[stage], pools.v[at.segment->pool], row, kv_head * d, seen, d, packed);
      arrive_with_copies(values.full[stage], packed);
    }
  }
#endif
};

template <int K, int Columns = 128, int Stages = 2>
struct HopperForwardShared {
  SwizzledTile<hopper_rows, K> q;
  KeyStream<K, Columns, Stages> stream;
  SharedBarrier own;
};

template <int K, class Position, int Columns = 128, int Stages = 2>
static __global__ void __launch_bounds__(hopper_threads, 1)
    attention_forward_hopper_kernel(AttentionShape shape, AttentionTables tables, Strided<const bf16> q,
                                    const __grid_constant__ Pools<const bf16> pools, float scale, Position position,
                                    bool packed, Strided<bf16> o, float* lse) {
#if defined(FLAMINGO_WARPGROUPS)
  auto& shared = swizzled_memory<HopperForwardShared<K, Columns, Stages>>();
  auto& [k, v, keys, values] = shared.stream;
  const HopperQueries own(shape, tables);
  const int d = shape.head_dim;
  if (thread_index() == 0) {
    shared.stream.begin();
    shared.own.begin(warpgroup_threads);
  }
  __syncthreads();
  const Segment* segments = tables.segments + own.span.first_segment;
  KeyCursor<Columns> at{segments, segments + own.span.segments, own.last_position()};

  if (thread_index() >= 2 * warpgroup_threads) {
    fewer_registers<hopper_copying_registers>();
    copy_swizzled(shared.q, q, own.tile.first_row, own.head * d, own.tile.rows, d, packed);
    arrive_with_copies(shared.own, packed);
    shared.stream.copy(at, pools, own.kv_head, d, packed);
    return;
  }
  more_registers<hopper_multiplying_registers>();
  const float factor = score_factor<Position>(scale);
  float maximum[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0}, shrink[2];  // maximum: of the row's scores
  Array<float[4], K / 8> sums = {};
  Array<Array<float[4], Columns / 8>, 1> p;
  Array<unsigned[4], Columns / 16> weights;
  // Scores become weights measured from the row's new maximum; `shrink` is what weights so far change by.
  const auto soften = [&](const Segment& segment, int offset) {
    const bool whole = own.whole(segment, offset, Columns);
    if (!whole || own.span.uniform || !std::is_same_v<Position, None>)
      own.template prepare<Columns>(p, segment, offset, whole, scale, position);
    FLAMINGO_UNROLL
    for (int half = 0; half < 2; ++half) {
      float above = maximum[half];
      FLAMINGO_UNROLL
      for (int n = 0; n < Columns / 8; ++n) above = larger(above, larger(p[0][n][2 * half], p[0][n][2 * half + 1]));
      above = row_max(above);
      const float base = above == -INFINITY ? 0 : above * factor;  // nothing seen yet: 2^-infinity is 0
      shrink[half] = power_of_two(maximum[half] * factor - base);
      maximum[half] = above;
      float sum = 0;
      FLAMINGO_UNROLL
      for (int n = 0; n < Columns / 8; ++n) FLAMINGO_UNROLL
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        p[0][n][i] = power_of_two(p[0][n][i] * factor - base);
        sum += p[0][n][i];
      }
      total[half] = total[half] * shrink[half] + sum;
    }
  };
  wait_for_tile(shared.own, 0);
  if (!at.done()) {
    wait_for_tile(keys.full[0], 0);
    begin_scores<K>(p[0], shared.q, own.group_row(), k[0]);
    wait_products<0>();
    settle(p[0]);
    leave_tile(keys.empty[0]);
    soften(*at.segment, at.offset);
    round_weights(weights, p[0]);
    at.next();
    int step = 0;  // of the values that the weights are for
    for (; !at.done(); at.next(), ++step) {
      const int stage = step % Stages, next = (step + 1) % Stages;
      wait_for_tile(keys.full[next], (step + 1) / Stages % 2);
      begin_scores<K>(p[0], shared.q, own.group_row(), k[next]);
      wait_for_tile(values.full[stage], step / Stages % 2);
      begin_weighted<K>(sums, weights, v[stage]);
      wait_products<1>();
      settle(p[0]);
      leave_tile(keys.empty[next]);
      soften(*at.segment, at.offset);  // while the other product runs
      wait_products<0>();
      settle(sums);
      leave_tile(values.empty[stage]);
      FLAMINGO_UNROLL
      for (int n = 0; n < K / 8; ++n) FLAMINGO_UNROLL
      for (int i = 0; i < 4; ++i) sums[n][i] *= shrink[i / 2];
      round_weights(weights, p[0]);
    }
    wait_for_tile(values.full[step % Stages], step / Stages % 2);
    begin_weighted<K>(sums, weights, v[step % Stages]);
    wait_products<0>();
    settle(sums);
  }
  float share[2];
  for (int half = 0; half < 2; ++half) {
    const float all = row_sum(total[half]);
    const bool sees = maximum[half] != -INFINITY;
    share[half] = sees ? 1 / all : 0;
    const int row = own.warp_row + result_row(2 * half);
    if (lse && lane_index() % 4 == 0 && row < own.tile.rows)
      lse[shape.statistic(own.tile.first_row + row, own.head)] =
          sees ? (maximum[half] * factor + logarithm_of_two(all)) * ln_of_2 : -INFINITY;
  }
  store_rows<K>(o, own.tile.first_row + own.warp_row, own.tile.rows - own.warp_row, own.head * d, d, sums, share);
#endif
}

}  // namespace flamingo::raw
