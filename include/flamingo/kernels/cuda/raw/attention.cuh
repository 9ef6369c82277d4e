/// Attention over spans, forward and backward, on raw pointers.
///
///   s_ij = scale q_i·k_j (+ position term),  p_ij = exp(s_ij - lse_i),  lse_i = log Σ_j exp(s_ij),  o_i = Σ_j p_ij v_j
///   dv_j = Σ_i p_ij do_i,  ds_ij = p_ij (do_i·v_j - do_i·o_i),  dq_i = scale Σ_j ds_ij k_j,  dk_j = scale Σ_i ds_ij
///   q_i
///
/// q, o, do, dq (N, H K); k, v, dk, dv of each pool (rows, KV K) with H a multiple of KV; lse, delta (N, H). j runs
/// over the visible keys of all segments of i's span: one softmax, computed online (Milakov, Gimelshein 2018) over
/// tiles of keys as in FlashAttention (Dao et al. 2022), so that no score is stored. Keys of a segment have ascending
/// positions, so the visible ones come first. In float and double what is invisible is not even multiplied by zero; in
/// bf16 (attention_matrix.cuh) it is, within a tile of which something is visible: it must be finite. A row that sees
/// nothing gets exactly zero. Backward recomputes p from lse; every sum has one owner and one order (no atomics).
///
/// Heads of more than 64 take more than 99 KiB of shared memory a block: in bf16 forward over tiles of 128 queries, and
/// backward (up to 103 KiB); in double both (105 KiB). Devices of compute capability 8.0, 8.7, 9.0 and 10.0 have it;
/// 8.6 and 8.9 have 99 KiB, and there the answer is cudaErrorInvalidValue, before anything has run. Nothing else in
/// this folder asks for so much, but for Hopper's kernels, which only devices of 9.0 are asked for.
#pragma once
#include <span>

#include "attention_hopper_backward.cuh"
#include "attention_lanes.cuh"
#include "attention_matrix.cuh"

namespace flamingo::raw {

/// The tiles that the kernels for R walk, for plans of these spans.
template <class R>
AttentionTiles attention_tiles(std::span<const Span> spans) {
  return attention_tiles(spans, std::is_same_v<R, __nv_bfloat16>);
}
static_assert(AttentionTiles{}.query_rows == attention_tile_rows && AttentionTiles{}.key_rows == attention_tile_rows);

namespace detail {

template <class R>
bool fits(const AttentionTiles& tiles) {
  if constexpr (std::is_same_v<R, __nv_bfloat16>)
    return (tiles.query_rows == 64 || tiles.query_rows == 128) && tiles.key_rows == 64;
  else
    return tiles.query_rows == attention_tile_rows && tiles.key_rows == attention_tile_rows;
}

}  // namespace detail

/// Writes o, and lse unless null (backward needs it; -infinity where a row sees nothing). Tables lie on the device, of
/// a plan made for attention_tiles<R>; another one's are cudaErrorInvalidValue. K is a multiple of 8, of 16 for bf16;
/// scale is positive.
template <int K, class R, class Position>
cudaError_t attention_forward(AttentionShape shape, AttentionTables tables, Strided<const R> q, Pools<const R> pools,
                              Accumulate<R> scale, Position position, Strided<R> o, Accumulate<R>* lse,
                              cudaStream_t stream) {
  using A = Accumulate<R>;
  if (!detail::fits<R>(tables.tiles)) return cudaErrorInvalidValue;
  constexpr int count = pack_count<R>;
  if (shape.head_dim == 0) shape.head_dim = K;
  const bool packed = pools_pack(pools) && shape.head_dim % count == 0;
  const dim3 grid = grid_of(tables.query_tile_count, shape.heads);
  if constexpr (std::is_same_v<R, __nv_bfloat16>) {
    const bool all_packed = packed && packs(q.data, q.stride);
    if constexpr (hopper_takes<K, Position>)
      if (tables.tiles.query_rows == hopper_rows && has_warpgroups())
        return launch(grid, hopper_threads, sizeof(HopperForwardShared<K>) + 1024, stream,
                      attention_forward_hopper_kernel<K, Position>, shape, tables, q, pools, scale, position,
                      all_packed, o, lse);
    if (tables.tiles.query_rows == 64)
      return launch(grid, matrix_threads, sizeof(ForwardShared<K, 1, matrix_stream_rows>), stream,
                    attention_forward_matrix_kernel<K, 1, Position>, shape, tables, q, pools, scale, position,
                    all_packed, o, lse);
    return launch(grid, matrix_threads, sizeof(ForwardShared<K, 2, matrix_stream_rows>), stream,
                  attention_forward_matrix_kernel<K, 2, Position>, shape, tables, q, pools, scale, position, all_packed,
                  o, lse);
  } else {
    constexpr int stages = attention_stages<R, K>;
    const auto kernel = packed ? attention_forward_kernel<K, count, stages, Position, R, A>
                               : attention_forward_kernel<K, 1, stages, Position, R, A>;
    return launch(grid, WarpRows<K>::threads, sizeof(AttentionShared<R, K, stages>), stream, kernel, shape, tables, q,
                  pools, scale, position, o, lse);
  }
}

/// Writes dq unless null, and dk and dv of the pools that have them. workspace: N × heads elements. The same bits every
/// time.
template <int K, class R, class Position>
cudaError_t attention_backward(AttentionShape shape, AttentionTables tables, Strided<const R> q, Pools<const R> pools,
                               Accumulate<R> scale, Position position, Strided<const R> o, const Accumulate<R>* lse,
                               Strided<const R> dout, Strided<R> dq, Pools<R> gradients, Accumulate<R>* workspace,
                               cudaStream_t stream) {
  using A = Accumulate<R>;
  if (!detail::fits<R>(tables.tiles)) return cudaErrorInvalidValue;
  constexpr int count = pack_count<R>;
  if (shape.head_dim == 0) shape.head_dim = K;
  const bool heads_pack = shape.head_dim % count == 0, pools_do = heads_pack && pools_pack(pools),
             queries_do = heads_pack && packs(q.data, q.stride) && packs(dout.data, dout.stride);
  const dim3 query_grid = grid_of(tables.query_tile_count, shape.heads),
             key_grid = grid_of(tables.key_tile_count, shape.kv_heads);
  cudaError_t error = launch(grid_of(tiles_over(shape.N, WarpRows<K>::warps), shape.heads), WarpRows<K>::threads, 0,
                             stream, attention_delta_kernel<K, R, A>, shape, dout, o, workspace);
  if (error != cudaSuccess) return error;
  if constexpr (std::is_same_v<R, __nv_bfloat16>) {
    const bool packed = pools_do && queries_do;
    if constexpr (hopper_takes<K, Position>)
      if (tables.tiles.query_rows == hopper_rows && has_warpgroups()) {
        if (dq.data)
          error = launch(query_grid, hopper_threads, sizeof(HopperBackwardQShared<K>) + 1024, stream,
                         attention_backward_q_hopper_kernel<K, Position>, shape, tables, q, pools, scale, position,
                         packed, dout, lse, workspace, dq);
        if (error != cudaSuccess) return error;
        return launch(key_grid, hopper_kv_threads, sizeof(HopperBackwardKVShared<K>) + 1024, stream,
                      attention_backward_kv_hopper_kernel<K, Position>, shape, tables, q, pools, scale, position,
                      packed, dout, lse, workspace, gradients);
      }
    if (dq.data) {
      if (tables.tiles.query_rows == 64)
        error = launch(query_grid, matrix_threads, sizeof(BackwardQShared<K, 1>), stream,
                       attention_backward_q_matrix_kernel<K, 1, Position>, shape, tables, q, pools, scale, position,
                       packed, dout, lse, workspace, dq);
      else
        error = launch(query_grid, matrix_threads, sizeof(BackwardQShared<K, 2>), stream,
                       attention_backward_q_matrix_kernel<K, 2, Position>, shape, tables, q, pools, scale, position,
                       packed, dout, lse, workspace, dq);
      if (error != cudaSuccess) return error;
    }
    return launch(key_grid, matrix_threads, sizeof(BackwardKVShared<K>), stream,
                  attention_backward_kv_matrix_kernel<K, Position>, shape, tables, q, pools, scale, position, packed,
                  dout, lse, workspace, gradients);
  } else {
    constexpr int stages = attention_stages<R, K>, threads = WarpRows<K>::threads;
    constexpr std::size_t shared = sizeof(AttentionShared<R, K, stages>);
    if (dq.data) {
      const auto kernel = pools_do ? attention_backward_q_kernel<K, count, stages, Position, R, A>
                                   : attention_backward_q_kernel<K, 1, stages, Position, R, A>;
      error = launch(query_grid, threads, shared, stream, kernel, shape, tables, q, pools, scale, position, dout, lse,
                     workspace, dq);
      if (error != cudaSuccess) return error;
    }
    const auto kernel = queries_do ? attention_backward_kv_kernel<K, count, stages, Position, R, A>
                                   : attention_backward_kv_kernel<K, 1, stages, Position, R, A>;
    return launch(key_grid, threads, shared, stream, kernel, shape, tables, q, pools, scale, position, dout, lse,
                  workspace, gradients);
  }
}

}  // namespace flamingo::raw
