/// Attention's gradients on Hopper: the kernels of dq, and of dk and dv, with what attention_hopper.cuh begins.
#pragma once
#include "attention_hopper.cuh"

namespace flamingo::raw {

template <int K, int Columns = 64, int Stages = 3>
struct HopperBackwardQShared {
  SwizzledTile<hopper_rows, K> q, dout;
  KeyStream<K, Columns, Stages> stream;
  SharedBarrier own;
};

template <int K, class Position, int Columns = 64, int Stages = 3>
static __global__ void __launch_bounds__(hopper_threads, 1)
    attention_backward_q_hopper_kernel(AttentionShape shape, AttentionTables tables, Strided<const bf16> q,
                                       const __grid_constant__ Pools<const bf16> pools, float scale, Position position,
                                       bool packed, Strided<const bf16> dout, const float* lse, const float* delta,
                                       Strided<bf16> dq) {
#if defined(FLAMINGO_WARPGROUPS)
  auto& shared = swizzled_memory<HopperBackwardQShared<K, Columns, Stages>>();
  auto& [k, v, keys, values] = shared.stream;
  const HopperQueries own(shape, tables);
  const int d = shape.head_dim;
  if (thread_index() == 0) {
    shared.stream.begin();
    shared.own.begin(warpgroup_threads);
  }
  __syncthreads();
  const int segment_count = own.span.uniform ? 0 : own.span.segments;  // equal weights do not depend on q
  const Segment* segments = tables.segments + own.span.first_segment;
  KeyCursor<Columns> at{segments, segments + segment_count, own.last_position()};

  if (thread_index() >= 2 * warpgroup_threads) {
    fewer_registers<hopper_copying_registers>();
    copy_swizzled(shared.q, q, own.tile.first_row, own.head * d, own.tile.rows, d, packed);
    copy_swizzled(shared.dout, dout, own.tile.first_row, own.head * d, own.tile.rows, d, packed);
    arrive_with_copies(shared.own, packed);
    shared.stream.copy(at, pools, own.kv_head, d, packed);
    return;
  }
  more_registers<hopper_multiplying_registers>();
  const float factor = score_factor<Position>(scale);
  float own_lse[2], own_delta[2];
  for (int half = 0; half < 2; ++half) {
    const int row = own.warp_row + result_row(2 * half);
    const long long place = shape.statistic(own.tile.first_row + row, own.head);
    // What sees nothing has -infinity, and so have its scores.
    own_lse[half] = row < own.tile.rows && lse[place] != -INFINITY ? lse[place] * log2_of_e : 0;
    own_delta[half] = row < own.tile.rows ? delta[place] : 0;
  }
  Array<float[4], K / 8> sums = {};
  Array<Array<float[4], Columns / 8>, 1> p;
  Array<float[4], Columns / 8> ds;
  Array<unsigned[4], Columns / 16> weights;
  settle(sums);  // zeros before any product begins
  wait_for_tile(shared.own, 0);
  for (int step = 0; !at.done(); at.next(), ++step) {
    const int stage = step % Stages, parity = step / Stages % 2;
    wait_for_tile(keys.full[stage], parity);
    begin_scores<K>(p[0], shared.q, own.group_row(), k[stage]);
    wait_for_tile(values.full[stage], parity);
    begin_scores<K>(ds, shared.dout, own.group_row(), v[stage]);
    wait_products<1>();  // the last tile's sums, and these scores
    settle(p[0]);
    settle(sums);
    if (step > 0) leave_tile(keys.empty[(step - 1) % Stages]);
    const bool whole = own.whole(*at.segment, at.offset, Columns);
    if (!whole || !std::is_same_v<Position, None>)
      own.template prepare<Columns>(p, *at.segment, at.offset, whole, scale, position);
    FLAMINGO_UNROLL
    for (int n = 0; n < Columns / 8; ++n) FLAMINGO_UNROLL
    for (int i = 0; i < 4; ++i) p[0][n][i] = power_of_two(p[0][n][i] * factor - own_lse[i / 2]);
    wait_products<0>();
    settle(ds);
    leave_tile(values.empty[stage]);
    FLAMINGO_UNROLL
    for (int n = 0; n < Columns / 8; ++n) FLAMINGO_UNROLL
    for (int i = 0; i < 4; ++i) ds[n][i] = p[0][n][i] * (ds[n][i] - own_delta[i / 2]);
    round_weights(weights, ds);
    begin_weighted<K>(sums, weights, k[stage]);
  }
  wait_products<0>();
  settle(sums);
  const float scales[2] = {scale, scale};
  store_rows<K>(dq, own.tile.first_row + own.warp_row, own.tile.rows - own.warp_row, own.head * d, d, sums, scales);
#endif
}

/// Fewer queries at a time where a key has more channels: scores, their gradients and the sums share the registers.
template <int K>
constexpr int hopper_kv_columns = K == 128 ? 32 : 64;

template <int K, int Columns = hopper_kv_columns<K>, int Stages = 2>
struct HopperBackwardKVShared {
  SwizzledTile<64, K> k, v;
  Array<SwizzledTile<Columns, K>, Stages> q, dout;
  Array<Array<float, Columns>, Stages> measure, delta;
  StageBarriers<Stages> queries;
  Array<SharedBarrier, Stages> gradients, statistics;
  SharedBarrier own;
};
inline constexpr int hopper_kv_threads = 2 * warpgroup_threads;  ///< one warpgroup multiplies, one copies

/// A block takes 64 keys and one key head: the queries of all heads of its group stream by. Scores lie transposed, a
/// row a key.
template <int K, class Position, int Columns = hopper_kv_columns<K>, int Stages = 2>
static __global__ void __launch_bounds__(hopper_kv_threads, 2)
    attention_backward_kv_hopper_kernel(AttentionShape shape, AttentionTables tables, Strided<const bf16> q,
                                        const __grid_constant__ Pools<const bf16> pools, float scale, Position position,
                                        bool packed, Strided<const bf16> dout, const float* lse, const float* delta,
                                        const __grid_constant__ Pools<bf16> gradients) {
#if defined(FLAMINGO_WARPGROUPS)
  auto& shared = swizzled_memory<HopperBackwardKVShared<K, Columns, Stages>>();
  const KeyBlock own(shape, tables);
  const KeyTile& tile = own.tile;
  const int kv_head = own.kv_head, group = own.group, warp_row = own.warp_row, d = shape.head_dim;
  const Strided<bf16> dk = gradients.k[tile.pool], dv = gradients.v[tile.pool];
  if (!dk.data && !dv.data) return;  // the whole block: this pool's gradients are not wanted
  if (thread_index() == 0) {
    shared.queries.begin(warpgroup_threads, 4);
    for (int i = 0; i < Stages; ++i) {
      shared.gradients[i].begin(warpgroup_threads);
      shared.statistics[i].begin(warpgroup_threads);
    }
    shared.own.begin(warpgroup_threads);
  }
  __syncthreads();
  const KeyUse* uses = tables.key_uses + tile.first_use;
  QueryCursor<Columns> at{uses, uses + tile.uses, tables.spans, tables.segments, tile.first_row, group};

  if (thread_index() >= warpgroup_threads) {
    fewer_registers<hopper_copying_registers>();
    copy_swizzled(shared.k, pools.k[tile.pool], tile.first_row, kv_head * d, tile.rows, d, packed);
    copy_swizzled(shared.v, pools.v[tile.pool], tile.first_row, kv_head * d, tile.rows, d, packed);
    arrive_with_copies(shared.own, packed);
    for (int step = 0; !at.done(); at.next(), ++step) {
      const int stage = step % Stages, parity = step / Stages % 2;
      const Span& span = tables.spans[at.use->span];
      const long long row = span.first_row + at.offset;
      const int head = kv_head * group + at.head, rows = span.rows - at.offset;
      shared.queries.empty[stage].wait(parity ^ 1);
      copy_swizzled(shared.q[stage], q, row, head * d, rows, d, packed);
      arrive_with_copies(shared.queries.full[stage], packed);
      copy_swizzled(shared.dout[stage], dout, row, head * d, rows, d, packed);
      arrive_with_copies(shared.gradients[stage], packed);
      for (int i = thread_index() % warpgroup_threads; i < Columns; i += warpgroup_threads) {
        const long long place = shape.statistic(row + i, head);
        // A query that sees nothing has -infinity.
        shared.measure[stage][i] = i < rows && lse[place] != -INFINITY ? lse[place] * log2_of_e : 0;
        shared.delta[stage][i] = i < rows ? delta[place] : 0;
      }
      shared.statistics[stage].arrive();
    }
    return;
  }
  more_registers<216>();
  const float factor = score_factor<Position>(scale);
  Array<float[4], K / 8> k_sums = {}, v_sums = {};
  Array<float[4], Columns / 8> p, ds;
  Array<unsigned[4], Columns / 16> weights, ds_weights;
  settle(k_sums);  // zeros before any product begins
  settle(v_sums);
  wait_for_tile(shared.own, 0);
  for (int step = 0; !at.done(); at.next(), ++step) {
    const int stage = step % Stages, parity = step / Stages % 2;
    const Span& span = tables.spans[at.use->span];
    wait_for_tile(shared.queries.full[stage], parity);
    begin_scores<K>(p, shared.k, 0, shared.q[stage]);
    wait_for_tile(shared.gradients[stage], parity);
    begin_scores<K>(ds, shared.v, 0, shared.dout[stage]);
    shared.statistics[stage].wait(parity);
    wait_products<1>();  // the last tile's sums, and these scores
    settle(p);
    settle(k_sums);
    settle(v_sums);
    if (step > 0) leave_tile(shared.queries.empty[(step - 1) % Stages]);
    own.template prepare<Columns>(p, span, tables.segments[at.use->segment], at.offset, kv_head * group + at.head,
                                  scale, position);
    FLAMINGO_UNROLL
    for (int n = 0; n < Columns / 8; ++n) {
      const auto measure = load_pack<2>(shared.measure[stage] + n * 8 + result_column(0));
      FLAMINGO_UNROLL
      for (int i = 0; i < 4; ++i) p[n][i] = power_of_two(p[n][i] * factor - measure.value[i % 2]);
    }
    wait_products<0>();
    settle(ds);
    const float turns = span.uniform ? 0 : 1;  // equal weights depend on neither k nor q
    FLAMINGO_UNROLL
    for (int n = 0; n < Columns / 8; ++n) {
      const auto query_delta = load_pack<2>(shared.delta[stage] + n * 8 + result_column(0));
      FLAMINGO_UNROLL
      for (int i = 0; i < 4; ++i) ds[n][i] = turns * p[n][i] * (ds[n][i] - query_delta.value[i % 2]);
    }
    round_weights(ds_weights, ds);
    round_weights(weights, p);
    begin_weighted<K>(v_sums, weights, shared.dout[stage]);
    begin_weighted<K>(k_sums, ds_weights, shared.q[stage]);
  }
  wait_products<0>();
  settle(k_sums);
  settle(v_sums);
  const float k_factor[2] = {scale, scale}, v_factor[2] = {1, 1};
  if (dk.data) store_rows<K>(dk, tile.first_row + warp_row, tile.rows - warp_row, kv_head * d, d, k_sums, k_factor);
  if (dv.data) store_rows<K>(dv, tile.first_row + warp_row, tile.rows - warp_row, kv_head * d, d, v_sums, v_factor);
#endif
}

}  // namespace flamingo::raw
