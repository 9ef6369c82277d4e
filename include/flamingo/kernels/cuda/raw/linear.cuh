/// The dense product and its derivatives on raw pointers.
///
///   y = x wᵀ + bias,   dx = dy w,   dw += dyᵀ x
///
/// x, dx (N, D); w, dw (O, D); y, dy (N, O); bias (O); rows packed. Sums and dw in Accumulate<R>. All three products
/// are one: c(m, n) = Σ_k a(m, k) b(n, k), each operand stored with k or with its rows contiguous. Every sum runs over
/// k in order, in one thread (one matrix unit), so the bits of a row do not depend on the other rows.
#pragma once
#include <cstddef>

#include "tile.cuh"

namespace flamingo::raw {

/// The tile of c that a block computes and how deep it goes between two barriers.
struct ProductPolicy {
  int rows, columns, depth, threads;
};
template <class R>
constexpr ProductPolicy product_policy = {64, 64, 16, 256};  // four by four sums a thread
template <>
inline constexpr ProductPolicy product_policy<__nv_bfloat16> = {64, 64, 32, 128};  // 32×32 sums a warp, on matrix tiles

/// A tile of an operand in shared memory, laid out as in global memory. The padding keeps rows on 16 bytes and lets
/// eight neighbouring rows be read without bank conflicts.
template <class R, int Extent, int Depth, bool DepthContiguous>
struct OperandTile {
  static constexpr int rows = DepthContiguous ? Extent : Depth, columns = DepthContiguous ? Depth : Extent;
  static constexpr int pitch = columns + pack_count<R>;
  alignas(16) Array<R, rows * pitch> value;

  __device__ const R& at(int m, int k) const { return value[DepthContiguous ? m * pitch + k : k * pitch + m]; }

  /// Begins the copy of the tile at (m, k) of an operand of this extent and depth.
  template <int Threads, int Count>
  __device__ void copy_async(const R* operand, int m, int k, int extent, int depth) {
    if constexpr (DepthContiguous)
      copy_tile_async<Threads, Count, rows, columns, pitch>(value, operand + static_cast<long long>(m) * depth + k,
                                                            depth, extent - m, depth - k);
    else
      copy_tile_async<Threads, Count, rows, columns, pitch>(value, operand + static_cast<long long>(k) * extent + m,
                                                            extent, depth - k, extent - m);
  }
};

/// Two stages: one is multiplied while the other one's copies are on their way.
template <class R, int Rows, int Columns, int Depth, bool AContiguous, bool BContiguous>
struct ProductTiles {
  OperandTile<R, Rows, Depth, AContiguous> a[2];
  OperandTile<R, Columns, Depth, BContiguous> b[2];
};

/// Calls multiply(a, b) for each tile along the depth, in order.
template <int Threads, int Count, int Rows, int Columns, int Depth, bool AContiguous, bool BContiguous, class R,
          class Multiply>
__device__ inline void for_each_depth_tile(const R* a, const R* b, int first_row, int first_column, int rows,
                                           int columns, int depth, Multiply multiply) {
  auto& tiles = shared_memory<ProductTiles<R, Rows, Columns, Depth, AContiguous, BContiguous>>();
  const int steps = tiles_over(depth, Depth);
  const auto copy = [&](int step) {
    if (step < steps) {
      tiles.a[step % 2].template copy_async<Threads, Count>(a, first_row, step * Depth, rows, depth);
      tiles.b[step % 2].template copy_async<Threads, Count>(b, first_column, step * Depth, columns, depth);
    }
    commit_async();  // a group even if empty, so that the count below always means the same
  };
  copy(0);
  for (int step = 0; step < steps; ++step) {
    copy(step + 1);
    wait_async<1>();
    __syncthreads();
    multiply(tiles.a[step % 2], tiles.b[step % 2]);
    __syncthreads();  // before the next copy overwrites what was just read
  }
}

/// What happens to a finished sum: number `at` of c, and of base where it is added to that.
template <bool Add, class R, class C>
__device__ inline void store_sum(C* c, const C* base, long long at, const R* bias, int column, Accumulate<R> sum) {
  if (bias) sum += widen(bias[column]);
  if constexpr (Add) sum = widen(base[at]) + sum;
  c[at] = narrow<C>(sum);
}

template <int Threads, int Count, int Rows, int Columns, int Depth, bool AContiguous, bool BContiguous, bool Add,
          class R, class C>
static __global__ void __launch_bounds__(Threads)
    product_kernel(const R* a, const R* b, const R* bias, const C* base, C* c, int rows, int columns, int depth) {
  using A = Accumulate<R>;
  constexpr int across = 16, m_step = Threads / across, m_sums = Rows / m_step, n_sums = Columns / across;
  const int first_row = block_index_x() * Rows, first_column = block_index_y() * Columns;
  const int m0 = thread_index() / across, n0 = thread_index() % across;

  Array<Array<A, n_sums>, m_sums> sums = {};
  for_each_depth_tile<Threads, Count, Rows, Columns, Depth, AContiguous, BContiguous>(
      a, b, first_row, first_column, rows, columns, depth, [&](const auto& a_tile, const auto& b_tile) {
        for (int k = 0; k < Depth; ++k) {
          Array<A, m_sums> as;
          Array<A, n_sums> bs;
          for (int i = 0; i < m_sums; ++i) as[i] = widen(a_tile.at(m0 + i * m_step, k));
          for (int j = 0; j < n_sums; ++j) bs[j] = widen(b_tile.at(n0 + j * across, k));
          for (int i = 0; i < m_sums; ++i)
            for (int j = 0; j < n_sums; ++j) sums[i][j] += as[i] * bs[j];
        }
      });
  for (int i = 0; i < m_sums; ++i)
    for (int j = 0; j < n_sums; ++j) {
      const int row = first_row + m0 + i * m_step, column = first_column + n0 + j * across;
      if (row < rows && column < columns)
        store_sum<Add, R>(c, base, static_cast<long long>(row) * columns + column, bias, column, sums[i][j]);
    }
}

/// Two bf16 neighbours along the depth, (m, k) and (m, k + 1), in one register.
template <bool DepthContiguous, class Tile>
__device__ inline unsigned depth_pair(const Tile& tile, int m, int k) {
  Pack<__nv_bfloat16, 2> pair;
  if constexpr (DepthContiguous)
    pair = load_pack<2>(&tile.at(m, k));
  else
    pair = {{tile.at(m, k), tile.at(m, k + 1)}};
  unsigned bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

/// The same product for bf16 on the matrix units: warps two by two, each Rows/2 × Columns/2 in tiles of 16×8.
template <int Threads, int Count, int Rows, int Columns, int Depth, bool AContiguous, bool BContiguous, bool Add,
          class C>
static __global__ void __launch_bounds__(Threads)
    product_bf16_kernel(const __nv_bfloat16* a, const __nv_bfloat16* b, const __nv_bfloat16* bias, const C* base, C* c,
                        int rows, int columns, int depth) {
  static_assert(Threads == 128, "four warps, two by two");
  constexpr int m_tiles = Rows / 32, n_tiles = Columns / 16;
  const int first_row = block_index_x() * Rows, first_column = block_index_y() * Columns;
  const int group = lane_index() / 4, pair = lane_index() % 4 * 2;  // a lane's row and depths, as PTX lays out a tile
  const int m0 = warp_index() / 2 * (Rows / 2) + group, n0 = warp_index() % 2 * (Columns / 2);

  Array<Array<float[4], n_tiles>, m_tiles> sums = {};
  for_each_depth_tile<Threads, Count, Rows, Columns, Depth, AContiguous, BContiguous>(
      a, b, first_row, first_column, rows, columns, depth, [&](const auto& a_tile, const auto& b_tile) {
        for (int k = pair; k < Depth; k += 16) {
          Array<unsigned[4], m_tiles> as;
          Array<unsigned[2], n_tiles> bs;
          for (int i = 0; i < m_tiles; ++i)
            for (int r = 0; r < 4; ++r)
              as[i][r] = depth_pair<AContiguous>(a_tile, m0 + i * 16 + r % 2 * 8, k + r / 2 * 8);
          for (int j = 0; j < n_tiles; ++j)
            for (int r = 0; r < 2; ++r) bs[j][r] = depth_pair<BContiguous>(b_tile, n0 + j * 8 + group, k + r * 8);
          for (int i = 0; i < m_tiles; ++i)
            for (int j = 0; j < n_tiles; ++j) multiply_add_16x8x16(sums[i][j], as[i], bs[j]);
        }
      });
  for (int i = 0; i < m_tiles; ++i)
    for (int j = 0; j < n_tiles; ++j)
      for (int r = 0; r < 4; ++r) {
        const int row = first_row + m0 + i * 16 + r / 2 * 8, column = first_column + n0 + j * 8 + pair + r % 2;
        if (row < rows && column < columns)
          store_sum<Add, __nv_bfloat16>(c, base, static_cast<long long>(row) * columns + column, bias, column,
                                        sums[i][j][r]);
      }
}

/// c (rows, columns) = Σ_k a(m, k) b(n, k) (+ bias), and where Add + base, which may be c.
template <bool AContiguous, bool BContiguous, bool Add, class R, class C>
cudaError_t product(const R* a, const R* b, const R* bias, const C* base, C* c, int rows, int columns, int depth,
                    cudaStream_t stream) {
  constexpr ProductPolicy p = product_policy<R>;
  constexpr int count = pack_count<R>;
  using Kernel = void (*)(const R*, const R*, const R*, const C*, C*, int, int, int);
  Kernel packed, single;
  if constexpr (std::is_same_v<R, __nv_bfloat16>) {
    packed = product_bf16_kernel<p.threads, count, p.rows, p.columns, p.depth, AContiguous, BContiguous, Add, C>;
    single = product_bf16_kernel<p.threads, 1, p.rows, p.columns, p.depth, AContiguous, BContiguous, Add, C>;
  } else {
    packed = product_kernel<p.threads, count, p.rows, p.columns, p.depth, AContiguous, BContiguous, Add, R, C>;
    single = product_kernel<p.threads, 1, p.rows, p.columns, p.depth, AContiguous, BContiguous, Add, R, C>;
  }
  const bool packable = packs(a, AContiguous ? depth : rows) && packs(b, BContiguous ? depth : columns);
  return launch(grid_of(tiles_over(rows, p.rows), tiles_over(columns, p.columns)), p.threads,
                sizeof(ProductTiles<R, p.rows, p.columns, p.depth, AContiguous, BContiguous>), stream,
                packable ? packed : single, a, b, bias, base, c, rows, columns, depth);
}

/// c = or += the same.
template <bool AContiguous, bool BContiguous, bool Add, class R, class C>
cudaError_t product(const R* a, const R* b, const R* bias, C* c, int rows, int columns, int depth,
                    cudaStream_t stream) {
  return product<AContiguous, BContiguous, Add>(a, b, bias, static_cast<const C*>(c), c, rows, columns, depth, stream);
}

/// Writes y (N, O) = x (N, D) wᵀ + bias; bias may be null.
template <class R>
cudaError_t linear_forward(const R* x, const R* w, const R* bias, R* y, int N, int D, int O, cudaStream_t stream) {
  return product<true, true, false>(x, w, bias, y, N, O, D, stream);
}

/// Writes dx (N, D) = dy (N, O) w.
template <class R>
cudaError_t linear_backward_input(const R* dy, const R* w, R* dx, int N, int D, int O, cudaStream_t stream) {
  return product<true, false, false>(dy, w, static_cast<const R*>(nullptr), dx, N, D, O, stream);
}

/// Adds dyᵀ x to dw (O, D). No atomics: the same bits every time. The gradient of a bias is a sum of columns
/// (row_sums.cuh).
template <class R>
cudaError_t linear_backward_weight(const R* dy, const R* x, Accumulate<R>* dw, int N, int D, int O,
                                   cudaStream_t stream) {
  return product<false, false, true>(dy, x, static_cast<const R*>(nullptr), dw, O, D, N, stream);
}

}  // namespace flamingo::raw
