/// Convolution of pictures and its derivatives on raw pointers.
///
///   y[n][o] = clip(bias[o] + Σ_k Σ_i w[o][k][i] x[cell k of window n][i]),  i over the channels of o's group
///
/// x, dx (cells, I); y, dy (windows, O); rows packed; w, dw (O, K I / groups) for windows of K cells, a row laid out as
/// [k][i]; bias (O). Sums, bias, dw and dbias in Accumulate<R>. Outside a picture x is zero. dy is the gradient of the
/// unclipped y.
///
/// Groups of several channels are matrix products over windows where they lie (gathered_product.cuh); channels that are
/// filtered alone (groups = I = O) have kernels of their own. Each sum has one order and no atomics: a picture's bits
/// do not depend on the others', and gradients are the same every time.
#pragma once
#include <algorithm>
#include <cstddef>

#include "gathered_product.cuh"
#include "row_sums.cuh"
#include "windows.cuh"

namespace flamingo::raw {

struct Channels {
  int in, out, groups;
  bool alone() const { return groups == in && groups == out; }
  int group_in() const { return in / groups; }
  int group_out() const { return out / groups; }
};

/// Cell (k, l) of a window and a channel of its group; a negative channel is nothing.
struct WindowCell {
  int k, l, channel;
};
__device__ inline WindowCell window_cell(int index, int end, const Window& window, int channels) {
  if (index >= end) return {0, 0, -1};
  const int cell = index / channels;
  return {cell / window.width, cell % window.width, index % channels};
}

/// The operand x seen by windows: a line is a window, and goes over its cells and their channels.
template <class R>
struct SeenCells {
  using Element = R;
  using Line = WindowPlace;
  using Along = WindowCell;
  const R* x;
  Pictures pictures;
  Window window;
  int channels, group_channels;

  __device__ void enter(int group) { x += group * group_channels; }
  __device__ Line line(int n, int end) const {
    return n < end ? place_of_window(pictures, window, n) : Line{0, 0, 0, 0, 0};
  }
  __device__ Along along(int index, int end) const { return window_cell(index, end, window, group_channels); }
  __device__ const R* at(const Line& place, const Along& along) const {
    const int cell = along.channel < 0 ? -1 : place.cell(along.k, along.l);
    return cell < 0 ? nullptr : x + static_cast<long long>(cell) * channels + along.channel;
  }
  __device__ const R* anywhere() const { return x; }
};
/// The operand dy seen from cells: a line is a cell, and goes over the windows that see it and their channels.
template <class R>
struct SeeingWindows {
  using Element = R;
  using Line = CellPlace;
  using Along = WindowCell;
  const R* dy;
  Pictures pictures;
  Window window;
  int channels, group_channels;

  __device__ void enter(int group) { dy += group * group_channels; }
  __device__ Line line(int n, int end) const { return n < end ? place_of_cell(pictures, n) : Line{0, 0, 0, 0, 0}; }
  __device__ Along along(int index, int end) const { return window_cell(index, end, window, group_channels); }
  __device__ const R* at(const Line& place, const Along& along) const {
    const int row = along.channel < 0 ? -1 : place.window(along.k, along.l, window.stride);
    return row < 0 ? nullptr : dy + static_cast<long long>(row) * channels + along.channel;
  }
  __device__ const R* anywhere() const { return dy; }
};
/// Rows as they lie: of w, a row for each output; of dy, a row for each window.
template <class R>
struct PlainRows {
  using Element = R;
  using Line = const R*;
  using Along = int;
  const R* rows;
  int stride;
  long long group_step;

  __device__ void enter(int group) { rows += group * group_step; }
  __device__ Line line(int n, int end) const {
    return n < end ? rows + static_cast<long long>(n) * stride : static_cast<const R*>(nullptr);
  }
  __device__ Along along(int index, int end) const { return index < end ? index : -1; }
  __device__ const R* at(Line line, Along along) const { return line && along >= 0 ? line + along : nullptr; }
  __device__ const R* anywhere() const { return rows; }
};
/// w by depth: a line is a cell of the window and an output, and goes over the group's input channels.
template <class R>
struct FilterRows {
  using Element = R;
  using Line = const R*;
  using Along = int;
  const R* w;
  int columns, group_in, group_out;

  __device__ void enter(int group) { w += static_cast<long long>(group) * group_out * columns; }
  __device__ Line line(int index, int end) const {
    return index < end ? w + static_cast<long long>(index % group_out) * columns + index / group_out * group_in
                       : static_cast<const R*>(nullptr);
  }
  __device__ Along along(int index, int end) const { return index < end ? index : -1; }
  __device__ const R* at(Line line, Along along) const { return line && along >= 0 ? line + along : nullptr; }
  __device__ const R* anywhere() const { return w; }
};

/// The range that outputs are clipped to.
template <class A>
struct ClipTo {
  A low = -static_cast<A>(INFINITY), high = static_cast<A>(INFINITY);
  __device__ A operator()(A x) const { return x < low ? low : x > high ? high : x; }
};

/// Writes a group's columns of rows.
template <class R>
struct WrittenRows {
  using A = Accumulate<R>;
  R* y;
  const A* bias;
  int stride, group_columns;
  ClipTo<A> clip;

  __device__ void enter(int group, int) {
    y += group * group_columns;
    if (bias) bias += group * group_columns;
  }
  __device__ void operator()(int row, int column, A sum) const {
    y[static_cast<long long>(row) * stride + column] = narrow<R>(clip(bias ? sum + bias[column] : sum));
  }
};
/// Adds to the rows of dw, or writes a chunk's share of them.
template <class A>
struct AddedWeights {
  A* dw;
  int columns, group_rows;
  long long chunk_size;  ///< 0: one chunk, which is added

  __device__ void enter(int group, int chunk) {
    dw += chunk * chunk_size + static_cast<long long>(group) * group_rows * columns;
  }
  __device__ void operator()(int row, int column, A sum) const {
    A& to = dw[static_cast<long long>(row) * columns + column];
    to = chunk_size ? sum : to + sum;
  }
};

/// taps (K, C) = wᵀ, so that neighbouring channels lie side by side.
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    taps_kernel(const R* w, A* taps, long long size, int cells, int C) {
  const long long i = element_index();
  if (i < size) taps[i] = widen(w[i % C * cells + i / C]);
}
template <int Count, class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    depthwise_kernel(const R* x, const A* taps, const A* bias, R* y, Pictures pictures, Window window, int C,
                     ClipTo<A> clip) {
  const PackPlace at = pack_place<Count>(C);
  if (at.row >= pictures.windows) return;
  const WindowPlace place = place_of_window(pictures, window, at.row);
  Array<A, Count> sum = {};
  for (int k = 0; k < window.height; ++k)
    for (int l = 0; l < window.width; ++l) {
      const int cell = place.cell(k, l);
      if (cell < 0) continue;
      const auto pack = load_pack<Count>(x + static_cast<long long>(cell) * C + at.channel);
      const A* tap = taps + (k * window.width + l) * C + at.channel;
      for (int i = 0; i < Count; ++i) sum[i] += widen(pack.value[i]) * tap[i];
    }
  Pack<R, Count> pack;
  for (int i = 0; i < Count; ++i) pack.value[i] = narrow<R>(clip(bias ? sum[i] + bias[at.channel + i] : sum[i]));
  store_pack(y + static_cast<long long>(at.row) * C + at.channel, pack);
}
template <int Count, class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    depthwise_input_kernel(const R* dy, const A* taps, R* dx, Pictures pictures, Window window, int C) {
  const PackPlace at = pack_place<Count>(C);
  if (at.row >= pictures.cells) return;
  Array<A, Count> sum = {};
  place_of_cell(pictures, at.row).each_window(window, [&](int row, int k, int l) {
    const auto pack = load_pack<Count>(dy + static_cast<long long>(row) * C + at.channel);
    const A* tap = taps + (k * window.width + l) * C + at.channel;
    for (int i = 0; i < Count; ++i) sum[i] += widen(pack.value[i]) * tap[i];
  });
  Pack<R, Count> pack;
  for (int i = 0; i < Count; ++i) pack.value[i] = narrow<R>(sum[i]);
  store_pack(dx + static_cast<long long>(at.row) * C + at.channel, pack);
}
/// partial (chunks, C, K): a block for some channels, a chunk of windows and a cell of them.
template <int Columns, int RowLanes, class R, class A>
static __global__ void __launch_bounds__(Columns* RowLanes)
    depthwise_weight_kernel(const R* x, const R* dy, A* partial, Pictures pictures, Window window, int C,
                            int chunk_rows) {
  const int c = block_index_x() * Columns + thread_index() % Columns, first = block_index_y() * chunk_rows,
            end = first + chunk_rows < pictures.windows ? first + chunk_rows : pictures.windows;
  const int cell = static_cast<int>(blockIdx.z), k = cell / window.width, l = cell % window.width;
  const A sum = sum_down<Columns, RowLanes, A>(first, end, [&](int row) {
    const int seen = place_of_window(pictures, window, row).cell(k, l);
    if (seen < 0 || c >= C) return A(0);
    return static_cast<A>(widen(x[static_cast<long long>(seen) * C + c])) *
           static_cast<A>(widen(dy[static_cast<long long>(row) * C + c]));
  });
  if (thread_index() < Columns && c < C)
    partial[(static_cast<long long>(block_index_y()) * C + c) * window.cells() + cell] = sum;
}

/// How many windows one product of a weight's gradient sums: few enough that there are blocks for all of a GPU. A
/// function of the sizes alone, so the order of the sum is the same on every device.
template <class R>
int gradient_chunk_windows(int windows, const Window& window, const Channels& c) {
  constexpr GatheredPolicy p = gathered_policy<R>;
  constexpr int wanted_blocks = 512, least_windows = 256;
  const int tiles = c.groups * tiles_over(c.group_out(), p.rows) * tiles_over(window.cells() * c.group_in(), p.columns);
  const int chunks = std::max(1, std::min(tiles_over(wanted_blocks, tiles), windows / least_windows));
  return tiles_over(tiles_over(windows, chunks), p.depth) * p.depth;
}

/// How many Accumulate<R> the workspace of forward and of backward_input holds.
inline std::size_t convolution_workspace(const Window& window, const Channels& c) {
  return c.alone() ? static_cast<std::size_t>(window.cells()) * static_cast<std::size_t>(c.in) : 0;
}
/// How many that of backward_weight holds.
template <class R>
std::size_t convolution_gradient_workspace(int windows, const Window& window, const Channels& c) {
  const std::size_t size = static_cast<std::size_t>(window.cells() * c.group_in()) * static_cast<std::size_t>(c.out);
  const int chunks =
      c.alone() ? chunks_of(windows) : tiles_over(windows, std::max(1, gradient_chunk_windows<R>(windows, window, c)));
  return c.alone() || chunks > 1 ? size * static_cast<std::size_t>(chunks) : 0;
}

template <class R>
cudaError_t taps_of(const R* w, Accumulate<R>* taps, const Window& window, int C, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(window.cells()) * static_cast<std::size_t>(C);
  return launch_elements(size, stream, taps_kernel<R, Accumulate<R>>, w, taps, static_cast<long long>(size),
                         window.cells(), C);
}

/// Writes y; bias may be null.
template <class R>
cudaError_t convolution_forward(const R* x, const R* w, const Accumulate<R>* bias, R* y, const Pictures& pictures,
                                const Window& window, const Channels& c, ClipTo<Accumulate<R>> clip,
                                Accumulate<R>* workspace, cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr int count = pack_count<R>;
  if (c.alone()) {
    const cudaError_t error = taps_of(w, workspace, window, c.in, stream);
    if (error != cudaSuccess) return error;
    const bool packed = packs(x, c.in) && packs(y, c.in);
    return launch_packs(pictures.windows, c.in, packed ? count : 1, stream,
                        packed ? depthwise_kernel<count, R, A> : depthwise_kernel<1, R, A>, x, workspace, bias, y,
                        pictures, window, c.in, clip);
  }
  const int depth = window.cells() * c.group_in();
  const bool packed = c.group_in() % count == 0 && packs(x, c.in) && packs(w, depth);
  return gathered_product<true, true>(SeenCells<R>{x, pictures, window, c.in, c.group_in()},
                                      PlainRows<R>{w, depth, static_cast<long long>(c.group_out()) * depth},
                                      WrittenRows<R>{y, bias, c.out, c.group_out(), clip}, packed, pictures.windows,
                                      c.group_out(), depth, c.groups, depth, stream);
}

/// Writes dx.
template <class R>
cudaError_t convolution_backward_input(const R* dy, const R* w, R* dx, const Pictures& pictures, const Window& window,
                                       const Channels& c, Accumulate<R>* workspace, cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr int count = pack_count<R>;
  if (c.alone()) {
    const cudaError_t error = taps_of(w, workspace, window, c.in, stream);
    if (error != cudaSuccess) return error;
    const bool packed = packs(dy, c.in) && packs(dx, c.in);
    return launch_packs(pictures.cells, c.in, packed ? count : 1, stream,
                        packed ? depthwise_input_kernel<count, R, A> : depthwise_input_kernel<1, R, A>, dy, workspace,
                        dx, pictures, window, c.in);
  }
  const int columns = window.cells() * c.group_in(), depth = window.cells() * c.group_out();
  const bool packed = c.group_in() % count == 0 && c.group_out() % count == 0 && packs(dy, c.out) && packs(w, columns);
  return gathered_product<true, false>(SeeingWindows<R>{dy, pictures, window, c.out, c.group_out()},
                                       FilterRows<R>{w, columns, c.group_in(), c.group_out()},
                                       WrittenRows<R>{dx, nullptr, c.in, c.group_in(), {}}, packed, pictures.cells,
                                       c.group_in(), depth, c.groups, depth, stream);
}

/// Adds to dw.
template <class R>
cudaError_t convolution_backward_weight(const R* x, const R* dy, Accumulate<R>* dw, const Pictures& pictures,
                                        const Window& window, const Channels& c, Accumulate<R>* workspace,
                                        cudaStream_t stream) {
  using A = Accumulate<R>;
  const int columns = window.cells() * c.group_in(), windows = pictures.windows;
  const std::size_t size = static_cast<std::size_t>(columns) * static_cast<std::size_t>(c.out);
  if (windows == 0) return cudaSuccess;
  if (c.alone()) {
    constexpr int lanes = row_sum_policy.columns, row_lanes = row_sum_policy.row_lanes;
    const dim3 grid(static_cast<unsigned>(tiles_over(c.in, lanes)), static_cast<unsigned>(chunks_of(windows)),
                    static_cast<unsigned>(window.cells()));
    const cudaError_t error = launch(grid, lanes * row_lanes, lanes * row_lanes * sizeof(A), stream,
                                     depthwise_weight_kernel<lanes, row_lanes, R, A>, x, dy, workspace, pictures,
                                     window, c.in, chunk_rows_of(windows));
    return error == cudaSuccess ? add_chunks(workspace, dw, size, chunks_of(windows), stream) : error;
  }
  constexpr int count = pack_count<R>;
  const bool packed = c.group_in() % count == 0 && c.group_out() % count == 0 && packs(x, c.in) && packs(dy, c.out);
  const int chunk_windows = gradient_chunk_windows<R>(windows, window, c), chunks = tiles_over(windows, chunk_windows);
  const cudaError_t error = gathered_product<false, false>(
      PlainRows<R>{dy, c.out, c.group_out()}, SeenCells<R>{x, pictures, window, c.in, c.group_in()},
      AddedWeights<A>{chunks > 1 ? workspace : dw, columns, c.group_out(),
                      chunks > 1 ? static_cast<long long>(size) : 0},
      packed, c.group_out(), columns, windows, c.groups, chunk_windows, stream);
  return error == cudaSuccess && chunks > 1 ? add_chunks(workspace, dw, size, chunks, stream) : error;
}

/// Adds to dbias. workspace: column_sum_workspace(windows, O) elements.
template <class R>
cudaError_t convolution_backward_bias(const R* dy, Accumulate<R>* dbias, Accumulate<R>* workspace, int windows, int O,
                                      cudaStream_t stream) {
  return add_column_sums(dy, dbias, workspace, windows, O, stream);
}

}  // namespace flamingo::raw
