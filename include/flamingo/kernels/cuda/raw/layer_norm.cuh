/// Layer norm and RMS norm over rows, forward and backward, on raw pointers.
///
///   layer norm (Ba, Kiros, Hinton 2016):  y = (x - mean) rstd scale + bias,  rstd = 1 / sqrt(mean((x - mean)^2) +
///   epsilon) RMS norm (Zhang, Sennrich 2019):      y = x rstd scale,                  rstd = 1 / sqrt(mean(x^2) +
///   epsilon)
///
/// x, y, dy, dx (N, D); scale, bias (D), each null for ones and zeros; mean, rstd (N) in Accumulate<R>. R is the rows'
/// type, W that of scale and bias. A row's bits depend on its own values and D alone.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tile.cuh"

namespace flamingo::raw {

/// One warp a row, which is read once into registers; what does not fit comes from the cache the second time.
struct NormPolicy {
  int warps = 4;
  int packs = 8;                           ///< of 16 bytes a lane: 2048 bf16 or 1024 float
  int lanes = 32, row_lanes = 8;           ///< of a block that sums gradients of scale and bias: a lane has a pack
  int chunk_rows = 64, most_chunks = 128;  ///< rows such a block sums at least; blocks along the rows at most
};
inline constexpr NormPolicy norm_policy{};

/// A lane's packs of a row: the first ones stay in registers.
template <int Count, class R>
struct NormRow {
  static constexpr int held = norm_policy.packs;
  const R* row;
  int D;
  Array<Pack<R, Count>, held> packs;

  __device__ NormRow(const R* row_, int D_) : row(row_), D(D_) {
    FLAMINGO_UNROLL
    for (int p = 0; p < held; ++p) {
      const int c = (p * 32 + lane_index()) * Count;
      if (c < D) packs[p] = load_pack<Count>(row + c);
    }
  }
};
/// f(first column, pack of each row...) for all of a lane's packs.
template <int Count, class F, class R, class... Rest>
__device__ inline void for_each_pack(const F& f, const NormRow<Count, R>& row, const Rest&... rest) {
  constexpr int held = NormRow<Count, R>::held;
  FLAMINGO_UNROLL
  for (int p = 0; p < held; ++p) {
    const int c = (p * 32 + lane_index()) * Count;
    if (c < row.D) f(c, row.packs[p], rest.packs[p]...);
  }
  for (int c = (held * 32 + lane_index()) * Count; c < row.D; c += 32 * Count)
    f(c, load_pack<Count>(row.row + c), load_pack<Count>(rest.row + c)...);
}

/// Count numbers of scale or bias, 16 bytes at a time where there are more than one; `missing` where there are none.
template <int Count, class W>
__device__ inline void load_columns(Array<Accumulate<W>, Count>& to, const W* from, int column, Accumulate<W> missing) {
  constexpr int piece = Count < pack_count<W> ? Count : pack_count<W>;
  FLAMINGO_UNROLL
  for (int i = 0; i < Count; i += piece) {
    Pack<W, piece> pack;
    if (from) pack = load_pack<piece>(from + column + i);
    FLAMINGO_UNROLL
    for (int k = 0; k < piece; ++k) to[i + k] = from ? widen(pack.value[k]) : missing;
  }
}
template <class W>
bool begins_on_16(const W* numbers) {
  return reinterpret_cast<std::uintptr_t>(numbers) % 16 == 0;
}

template <int Warps, int Count, bool Centred, class R, class W, class A>
static __global__ void __launch_bounds__(Warps * 32)
    norm_forward_kernel(const R* x, const W* scale, const W* bias, R* y, A* mean, A* rstd, int N, int D, A epsilon) {
  begin_early();
  const int row = block_index_x() * Warps + warp_index();
  if (row >= N) return;  // a whole warp
  const NormRow<Count, R> own(x + static_cast<long long>(row) * D, D);
  y += static_cast<long long>(row) * D;

  A centre = 0;
  if constexpr (Centred) {
    for_each_pack<Count>(
        [&](int, const Pack<R, Count>& pack) {
          for (int i = 0; i < Count; ++i) centre += widen(pack.value[i]);
        },
        own);
    centre = warp_sum(centre) / static_cast<A>(D);
  }
  A squares = 0;  // around the mean: E[x^2] - mean^2 would cancel
  for_each_pack<Count>(
      [&](int, const Pack<R, Count>& pack) {
        for (int i = 0; i < Count; ++i) {
          const A centred = widen(pack.value[i]) - centre;
          squares += centred * centred;
        }
      },
      own);
  const A r = A(1) / square_root(warp_sum(squares) / static_cast<A>(D) + epsilon);
  for_each_pack<Count>(
      [&](int c, const Pack<R, Count>& pack) {
        Pack<R, Count> result;
        Array<Accumulate<W>, Count> scales, biases;
        load_columns<Count>(scales, scale, c, 1);
        load_columns<Count>(biases, bias, c, 0);
        for (int i = 0; i < Count; ++i)
          result.value[i] =
              narrow<R>((widen(pack.value[i]) - centre) * r * static_cast<A>(scales[i]) + static_cast<A>(biases[i]));
        store_pack(y + c, result);
      },
      own);
  if (lane_index() == 0) {
    if (Centred && mean) mean[row] = centre;
    if (rstd) rstd[row] = r;
  }
}

/// With xhat = (x - mean) rstd and g = dy scale:  dx = rstd (g - [mean(g)] - xhat mean(g xhat)), the bracket if
/// Centred.
template <int Warps, int Count, bool Centred, class R, class W, class A>
static __global__ void __launch_bounds__(Warps * 32)
    norm_backward_rows_kernel(const R* dy, const R* x, const W* scale, const A* mean, const A* rstd, R* dx, int N,
                              int D) {
  const int row = block_index_x() * Warps + warp_index();
  if (row >= N) return;  // a whole warp
  const NormRow<Count, R> own_dy(dy + static_cast<long long>(row) * D, D),
      own_x(x + static_cast<long long>(row) * D, D);
  dx += static_cast<long long>(row) * D;
  const A centre = Centred ? mean[row] : A(0), r = rstd[row];

  A sum_g = 0, sum_gx = 0;
  for_each_pack<Count>(
      [&](int c, const Pack<R, Count>& dys, const Pack<R, Count>& xs) {
        Array<Accumulate<W>, Count> scales;
        load_columns<Count>(scales, scale, c, 1);
        for (int i = 0; i < Count; ++i) {
          const A g = widen(dys.value[i]) * static_cast<A>(scales[i]);
          sum_g += g;
          sum_gx += g * ((widen(xs.value[i]) - centre) * r);
        }
      },
      own_dy, own_x);
  const A mean_g = Centred ? warp_sum(sum_g) / static_cast<A>(D) : A(0), mean_gx = warp_sum(sum_gx) / static_cast<A>(D);
  for_each_pack<Count>(
      [&](int c, const Pack<R, Count>& dys, const Pack<R, Count>& xs) {
        Pack<R, Count> result;
        Array<Accumulate<W>, Count> scales;
        load_columns<Count>(scales, scale, c, 1);
        for (int i = 0; i < Count; ++i) {
          const A g = widen(dys.value[i]) * static_cast<A>(scales[i]);
          result.value[i] = narrow<R>(r * (g - mean_g - (widen(xs.value[i]) - centre) * r * mean_gx));
        }
        store_pack(dx + c, result);
      },
      own_dy, own_x);
}

/// partial (chunks, 2, D): the sums of dy xhat and of dy over the rows of each chunk, in a fixed order.
template <int Lanes, int RowLanes, int Count, bool Centred, class R, class A>
static __global__ void __launch_bounds__(Lanes* RowLanes)
    norm_backward_partial_kernel(const R* dy, const R* x, const A* mean, const A* rstd, A* partial, int N, int D,
                                 int chunk_rows) {
  constexpr int columns = Lanes * Count;
  struct Sums {
    Array<Array<A, columns>, RowLanes> scale, bias;
  };
  Sums& sums = shared_memory<Sums>();
  const int lane = thread_index() % Lanes * Count, row_lane = thread_index() / Lanes;
  const int first_column = block_index_x() * columns, chunk = block_index_y();
  const int end = chunk * chunk_rows + chunk_rows < N ? chunk * chunk_rows + chunk_rows : N;

  Array<A, Count> scale = {}, bias = {};
  if (first_column + lane < D)
    for (int row = chunk * chunk_rows + row_lane; row < end; row += RowLanes) {
      const long long at = static_cast<long long>(row) * D + first_column + lane;
      const auto gs = load_pack<Count>(dy + at), xs = load_pack<Count>(x + at);
      const A centre = Centred ? mean[row] : A(0), r = rstd[row];
      FLAMINGO_UNROLL
      for (int i = 0; i < Count; ++i) {
        const A g = widen(gs.value[i]);
        scale[i] += g * ((widen(xs.value[i]) - centre) * r);
        bias[i] += g;
      }
    }
  for (int i = 0; i < Count; ++i) {
    sums.scale[row_lane][lane + i] = scale[i];
    sums.bias[row_lane][lane + i] = bias[i];
  }
  __syncthreads();
  A* to = partial + static_cast<long long>(chunk) * 2 * D + first_column;
  for (int c = thread_index(); c < columns && first_column + c < D; c += Lanes * RowLanes) {
    A scale_sum = 0, bias_sum = 0;
    for (int i = 0; i < RowLanes; ++i) {
      scale_sum += sums.scale[i][c];
      bias_sum += sums.bias[i][c];
    }
    to[c] = scale_sum;
    to[D + c] = bias_sum;
  }
}

/// Adds the chunks' sums, first to last, to dscale and dbias.
template <int Threads, class A>
static __global__ void __launch_bounds__(Threads)
    norm_backward_sum_kernel(const A* partial, A* dscale, A* dbias, int D, int chunks) {
  const int column = block_index_x() * Threads + thread_index();
  if (column >= D) return;
  A scale = 0, bias = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const A* from = partial + static_cast<long long>(chunk) * 2 * D;
    scale += from[column];
    bias += from[D + column];
  }
  if (dscale) dscale[column] += scale;
  if (dbias) dbias[column] += bias;
}

/// How many rows one block sums: a function of N alone, so the order of the sum is the same on every device.
inline int norm_chunk_rows(int N) { return std::max(norm_policy.chunk_rows, tiles_over(N, norm_policy.most_chunks)); }
/// How many Accumulate<R> the workspace of a backward holds; none is needed where neither dscale nor dbias is wanted.
inline std::size_t norm_workspace(int N, int D) {
  return std::size_t{2} * static_cast<std::size_t>(tiles_over(N, norm_chunk_rows(N))) * static_cast<std::size_t>(D);
}

template <bool Centred, class R, class W>
cudaError_t norm_forward(const R* x, const W* scale, const W* bias, R* y, Accumulate<R>* mean, Accumulate<R>* rstd,
                         int N, int D, Accumulate<R> epsilon, cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr int warps = norm_policy.warps, count = pack_count<R>;
  const auto kernel = packs(x, D) && packs(y, D) && begins_on_16(scale) && begins_on_16(bias)
                          ? norm_forward_kernel<warps, count, Centred, R, W, A>
                          : norm_forward_kernel<warps, 1, Centred, R, W, A>;
  return launch_early(grid_of(tiles_over(N, warps)), warps * 32, 0, stream, kernel, x, scale, bias, y, mean, rstd, N, D,
                      epsilon);
}

template <bool Centred, class R, class W>
cudaError_t norm_backward(const R* dy, const R* x, const W* scale, const Accumulate<R>* mean, const Accumulate<R>* rstd,
                          R* dx, Accumulate<R>* dscale, Accumulate<R>* dbias, Accumulate<R>* workspace, int N, int D,
                          cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr int warps = norm_policy.warps, count = pack_count<R>;
  if (dx) {
    const auto kernel = packs(dy, D) && packs(x, D) && packs(dx, D) && begins_on_16(scale)
                            ? norm_backward_rows_kernel<warps, count, Centred, R, W, A>
                            : norm_backward_rows_kernel<warps, 1, Centred, R, W, A>;
    const cudaError_t error =
        launch(grid_of(tiles_over(N, warps)), warps * 32, 0, stream, kernel, dy, x, scale, mean, rstd, dx, N, D);
    if (error != cudaSuccess) return error;
  }
  if (!dscale && !dbias) return cudaSuccess;
  constexpr int lanes = norm_policy.lanes, row_lanes = norm_policy.row_lanes, threads = lanes * row_lanes;
  const int chunk_rows = norm_chunk_rows(N), chunks = tiles_over(N, chunk_rows);
  const bool packed = packs(dy, D) && packs(x, D);
  const int each = packed ? count : 1;
  const cudaError_t error = launch(grid_of(tiles_over(D, lanes * each), chunks), threads,
                                   sizeof(A) * static_cast<std::size_t>(2 * threads * each), stream,
                                   packed ? norm_backward_partial_kernel<lanes, row_lanes, count, Centred, R, A>
                                          : norm_backward_partial_kernel<lanes, row_lanes, 1, Centred, R, A>,
                                   dy, x, mean, rstd, workspace, N, D, chunk_rows);
  if (error != cudaSuccess) return error;
  return launch(grid_of(tiles_over(D, threads)), threads, 0, stream, norm_backward_sum_kernel<threads, A>, workspace,
                dscale, dbias, D, chunks);
}

/// Writes y; writes mean and rstd unless null (backward needs them).
template <class R, class W>
cudaError_t layer_norm_forward(const R* x, const W* scale, const W* bias, R* y, Accumulate<R>* mean,
                               Accumulate<R>* rstd, int N, int D, Accumulate<R> epsilon, cudaStream_t stream) {
  return norm_forward<true>(x, scale, bias, y, mean, rstd, N, D, epsilon, stream);
}

/// Writes dx; adds to dscale and dbias. Each may be null. workspace: norm_workspace(N, D) elements. No atomics: the
/// same bits every time.
template <class R, class W>
cudaError_t layer_norm_backward(const R* dy, const R* x, const W* scale, const Accumulate<R>* mean,
                                const Accumulate<R>* rstd, R* dx, Accumulate<R>* dscale, Accumulate<R>* dbias,
                                Accumulate<R>* workspace, int N, int D, cudaStream_t stream) {
  return norm_backward<true>(dy, x, scale, mean, rstd, dx, dscale, dbias, workspace, N, D, stream);
}

/// Writes y; writes rstd unless null (backward needs it).
template <class R, class W>
cudaError_t rms_norm_forward(const R* x, const W* scale, R* y, Accumulate<R>* rstd, int N, int D, Accumulate<R> epsilon,
                             cudaStream_t stream) {
  return norm_forward<false>(x, scale, static_cast<const W*>(nullptr), y, static_cast<Accumulate<R>*>(nullptr), rstd, N,
                             D, epsilon, stream);
}

/// Writes dx; adds to dscale. Each may be null. workspace: norm_workspace(N, D) elements.
template <class R, class W>
cudaError_t rms_norm_backward(const R* dy, const R* x, const W* scale, const Accumulate<R>* rstd, R* dx,
                              Accumulate<R>* dscale, Accumulate<R>* workspace, int N, int D, cudaStream_t stream) {
  return norm_backward<false>(dy, x, scale, static_cast<const Accumulate<R>*>(nullptr), rstd, dx, dscale,
                              static_cast<Accumulate<R>*>(nullptr), workspace, N, D, stream);
}

}  // namespace flamingo::raw
