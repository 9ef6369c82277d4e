/// The matrix product of operands that lie scattered, on raw pointers.
///
///   c(m, n) = Σ_k a(m, k) b(n, k)
///
/// An operand says where each of its numbers lies, or that it is zero, so that a convolution needs no copy of its
/// windows. It is read by lines: runs of numbers, of which each pack of neighbours lies together. A line is one m with
/// all k (DepthContiguous), or one k with all m. An operand has
///
///   Element                               the type of its numbers
///   Line line(int index, int end)         what the numbers of a line share; nothing is read of a line at or beyond end
///   Along along(int index, int end)       where a number lies in its line; the same
///   const Element* at(Line, Along)        where the pack that begins there lies; null: zeros
///   void enter(int group)                 moves to a group's part of the operand
///   const Element* anywhere()             an address that may be named, though nothing is read there
///
/// Every sum runs over k in order, in one thread (one matrix unit), so its bits depend on its own terms alone.
#pragma once
#include <cstddef>
#include <utility>

#include "tile.cuh"

namespace flamingo::raw {

/// Calls f(0) ... f(N - 1), each with its number as a type: what it indexes can lie in registers.
template <int N, class F>
__device__ inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) {
    (f(std::integral_constant<int, i>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

/// The tile of c that a block computes, how deep it goes between two barriers, how many such steps' copies are on their
/// way or read, and how warps lie over the tile.
struct GatheredPolicy {
  int rows, columns, depth, stages, warps_down, warps_across;
  __host__ __device__ constexpr int threads() const { return warps_down * warps_across * 32; }
};
template <class R>
constexpr GatheredPolicy gathered_policy = {64, 64, 16, 2, 4, 2};  // four by four sums a thread
template <>
inline constexpr GatheredPolicy gathered_policy<__nv_bfloat16> = {128, 128, 32, 3, 2, 4};  // 64×32 sums a warp

/// The numbers of a tile at one stage. The padding keeps lines on 16 bytes and lets eight neighbouring lines be read
/// without bank conflicts.
template <class R, int Extent, int Depth, bool DepthContiguous>
struct GatheredNumbers {
  static constexpr int lines = DepthContiguous ? Extent : Depth, run = DepthContiguous ? Depth : Extent;
  static constexpr int pitch = run + pack_count<R>;
  alignas(16) Array<R, lines * pitch> value;

  __device__ const R& at(int m, int k) const { return value[DepthContiguous ? m * pitch + k : k * pitch + m]; }
  /// Four 8×8 tiles of bf16 from (m, k) on, as matrix units take them: the second lies 8 further along the depth
  /// (DepthFirst: two right operands of 8) or along m (a left operand of 16), the other two along the other axis.
  template <bool DepthFirst>
  __device__ void load(unsigned (&to)[4], int m, int k) const {
    const int tile = lane_index() / 8, row = lane_index() % 8;
    m += (DepthFirst ? tile / 2 : tile % 2) * 8;
    k += (DepthFirst ? tile % 2 : tile / 2) * 8;
    load_matrices<!DepthContiguous>(to, DepthContiguous ? &at(m + row, k) : &at(m, k + row));
  }
};

/// An operand's tiles in shared memory, with what is known of the lines that are copied next.
template <class Operand, int Extent, int Depth, int Stages, bool DepthContiguous>
struct GatheredTiles {
  using Numbers = GatheredNumbers<typename Operand::Element, Extent, Depth, DepthContiguous>;
  Array<Numbers, Stages> stage;
  Array<typename Operand::Line, (DepthContiguous ? Extent : 2 * Depth)> lines;

  /// Looks up the lines of the tile at (m, k), the step-th along the depth.
  template <int Threads>
  __device__ void look_up(const Operand& operand, int m, int k, int step, int extent, int depth) {
    if constexpr (DepthContiguous) {
      if (step == 0)
        for (int i = thread_index(); i < Extent; i += Threads) lines[i] = operand.line(m + i, extent);
    } else {
      for (int i = thread_index(); i < Depth; i += Threads) lines[step % 2 * Depth + i] = operand.line(k + i, depth);
    }
  }
  /// Begins the copy of that tile, whose lines all threads have looked up.
  template <int Threads, int Count>
  __device__ void copy_async(const Operand& operand, int m, int k, int step, int extent, int depth) {
    using R = typename Operand::Element;
    constexpr int copies = Numbers::run / Count;
    static_assert(Threads % copies == 0, "a thread copies the same place of each of its lines");
    Numbers& to = stage[step % Stages];
    const int first = thread_index() % copies * Count;
    const auto along = DepthContiguous ? operand.along(k + first, depth) : operand.along(m + first, extent);
    for (int i = thread_index() / copies; i < Numbers::lines; i += Threads / copies) {
      const R* from = operand.at(lines[DepthContiguous ? i : step % 2 * Depth + i], along);
      R* const place = to.value + i * Numbers::pitch + first;
      if constexpr (sizeof(R) * Count >= 4)
        raw::copy_async<static_cast<int>(sizeof(R)) * Count>(place, from ? from : operand.anywhere(), from != nullptr);
      else  // two bytes are too few for an asynchronous copy
        *place = from ? *from : narrow<R>(0);
    }
  }
};

template <class A, class B, bool AContiguous, bool BContiguous>
struct GatheredOperands {
  static constexpr GatheredPolicy p = gathered_policy<typename A::Element>;
  GatheredTiles<A, p.rows, p.depth, p.stages, AContiguous> a;
  GatheredTiles<B, p.columns, p.depth, p.stages, BContiguous> b;
};

/// Calls multiply(a, b) with the numbers of each tile of depths [begin, end), in order.
template <int Count, bool AContiguous, bool BContiguous, class A, class B, class Multiply>
__device__ inline void for_each_gathered_tile(const A& a, const B& b, int row, int column, int rows, int columns,
                                              int begin, int end, Multiply multiply) {
  constexpr GatheredPolicy p = gathered_policy<typename A::Element>;
  constexpr int threads = p.threads(), ahead = p.stages - 1;
  auto& tiles = shared_memory<GatheredOperands<A, B, AContiguous, BContiguous>>();
  const int steps = tiles_over(end - begin, p.depth);
  const auto look_up = [&](int step) {
    const int k = begin + step * p.depth;
    tiles.a.template look_up<threads>(a, row, k, step, rows, end);
    tiles.b.template look_up<threads>(b, column, k, step, columns, end);
  };
  const auto copy = [&](int step) {
    const int k = begin + step * p.depth;
    if (step < steps) {
      tiles.a.template copy_async<threads, Count>(a, row, k, step, rows, end);
      tiles.b.template copy_async<threads, Count>(b, column, k, step, columns, end);
    }
    commit_async();  // a group even if empty, so that the count below always means the same
  };
  look_up(0);
  for (int step = 0; step < ahead; ++step) {
    __syncthreads();  // the lines are looked up, and those of two steps before no longer read
    copy(step);
    look_up(step + 1);
  }
  for (int step = 0; step < steps; ++step) {
    wait_async<ahead - 1>();
    __syncthreads();  // as above; and the copies are there, and the stage that the next go to is no longer read
    copy(step + ahead);
    look_up(step + ahead + 1);
    multiply(tiles.a.stage[step % p.stages], tiles.b.stage[step % p.stages]);
  }
}

/// Calls store(row, column, sum) for each number of c in the block's tile.
template <int Count, bool AContiguous, bool BContiguous, class A, class B, class Store>
__device__ inline void multiply_gathered(const A& a, const B& b, int first_row, int first_column, int rows, int columns,
                                         int begin, int end, const Store& store) {
  using R = typename A::Element;
  constexpr GatheredPolicy p = gathered_policy<R>;
  const auto each_tile = [&](const auto& multiply) {
    for_each_gathered_tile<Count, AContiguous, BContiguous>(a, b, first_row, first_column, rows, columns, begin, end,
                                                            multiply);
  };
  const auto finish = [&](int m, int n, auto sum) {
    if (first_row + m < rows && first_column + n < columns) store(first_row + m, first_column + n, sum);
  };
  if constexpr (std::is_same_v<R, __nv_bfloat16>) {  // on matrix tiles
    constexpr int m_tiles = p.rows / p.warps_down / 16, n_tiles = p.columns / p.warps_across / 8;
    static_assert(n_tiles % 2 == 0, "right operands are loaded two at a time");
    const int m0 = warp_index() / p.warps_across * (p.rows / p.warps_down),
              n0 = warp_index() % p.warps_across * (p.columns / p.warps_across);
    Array<Array<float[4], n_tiles>, m_tiles> sums = {};
    each_tile([&](const auto& as, const auto& bs) {
      for (int k = 0; k < p.depth; k += 16) {
        Array<unsigned[4], n_tiles / 2> right;
        for (int j = 0; j < n_tiles / 2; ++j) bs.template load<true>(right[j], n0 + j * 16, k);
        unrolled<m_tiles>([&](auto tile) {
          constexpr int i = decltype(tile)::value;
          unsigned left[4];
          as.template load<false>(left, m0 + i * 16, k);
          for (int j = 0; j < n_tiles; ++j)
            multiply_add_16x8x16(sums[i][j], left, {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]});
        });
      }
    });
    const int group = lane_index() / 4,
              pair = lane_index() % 4 * 2;  // a lane's row and columns, as PTX lays out a tile
    unrolled<m_tiles * n_tiles>([&](auto tile) {
      constexpr int i = decltype(tile)::value / n_tiles, j = decltype(tile)::value % n_tiles;
      for (int r = 0; r < 4; ++r) finish(m0 + i * 16 + group + r / 2 * 8, n0 + j * 8 + pair + r % 2, sums[i][j][r]);
    });
  } else {
    constexpr int across = 16, m_step = p.threads() / across, m_sums = p.rows / m_step, n_sums = p.columns / across;
    const int m0 = thread_index() / across, n0 = thread_index() % across;
    Array<Array<R, n_sums>, m_sums> sums = {};
    each_tile([&](const auto& as, const auto& bs) {
      for (int k = 0; k < p.depth; ++k) {
        Array<R, m_sums> a_values;
        Array<R, n_sums> b_values;
        for (int i = 0; i < m_sums; ++i) a_values[i] = as.at(m0 + i * m_step, k);
        for (int j = 0; j < n_sums; ++j) b_values[j] = bs.at(n0 + j * across, k);
        for (int i = 0; i < m_sums; ++i)
          for (int j = 0; j < n_sums; ++j) sums[i][j] += a_values[i] * b_values[j];
      }
    });
    for (int i = 0; i < m_sums; ++i)
      for (int j = 0; j < n_sums; ++j) finish(m0 + i * m_step, n0 + j * across, sums[i][j]);
  }
}

/// Blocks along x: tiles of c, those of a row after one another, so that they find a's lines in the cache; along y:
/// groups; along z: chunks of the depth.
template <int Count, bool AContiguous, bool BContiguous, class A, class B, class Store>
static __global__ void __launch_bounds__(gathered_policy<typename A::Element>.threads())
    gathered_product_kernel(A a, B b, Store store, int rows, int columns, int depth, int chunk_depth) {
  constexpr GatheredPolicy p = gathered_policy<typename A::Element>;
  const int tiles = tiles_over(columns, p.columns), group = block_index_y(), chunk = static_cast<int>(blockIdx.z);
  a.enter(group);
  b.enter(group);
  store.enter(group, chunk);
  const int begin = chunk * chunk_depth, end = begin + chunk_depth < depth ? begin + chunk_depth : depth;
  multiply_gathered<Count, AContiguous, BContiguous>(
      a, b, block_index_x() / tiles * p.rows, block_index_x() % tiles * p.columns, rows, columns, begin, end, store);
}

/// Calls store(row, column, sum) on the device for c (rows, columns) of each group and each chunk of the depth, after
/// store.enter(group, chunk). `packed`: every pack of pack_count neighbours in a line lies together, on 16 bytes.
template <bool AContiguous, bool BContiguous, class A, class B, class Store>
cudaError_t gathered_product(const A& a, const B& b, const Store& store, bool packed, int rows, int columns, int depth,
                             int groups, int chunk_depth, cudaStream_t stream) {
  constexpr GatheredPolicy p = gathered_policy<typename A::Element>;
  constexpr int count = pack_count<typename A::Element>;
  const auto kernel = packed ? gathered_product_kernel<count, AContiguous, BContiguous, A, B, Store>
                             : gathered_product_kernel<1, AContiguous, BContiguous, A, B, Store>;
  const dim3 grid(static_cast<unsigned>(tiles_over(rows, p.rows) * tiles_over(columns, p.columns)),
                  static_cast<unsigned>(groups), static_cast<unsigned>(tiles_over(depth, chunk_depth)));
  return launch(grid, p.threads(), sizeof(GatheredOperands<A, B, AContiguous, BContiguous>), stream, kernel, a, b,
                store, rows, columns, depth, chunk_depth);
}

}  // namespace flamingo::raw
