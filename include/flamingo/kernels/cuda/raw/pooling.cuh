/// Maxima and means of windows and of pictures on raw pointers, channel by channel.
///
///   max: y[n] = max x[cell]      average: y[n] = mean x[cell]   over the cells of window n inside its picture
///   mean: y[m] = mean x[cell]    over all cells of picture m
///
/// x, dx (cells, D); y, dy (windows, D), or (pictures, D); rows packed. Backward gathers: a cell asks the windows that
/// see it, so each sum has one owner and one order.
#pragma once
#include "row_sums.cuh"
#include "windows.cuh"

namespace flamingo::raw {

template <int Count, bool Max, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    pool_kernel(const R* x, R* y, Pictures pictures, Window window, int D) {
  using A = Accumulate<R>;
  const PackPlace at = pack_place<Count>(D);
  const int n = at.row, c = at.channel;
  if (n >= pictures.windows) return;
  const WindowPlace place = place_of_window(pictures, window, n);
  Array<A, Count> result;
  for (int i = 0; i < Count; ++i) result[i] = Max ? -static_cast<A>(INFINITY) : A(0);
  place.each_cell(window, [&](int cell) {
    const auto pack = load_pack<Count>(x + static_cast<long long>(cell) * D + c);
    for (int i = 0; i < Count; ++i) {
      const A value = widen(pack.value[i]);
      result[i] = Max ? larger(result[i], value) : result[i] + value;
    }
  });
  const A cells = Max ? A(1) : static_cast<A>(place.cells_inside(window));
  Pack<R, Count> pack;
  for (int i = 0; i < Count; ++i) pack.value[i] = narrow<R>(result[i] / cells);
  store_pack(y + static_cast<long long>(n) * D + c, pack);
}

template <int Count, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    average_pool_backward_kernel(const R* dy, R* dx, Pictures pictures, Window window, int D) {
  const PackPlace at = pack_place<Count>(D);
  const int n = at.row, c = at.channel;
  if (n >= pictures.cells) return;
  Array<Accumulate<R>, Count> sum = {};
  place_of_cell(pictures, n).each_window(window, [&](int row, int, int) {
    const auto pack = load_pack<Count>(dy + static_cast<long long>(row) * D + c);
    const auto cells = static_cast<Accumulate<R>>(place_of_window(pictures, window, row).cells_inside(window));
    for (int i = 0; i < Count; ++i) sum[i] += widen(pack.value[i]) / cells;
  });
  Pack<R, Count> pack;
  for (int i = 0; i < Count; ++i) pack.value[i] = narrow<R>(sum[i]);
  store_pack(dx + static_cast<long long>(n) * D + c, pack);
}

/// A cell has its window's gradient where no other holds as much, nor one before it as much as it.
template <class R>
static __global__ void __launch_bounds__(pointwise_threads)
    max_pool_backward_kernel(const R* x, const R* dy, R* dx, Pictures pictures, Window window, int D) {
  using A = Accumulate<R>;
  const PackPlace at = pack_place<1>(D);
  const int n = at.row, c = at.channel;
  if (n >= pictures.cells) return;
  A sum = 0;
  place_of_cell(pictures, n).each_window(window, [&](int row, int, int) {
    int largest = -1;
    A most = 0;
    place_of_window(pictures, window, row).each_cell(window, [&](int cell) {
      const A value = widen(x[static_cast<long long>(cell) * D + c]);
      if (largest >= 0 && !(value > most)) return;
      largest = cell;
      most = value;
    });
    if (largest == n) sum += widen(dy[static_cast<long long>(row) * D + c]);
  });
  dx[static_cast<long long>(n) * D + c] = narrow<R>(sum);
}

template <int Columns, int RowLanes, class R>
static __global__ void __launch_bounds__(Columns* RowLanes)
    picture_mean_kernel(const R* x, R* y, Pictures pictures, int D) {
  using A = Accumulate<R>;
  const int tiles = tiles_over(D, Columns), m = block_index_x() / tiles;
  const int column = block_index_x() % tiles * Columns + thread_index() % Columns;
  const Picture p = pictures.at(m);
  const int cells = p.height * p.width;
  const A sum = sum_down<Columns, RowLanes, A>(p.first_cell, p.first_cell + cells, [&](int row) {
    return column < D ? static_cast<A>(widen(x[static_cast<long long>(row) * D + column])) : A(0);
  });
  if (thread_index() < Columns && column < D)
    y[static_cast<long long>(m) * D + column] = narrow<R>(sum / static_cast<A>(cells));
}
template <int Count, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    picture_mean_backward_kernel(const R* dy, R* dx, Pictures pictures, int D) {
  const PackPlace at = pack_place<Count>(D);
  const int n = at.row, c = at.channel;
  if (n >= pictures.cells) return;
  const int m = picture_of<false>(pictures, n);
  const Picture p = pictures.at(m);
  auto pack = load_pack<Count>(dy + static_cast<long long>(m) * D + c);
  for (int i = 0; i < Count; ++i)
    pack.value[i] = narrow<R>(widen(pack.value[i]) / static_cast<Accumulate<R>>(p.height * p.width));
  store_pack(dx + static_cast<long long>(n) * D + c, pack);
}

template <bool Max, class R>
cudaError_t pool(const R* x, R* y, const Pictures& pictures, const Window& window, int D, cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = packs(x, D) && packs(y, D);
  return launch_packs(pictures.windows, D, packed ? count : 1, stream,
                      packed ? pool_kernel<count, Max, R> : pool_kernel<1, Max, R>, x, y, pictures, window, D);
}
template <class R>
cudaError_t max_pool(const R* x, R* y, const Pictures& pictures, const Window& window, int D, cudaStream_t stream) {
  return pool<true>(x, y, pictures, window, D, stream);
}
/// Writes dx: dy goes to the first cell, line by line, that holds the window's largest number.
template <class R>
cudaError_t max_pool_backward(const R* x, const R* dy, R* dx, const Pictures& pictures, const Window& window, int D,
                              cudaStream_t stream) {
  return launch_packs(pictures.cells, D, 1, stream, max_pool_backward_kernel<R>, x, dy, dx, pictures, window, D);
}
template <class R>
cudaError_t average_pool(const R* x, R* y, const Pictures& pictures, const Window& window, int D, cudaStream_t stream) {
  return pool<false>(x, y, pictures, window, D, stream);
}
/// Writes dx.
template <class R>
cudaError_t average_pool_backward(const R* dy, R* dx, const Pictures& pictures, const Window& window, int D,
                                  cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = packs(dy, D) && packs(dx, D);
  return launch_packs(pictures.cells, D, packed ? count : 1, stream,
                      packed ? average_pool_backward_kernel<count, R> : average_pool_backward_kernel<1, R>, dy, dx,
                      pictures, window, D);
}
/// y (pictures, D)
template <class R>
cudaError_t picture_mean(const R* x, R* y, const Pictures& pictures, int D, cudaStream_t stream) {
  constexpr int columns = row_sum_policy.columns, row_lanes = row_sum_policy.row_lanes;
  return launch(grid_of(pictures.count * tiles_over(D, columns)), columns * row_lanes,
                columns * row_lanes * sizeof(Accumulate<R>), stream, picture_mean_kernel<columns, row_lanes, R>, x, y,
                pictures, D);
}
/// Writes dx.
template <class R>
cudaError_t picture_mean_backward(const R* dy, R* dx, const Pictures& pictures, int D, cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = packs(dy, D) && packs(dx, D);
  return launch_packs(pictures.cells, D, packed ? count : 1, stream,
                      packed ? picture_mean_backward_kernel<count, R> : picture_mean_backward_kernel<1, R>, dy, dx,
                      pictures, D);
}

}  // namespace flamingo::raw
