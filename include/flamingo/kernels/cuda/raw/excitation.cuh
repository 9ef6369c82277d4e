/// Gains of pictures and channels (squeeze and excitation, Hu et al. 2018) on raw pointers.
///
///   gate: f[m] = a[m] g σ(z[m])      excite: y[n] = x[n] + f[m] h[n] for the rows n of picture m
///
/// z, f (M, D); a (M) and g (1) in Accumulate<R>; x, h, y (cells, D); rows packed. What is written may be what is read.
#pragma once
#include "pooling.cuh"

namespace flamingo::raw {

template <class A>
__device__ inline A logistic(A z) {
  return A(1) / (A(1) + exponential(-z));
}

template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    excitation_kernel(const R* z, const A* amounts, const A* gain, R* f, long long size, int D) {
  const long long i = element_index();
  if (i < size) f[i] = narrow<R>(amounts[i / D] * gain[0] * logistic(widen(z[i])));
}
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    excitation_backward_kernel(const R* z, const A* amounts, const A* gain, const R* df, R* dz, long long size, int D) {
  const long long i = element_index();
  if (i >= size) return;
  const A s = logistic(widen(z[i]));
  dz[i] = narrow<R>(amounts[i / D] * gain[0] * s * (A(1) - s) * widen(df[i]));
}

/// partial (M): a[m] Σ df[m] σ(z[m]). A block a picture.
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    excitation_gain_partial_kernel(const R* z, const A* amounts, const R* df, A* partial, int D) {
  const int m = block_index_x();
  A own = 0;
  for (int c = thread_index(); c < D; c += pointwise_threads) {
    const long long i = static_cast<long long>(m) * D + c;
    own += static_cast<A>(widen(df[i])) * logistic(widen(z[i]));
  }
  own = block_sum<pointwise_threads>(own);
  if (thread_index() == 0) partial[m] = amounts[m] * own;
}
template <int Count, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    excite_kernel(const R* x, const R* h, const R* f, R* y, Pictures pictures, int D) {
  const PackPlace place = pack_place<Count>(D);
  if (place.row >= pictures.cells) return;
  const long long at = static_cast<long long>(place.row) * D + place.channel,
                  m = picture_of<false>(pictures, place.row);
  auto pack = load_pack<Count>(x + at);
  const auto hs = load_pack<Count>(h + at), fs = load_pack<Count>(f + m * D + place.channel);
  for (int i = 0; i < Count; ++i)
    pack.value[i] = narrow<R>(widen(pack.value[i]) + widen(fs.value[i]) * widen(hs.value[i]));
  store_pack(y + at, pack);
}
/// dh = f dy, and df[m] = Σ dy h: a block for some columns of a picture.
template <int Columns, int RowLanes, class R>
static __global__ void __launch_bounds__(Columns* RowLanes)
    excite_backward_kernel(const R* h, const R* f, const R* dy, R* dh, R* df, Pictures pictures, int D) {
  using A = Accumulate<R>;
  const int tiles = tiles_over(D, Columns);
  const int m = block_index_x() / tiles;
  const int column = block_index_x() % tiles * Columns + thread_index() % Columns;
  const Picture p = pictures.at(m);
  const A factor = column < D ? static_cast<A>(widen(f[static_cast<long long>(m) * D + column])) : A(0);
  const A sum = sum_down<Columns, RowLanes, A>(p.first_cell, p.first_cell + p.height * p.width, [&](int row) {
    if (column >= D) return A(0);
    const long long at = static_cast<long long>(row) * D + column;
    const A g = widen(dy[at]), value = widen(h[at]);
    dh[at] = narrow<R>(factor * g);
    return g * value;
  });
  if (thread_index() < Columns && column < D) df[static_cast<long long>(m) * D + column] = narrow<R>(sum);
}

/// f (M, D)
template <class R>
cudaError_t excitation(const R* z, const Accumulate<R>* amounts, const Accumulate<R>* gain, R* f, int M, int D,
                       cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(M) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, excitation_kernel<R, Accumulate<R>>, z, amounts, gain, f,
                         static_cast<long long>(size), D);
}
/// Writes dz.
template <class R>
cudaError_t excitation_backward(const R* z, const Accumulate<R>* amounts, const Accumulate<R>* gain, const R* df, R* dz,
                                int M, int D, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(M) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, excitation_backward_kernel<R, Accumulate<R>>, z, amounts, gain, df, dz,
                         static_cast<long long>(size), D);
}
/// Adds to dgain (1). workspace: M elements. No atomics: the same bits every time.
template <class R>
cudaError_t excitation_backward_gain(const R* z, const Accumulate<R>* amounts, const R* df, Accumulate<R>* dgain,
                                     Accumulate<R>* workspace, int M, int D, cudaStream_t stream) {
  using A = Accumulate<R>;
  constexpr std::size_t shared = pointwise_threads / 32 * sizeof(A);
  const cudaError_t error = launch(grid_of(M), pointwise_threads, shared, stream, excitation_gain_partial_kernel<R, A>,
                                   z, amounts, df, workspace, D);
  return error == cudaSuccess ? add_all(workspace, dgain, M, stream) : error;
}

/// y (cells, D); f (pictures, D)
template <class R>
cudaError_t excite(const R* x, const R* h, const R* f, R* y, const Pictures& pictures, int D, cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = packs(x, D) && packs(h, D) && packs(f, D) && packs(y, D);
  return launch_packs(pictures.cells, D, packed ? count : 1, stream,
                      packed ? excite_kernel<count, R> : excite_kernel<1, R>, x, h, f, y, pictures, D);
}
/// Writes dh and df. dx is dy itself.
template <class R>
cudaError_t excite_backward(const R* h, const R* f, const R* dy, R* dh, R* df, const Pictures& pictures, int D,
                            cudaStream_t stream) {
  constexpr int columns = row_sum_policy.columns, row_lanes = row_sum_policy.row_lanes;
  return launch(grid_of(pictures.count * tiles_over(D, columns)), columns * row_lanes,
                columns * row_lanes * sizeof(Accumulate<R>), stream, excite_backward_kernel<columns, row_lanes, R>, h,
                f, dy, dh, df, pictures, D);
}

}  // namespace flamingo::raw
