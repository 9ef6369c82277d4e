/// The dense product for one to eight rows, as decoding has them, on raw pointers.
///
///   y = x wᵀ + bias
///
/// x (N, D) with N at most 8; w (O, D); bias (O); y (N, O); rows packed. Sums in Accumulate<R>. What it costs is
/// reading w once, so a block takes few of w's rows and its warps share their depth: many loads of 16 bytes are on
/// their way at a time, on every multiprocessor. Every sum has one order, which depends on D and O alone: the bits of a
/// row depend neither on the other rows nor on how many there are.
///
///   const cudaError_t error = flamingo::raw::few_rows_forward(x, w, bias, y, N, D, O, stream);
#pragma once
#include <cstddef>

#include "tile.cuh"

namespace flamingo::raw {

inline constexpr int few_rows = 8;  ///< the columns of a matrix tile

struct FewRowsPolicy {
  int warps, outputs;  ///< of a block: warps that share the depth, rows of w
};
template <class R>
constexpr FewRowsPolicy few_rows_policy = {8, 4};
template <>
inline constexpr FewRowsPolicy few_rows_policy<__nv_bfloat16> = {8, 16};  // the rows of a matrix tile

inline constexpr int few_rows_blocks = 256;  ///< up to so many, twice the warps share the depth of bf16 rows

/// Of each row at most so many bytes are asked for before x is there: of few rows about as much as is read while the
/// kernels between two products run.
inline constexpr int ahead_bytes = 4096;

/// Asks for the beginnings of rows [first, first + rows) of `bytes` each: what a product mostly waits for is w, and w
/// is there before x is.
__device__ inline void ask_for_rows(const void* w, int first, int rows, long long bytes) {
  const int lines = tiles_over(static_cast<int>(bytes < ahead_bytes ? bytes : ahead_bytes), 128);
  for (int i = thread_index(); i < rows * lines; i += static_cast<int>(blockDim.x))
    ask_for(static_cast<const unsigned char*>(w) + (first + i / lines) * bytes + i % lines * 128);
}

/// What the block's warps have summed, added up in their order: thread i writes output i % Outputs of row i / Outputs.
template <int Warps, int Outputs, class R>
__device__ inline void store_few_rows(const Array<Array<Accumulate<R>, Outputs * few_rows>, Warps>& sums, const R* bias,
                                      R* y, int first, int N, int O) {
  for (int i = thread_index(); i < Outputs * N; i += Warps * 32) {
    const int output = first + i % Outputs, row = i / Outputs;
    if (output >= O) continue;
    Accumulate<R> sum = bias ? widen(bias[output]) : Accumulate<R>(0);
    for (int warp = 0; warp < Warps; ++warp) sum += sums[warp][i];
    y[static_cast<long long>(row) * O + output] = narrow<R>(sum);
  }
}

/// Lanes take neighbouring packs of the depth. Rows: N, or the next of 1, 2, 4 and 8.
template <int Warps, int Outputs, int Count, int Rows, class R>
static __global__ void __launch_bounds__(Warps * 32)
    few_rows_kernel(const R* x, const R* w, const R* bias, R* y, int N, int D, int O) {
  using A = Accumulate<R>;
  struct Sums {
    Array<Array<A, Outputs * few_rows>, Warps> value;
  };
  let_successor_start();
  Sums& shared = shared_memory<Sums>();
  const int first = block_index_x() * Outputs;
  ask_for_rows(w, first, first + Outputs < O ? Outputs : O - first,
               static_cast<long long>(D) * static_cast<int>(sizeof(R)));
  wait_for_predecessors();
  Array<Array<A, Rows>, Outputs> sums = {};
  for (int k = thread_index() * Count; k < D; k += Warps * 32 * Count) {
    Array<Pack<R, Count>, Outputs> ws;
    Array<Pack<R, Count>, Rows> xs;
    for (int o = 0; o < Outputs; ++o) {  // beyond the end: the last one again, whose sum nobody reads
      const int output = first + o < O ? first + o : O - 1;
      ws[o] = read_once<Pack<R, Count>>(w + static_cast<long long>(output) * D + k);
    }
    for (int n = 0; n < Rows; ++n) xs[n] = load_pack<Count>(x + static_cast<long long>(n < N ? n : N - 1) * D + k);
    for (int i = 0; i < Count; ++i)
      for (int o = 0; o < Outputs; ++o)
        for (int n = 0; n < Rows; ++n) sums[o][n] += widen(ws[o].value[i]) * widen(xs[n].value[i]);
  }
  for (int o = 0; o < Outputs; ++o)
    for (int n = 0; n < Rows; ++n) {
      const A sum = warp_sum(sums[o][n]);
      if (lane_index() == 0) shared.value[warp_index()][n * Outputs + o] = sum;
    }
  __syncthreads();
  store_few_rows<Warps, Outputs>(shared.value, bias, y, first, N, O);
}

/// Eight neighbours of a row of bf16 as four registers; zeros where not valid or beyond the end.
struct DepthPack {
  unsigned pair[4];
};
template <bool Packed, bool Once>
__device__ inline DepthPack load_depths(const __nv_bfloat16* row, int k, int D, bool valid) {
  Pack<__nv_bfloat16, 8> pack;
  if constexpr (Packed) {
    for (int i = 0; i < 8; ++i) pack.value[i] = narrow<__nv_bfloat16>(0);
    if (valid && k < D) pack = Once ? read_once<Pack<__nv_bfloat16, 8>>(row + k) : load_pack<8>(row + k);
  } else {
    for (int i = 0; i < 8; ++i) pack.value[i] = valid && k + i < D ? row[k + i] : narrow<__nv_bfloat16>(0);
  }
  DepthPack bits;
  memcpy(&bits, &pack, sizeof bits);
  return bits;
}

/// bf16 on the matrix units: sixteen rows of w by the eight of x. Which depths a lane holds is free as long as both
/// operands agree, so each holds eight neighbours, and what is loaded is what is multiplied.
template <int Warps, bool Packed>
static __global__ void __launch_bounds__(Warps * 32)
    few_rows_bf16_kernel(const __nv_bfloat16* x, const __nv_bfloat16* w, const __nv_bfloat16* bias, __nv_bfloat16* y,
                         int N, int D, int O) {
  constexpr int outputs = 16, step = 32;
  struct Sums {
    Array<Array<float, outputs * few_rows>, Warps> value;
  };
  let_successor_start();
  Sums& shared = shared_memory<Sums>();
  const int first = block_index_x() * outputs, group = lane_index() / 4, quad = lane_index() % 4;
  ask_for_rows(w, first, first + outputs < O ? outputs : O - first, static_cast<long long>(D) * 2);
  wait_for_predecessors();
  const int upper = first + group, lower = upper + 8;
  const __nv_bfloat16* const w_upper = w + static_cast<long long>(upper < O ? upper : 0) * D;
  const __nv_bfloat16* const w_lower = w + static_cast<long long>(lower < O ? lower : 0) * D;
  const __nv_bfloat16* const x_row = x + static_cast<long long>(group < N ? group : 0) * D;

  float sums[2][4] = {};  // two, so that a product need not wait for the one before it
  for (int base = warp_index() * step; base < D; base += Warps * step) {
    const int k = base + quad * 8;
    const DepthPack above = load_depths<Packed, true>(w_upper, k, D, upper < O),
                    below = load_depths<Packed, true>(w_lower, k, D, lower < O),
                    own = load_depths<Packed, false>(x_row, k, D, group < N);
    for (int half = 0; half < 2; ++half) {
      const unsigned a[4] = {above.pair[2 * half], below.pair[2 * half], above.pair[2 * half + 1],
                             below.pair[2 * half + 1]};
      const unsigned b[2] = {own.pair[2 * half], own.pair[2 * half + 1]};
      multiply_add_16x8x16(sums[half], a, b);
    }
  }
  for (int i = 0; i < 4; ++i)
    shared.value[warp_index()][(quad * 2 + i % 2) * outputs + group + i / 2 * 8] = sums[0][i] + sums[1][i];
  __syncthreads();
  store_few_rows<Warps, outputs>(shared.value, bias, y, first, N, O);
}

/// Writes y (N, O) = x (N, D) wᵀ + bias, N at most few_rows; bias may be null.
template <class R>
cudaError_t few_rows_forward(const R* x, const R* w, const R* bias, R* y, int N, int D, int O, cudaStream_t stream) {
  if (N > few_rows) return cudaErrorInvalidValue;
  if (N <= 0) return cudaSuccess;
  constexpr FewRowsPolicy p = few_rows_policy<R>;
  constexpr int count = pack_count<R>;
  const bool packable = packs(x, D) && packs(w, D);
  using Kernel = void (*)(const R*, const R*, const R*, R*, int, int, int);
  Kernel kernel;
  const int blocks = tiles_over(O, p.outputs);
  int warps = p.warps;
  if constexpr (std::is_same_v<R, __nv_bfloat16>) {
    if (blocks <= few_rows_blocks) warps = 2 * p.warps;
    kernel = !packable          ? few_rows_bf16_kernel<p.warps, false>
             : warps == p.warps ? few_rows_bf16_kernel<p.warps, true>
                                : few_rows_bf16_kernel<2 * p.warps, true>;
    if (!packable) warps = p.warps;
  } else {
    if (packable)
      kernel = N == 1   ? few_rows_kernel<p.warps, p.outputs, count, 1, R>
               : N == 2 ? few_rows_kernel<p.warps, p.outputs, count, 2, R>
               : N <= 4 ? few_rows_kernel<p.warps, p.outputs, count, 4, R>
                        : few_rows_kernel<p.warps, p.outputs, count, 8, R>;
    else
      kernel = few_rows_kernel<p.warps, p.outputs, 1, 8, R>;
  }
  return launch_early(grid_of(blocks), warps * 32,
                      static_cast<std::size_t>(warps * p.outputs * few_rows) * sizeof(Accumulate<R>), stream, kernel, x,
                      w, bias, y, N, D, O);
}

}  // namespace flamingo::raw
