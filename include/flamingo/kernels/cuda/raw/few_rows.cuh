/// The dense product for one to eight rows, as decoding has them, on raw pointers, with what follows it.
///
///   few_rows_forward:        y = x wᵀ + bias
///   few_rows_onto:           y = base + [tanh(gate)] (x wᵀ + bias)
///   few_rows_activate:       y = f(x wᵀ + bias)
///   few_rows_gate_activate:  y = f(x w_gateᵀ) (x w_upᵀ)
///   few_rows_several:        y = x wᵀ + bias, of up to three w
///
/// x (N, D) with N at most 8; w (O, D); base, y (N, O); rows packed; bias (O) and gate (1 or O) in Accumulate<R>, null
/// where there is none. Nothing is rounded before it is stored. Sums in Accumulate<R>. What it costs is
/// reading w once, so a block takes few of w's rows and its warps share their depth: many loads of 16 bytes are on
/// their way at a time, on every multiprocessor. Every sum has one order, which depends on D and on the outputs of
/// all maps together: the bits of a row depend neither on the other rows nor on how many there are.
///
///   const cudaError_t error = flamingo::raw::few_rows_forward(x, w, bias, y, N, D, O, stream);
#pragma once
#include <cstddef>

#include "nonlinearity.cuh"
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

/// Asks for the beginnings of `rows` rows of w (O, ·) from `first` on, of `bytes` each: what a product mostly waits for
/// is w, and w is there before x is.
__device__ inline void ask_for_rows(const void* w, int first, int rows, int O, long long bytes) {
  if (first + rows > O) rows = O - first;
  const int lines = tiles_over(static_cast<int>(bytes < ahead_bytes ? bytes : ahead_bytes), 128);
  for (int i = thread_index(); i < rows * lines; i += static_cast<int>(blockDim.x))
    ask_for(static_cast<const unsigned char*>(w) + (first + i / lines) * bytes + i % lines * 128);
}

/// A map of rows: by one matrix (O, D), or by two that have a y together; B is the bias's type.
template <int Matrices, class R, class B = Accumulate<R>>
struct RowMap {
  Array<const R*, Matrices> w;
  const B* bias;
  R* y;
  int O;

  __host__ __device__ int outputs() const { return O; }
};
/// Maps of the same rows, one to three: queries, keys and values. The first ones' outputs are the first blocks'.
template <class Map>
struct Several {
  static constexpr int most = 3;
  Array<Map, most> map;
  int count;
};
template <int Matrices, class R, class B = Accumulate<R>>
using RowMaps = Several<RowMap<Matrices, R, B>>;
/// Which map a block computes, and from which output on, when it has `own` of them.
struct BlockOutputs {
  int map, first;
};
template <class Map>
__device__ inline BlockOutputs outputs_of(const Several<Map>& maps, int block, int own) {
  int map = 0;
  for (; map < maps.count - 1; ++map) {
    const int blocks = tiles_over(maps.map[map].outputs(), own);
    if (block < blocks) break;
    block -= blocks;
  }
  return {map, block * own};
}
/// How many blocks there are.
template <class Map>
int blocks_of(const Several<Map>& maps, int own) {
  int blocks = 0;
  for (int i = 0; i < maps.count; ++i) blocks += tiles_over(maps.map[i].outputs(), own);
  return blocks;
}
template <class Map>
bool count_is_right(const Several<Map>& maps) {
  return maps.count >= 1 && maps.count <= maps.most;
}

/// What becomes of a sum by one matrix, or of two sums by two, before it is stored.
template <class F, int Matrices, class R>
struct Finish {
  using A = Accumulate<R>;
  const R* base = nullptr;
  const A* gate = nullptr;
  int gates = 1;

  template <class B>
  __device__ A operator()(const Array<A, Matrices>& sums, const B* bias, long long at, int output) const {
    A value = F::value(bias ? sums[0] + widen(bias[output]) : sums[0]);
    if constexpr (Matrices == 2) value *= sums[1];
    if (gate) value *= hyperbolic_tangent(gate[gates == 1 ? 0 : output]);
    return base ? widen(base[at]) + value : value;
  }
};
template <class R>
using Plain = Finish<Identity, 1, R>;

/// What the block's warps have summed, added up in their order and finished. The sums of a row are those of its outputs
/// by the first matrix, then by the second.
template <int Warps, int Outputs, class F, int Matrices, class R, class B>
__device__ inline void store_few_rows(const Array<Array<Accumulate<R>, Outputs * few_rows>, Warps>& sums,
                                      const Finish<F, Matrices, R>& finish, const B* bias, R* y, int first, int N,
                                      int O) {
  constexpr int own = Outputs / Matrices;
  for (int i = thread_index(); i < own * N; i += Warps * 32) {
    const int output = first + i % own, row = i / own;
    if (output >= O) continue;
    Array<Accumulate<R>, Matrices> sum = {};
    for (int m = 0; m < Matrices; ++m)
      for (int warp = 0; warp < Warps; ++warp) sum[m] += sums[warp][row * Outputs + m * own + i % own];
    const long long at = static_cast<long long>(row) * O + output;
    y[at] = narrow<R>(finish(sum, bias, at, output));
  }
}

/// Lanes take neighbouring packs of the depth. Rows: N, or the next of 1, 2, 4 and 8.
template <int Warps, int Outputs, int Count, int Rows, class F, int Matrices, class R, class B>
static __global__ void __launch_bounds__(Warps * 32)
    few_rows_kernel(const R* x, const __grid_constant__ RowMaps<Matrices, R, B> maps,
                    const Finish<F, Matrices, R> finish, int N, int D) {
  constexpr int own = Outputs / Matrices;
  using A = Accumulate<R>;
  struct Sums {
    Array<Array<A, Outputs * few_rows>, Warps> value;
  };
  let_successor_start();
  Sums& shared = shared_memory<Sums>();
  const auto [index, first] = outputs_of(maps, block_index_x(), own);
  const RowMap<Matrices, R, B>& map = maps.map[index];
  const int O = map.O;
  for (const R* w : map.w) ask_for_rows(w, first, own, O, static_cast<long long>(D) * static_cast<int>(sizeof(R)));
  wait_for_predecessors();
  Array<Array<A, Rows>, Outputs> sums = {};
  for (int k = thread_index() * Count; k < D; k += Warps * 32 * Count) {
    Array<Pack<R, Count>, Outputs> ws;
    Array<Pack<R, Count>, Rows> xs;
    for (int o = 0; o < Outputs; ++o) {  // beyond the end: the last one again, whose sum nobody reads
      const int output = first + o % own < O ? first + o % own : O - 1;
      ws[o] = read_once<Pack<R, Count>>(map.w[o / own] + static_cast<long long>(output) * D + k);
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
  store_few_rows<Warps, Outputs>(shared.value, finish, map.bias, map.y, first, N, O);
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
template <int Warps, bool Packed, class F, int Matrices, class B>
static __global__ void __launch_bounds__(Warps * 32)
    few_rows_bf16_kernel(const __nv_bfloat16* x, const __grid_constant__ RowMaps<Matrices, __nv_bfloat16, B> maps,
                         const Finish<F, Matrices, __nv_bfloat16> finish, int N, int D) {
  constexpr int outputs = 16, own = outputs / Matrices, step = 32;
  struct Sums {
    Array<Array<float, outputs * few_rows>, Warps> value;
  };
  let_successor_start();
  Sums& shared = shared_memory<Sums>();
  const auto [index, first] = outputs_of(maps, block_index_x(), own);
  const RowMap<Matrices, __nv_bfloat16, B>& map = maps.map[index];
  const int O = map.O, group = lane_index() / 4, quad = lane_index() % 4;
  for (const __nv_bfloat16* w : map.w) ask_for_rows(w, first, own, O, static_cast<long long>(D) * 2);
  wait_for_predecessors();
  const int upper = first + group, lower = Matrices == 2 ? upper : upper + 8;
  const __nv_bfloat16* const w_upper = map.w[0] + static_cast<long long>(upper < O ? upper : 0) * D;
  const __nv_bfloat16* const w_lower = map.w[Matrices - 1] + static_cast<long long>(lower < O ? lower : 0) * D;
  const __nv_bfloat16* const x_row = x + static_cast<long long>(group < N ? group : 0) * D;

  float sums[2][4] = {};  // two, so that a product need not wait for the one before it
  for (int base = warp_index() * step; base < D; base += Warps * step) {
    const int k = base + quad * 8;
    const DepthPack above = load_depths<Packed, true>(w_upper, k, D, upper < O),
                    below = load_depths<Packed, true>(w_lower, k, D, lower < O),
                    asked = load_depths<Packed, false>(x_row, k, D, group < N);
    for (int half = 0; half < 2; ++half) {
      const unsigned a[4] = {above.pair[2 * half], below.pair[2 * half], above.pair[2 * half + 1],
                             below.pair[2 * half + 1]};
      const unsigned b[2] = {asked.pair[2 * half], asked.pair[2 * half + 1]};
      multiply_add_16x8x16(sums[half], a, b);
    }
  }
  for (int i = 0; i < 4; ++i)
    shared.value[warp_index()][(quad * 2 + i % 2) * outputs + group + i / 2 * 8] = sums[0][i] + sums[1][i];
  __syncthreads();
  store_few_rows<Warps, outputs>(shared.value, finish, map.bias, map.y, first, N, O);
}

template <class F, int Matrices, class R, class B>
cudaError_t few_rows_product(const R* x, const RowMaps<Matrices, R, B>& maps, const Finish<F, Matrices, R>& finish,
                             int N, int D, cudaStream_t stream) {
  if (N > few_rows || !count_is_right(maps)) return cudaErrorInvalidValue;
  if (N <= 0) return cudaSuccess;
  constexpr FewRowsPolicy p = few_rows_policy<R>;
  bool packable = packs(x, D);
  for (int i = 0; i < maps.count; ++i)
    for (const R* w : maps.map[i].w) packable = packable && packs(w, D);
  const int blocks = blocks_of(maps, p.outputs / Matrices);
  int warps = p.warps;
  const auto kernel = [&] {
    if constexpr (std::is_same_v<R, __nv_bfloat16>) {
      if (!packable) return few_rows_bf16_kernel<p.warps, false, F, Matrices, B>;
      if (blocks > few_rows_blocks) return few_rows_bf16_kernel<p.warps, true, F, Matrices, B>;
      warps = 2 * p.warps;
      return few_rows_bf16_kernel<2 * p.warps, true, F, Matrices, B>;
    } else {
      constexpr int count = pack_count<R>;
      return !packable ? few_rows_kernel<p.warps, p.outputs, 1, 8, F, Matrices, R, B>
             : N == 1  ? few_rows_kernel<p.warps, p.outputs, count, 1, F, Matrices, R, B>
             : N == 2  ? few_rows_kernel<p.warps, p.outputs, count, 2, F, Matrices, R, B>
             : N <= 4  ? few_rows_kernel<p.warps, p.outputs, count, 4, F, Matrices, R, B>
                       : few_rows_kernel<p.warps, p.outputs, count, 8, F, Matrices, R, B>;
    }
  }();
  return launch_early(grid_of(blocks), warps * 32,
                      static_cast<std::size_t>(warps * p.outputs * few_rows) * sizeof(Accumulate<R>), stream, kernel, x,
                      maps, finish, N, D);
}

/// y (N, O) = x (N, D) wᵀ + bias, N at most few_rows; the bias is of R or of Accumulate<R>.
template <class R, class B>
cudaError_t few_rows_forward(const R* x, const R* w, const B* bias, R* y, int N, int D, int O, cudaStream_t stream) {
  return few_rows_product(x, RowMaps<1, R, B>{{{{w}, bias, y, O}}, 1}, Plain<R>{}, N, D, stream);
}
template <class R>
cudaError_t few_rows_forward(const R* x, const R* w, std::nullptr_t, R* y, int N, int D, int O, cudaStream_t stream) {
  return few_rows_product(x, RowMaps<1, R>{{{{w}, nullptr, y, O}}, 1}, Plain<R>{}, N, D, stream);
}
/// y (N, O) = x (N, D) wᵀ + bias for each of one to three maps.
template <class R>
cudaError_t few_rows_several(const R* x, const RowMaps<1, R>& maps, int N, int D, cudaStream_t stream) {
  return few_rows_product(x, maps, Plain<R>{}, N, D, stream);
}
/// y = base + tanh(gate) (x wᵀ + bias); `gates` is 1 or O, and where there is no gate y = base + x wᵀ + bias. y may be
/// base.
template <class R>
cudaError_t few_rows_onto(const R* x, const R* w, const Accumulate<R>* bias, const R* base, const Accumulate<R>* gate,
                          int gates, R* y, int N, int D, int O, cudaStream_t stream) {
  return few_rows_product(x, RowMaps<1, R>{{{{w}, bias, y, O}}, 1}, Plain<R>{base, gate, gates}, N, D, stream);
}
/// y = f(x wᵀ + bias)
template <class F, class R>
cudaError_t few_rows_activate(const R* x, const R* w, const Accumulate<R>* bias, R* y, int N, int D, int O,
                              cudaStream_t stream) {
  return few_rows_product(x, RowMaps<1, R>{{{{w}, bias, y, O}}, 1}, Finish<F, 1, R>{}, N, D, stream);
}
/// y = f(x w_gateᵀ) (x w_upᵀ), both matrices (O, D).
template <class F, class R>
cudaError_t few_rows_gate_activate(const R* x, const R* w_gate, const R* w_up, R* y, int N, int D, int O,
                                   cudaStream_t stream) {
  return few_rows_product(x, RowMaps<2, R>{{{{w_gate, w_up}, nullptr, y, O}}, 1}, Finish<F, 2, R>{}, N, D, stream);
}

}  // namespace flamingo::raw
