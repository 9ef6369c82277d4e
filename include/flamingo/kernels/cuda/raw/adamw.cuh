/// One update of a flat buffer by AdamW (Loshchilov & Hutter 2019), and the sum of squares that clips it.
///
///   m = β₁ m + (1 - β₁) s g      v = β₂ v + (1 - β₂) (s g)²      w = keep w - rate m / (√v root + ε)
///
/// All T, float or double, of one length; a host's layers lie one after another in one buffer, so one launch updates
/// them all.
#pragma once
#include <cstddef>

#include "tile.cuh"

namespace flamingo::raw {

/// The step's numbers: of keep the decay, of rate and root the corrections of the moments' bias.
template <class T>
struct AdamWNumbers {
  T beta1, rest1;  ///< β₁ and 1 - β₁, each rounded once
  T beta2, rest2;
  T scale;  ///< s: clipping, averaging
  T keep;   ///< 1 - rate decay
  T rate;   ///< rate / (1 - β₁ᵗ)
  T root;   ///< 1 / √(1 - β₂ᵗ)
  T epsilon;
};

inline constexpr int adamw_threads = 256;

template <int Count, class T>
static __global__ void __launch_bounds__(adamw_threads)
    adamw_kernel(const AdamWNumbers<T> step, T* w, const T* g, T* m, T* v, long long threads) {
  const long long i = static_cast<long long>(block_index_x()) * adamw_threads + thread_index();
  if (i >= threads) return;
  Pack<T, Count> weight = load_pack<Count>(w + i * Count), first = load_pack<Count>(m + i * Count),
                 second = load_pack<Count>(v + i * Count);
  const Pack<T, Count> gradient = load_pack<Count>(g + i * Count);
  for (int k = 0; k < Count; ++k) {
    const T slope = gradient.value[k] * step.scale;
    first.value[k] = step.beta1 * first.value[k] + step.rest1 * slope;
    second.value[k] = step.beta2 * second.value[k] + step.rest2 * (slope * slope);
    weight.value[k] = weight.value[k] * step.keep -
                      step.rate * first.value[k] / (square_root(second.value[k]) * step.root + step.epsilon);
  }
  store_pack(w + i * Count, weight);
  store_pack(m + i * Count, first);
  store_pack(v + i * Count, second);
}

template <class T>
cudaError_t adamw(const AdamWNumbers<T>& step, T* w, const T* g, T* m, T* v, std::size_t size, cudaStream_t stream) {
  constexpr int count = pack_count<T>;
  const auto length = static_cast<long long>(size);
  const bool packed = packs(w, length) && packs(g, length) && packs(m, length) && packs(v, length);
  const long long threads = packed ? length / count : length;
  return launch(dim3(static_cast<unsigned>((threads + adamw_threads - 1) / adamw_threads)), adamw_threads, 0, stream,
                packed ? adamw_kernel<count, T> : adamw_kernel<1, T>, step, w, g, m, v, threads);
}

template <class T>
static __global__ void __launch_bounds__(adamw_threads)
    squares_kernel(const T* x, long long size, long long each, double* partial) {
  const long long first = block_index_x() * each, end = first + each < size ? first + each : size;
  double own = 0;
  for (long long i = first + thread_index(); i < end; i += adamw_threads) {
    const double number = static_cast<double>(x[i]);
    own += number * number;
  }
  own = block_sum<adamw_threads>(own);
  if (thread_index() == 0) partial[block_index_x()] = own;
}
/// Adds all `count` partials to sum[0]. One block.
static __global__ void __launch_bounds__(adamw_threads)
    squares_sum_kernel(const double* partial, int count, double* sum) {
  double own = 0;
  for (int i = thread_index(); i < count; i += adamw_threads) own += partial[i];
  own = block_sum<adamw_threads>(own);
  if (thread_index() == 0) sum[0] += own;
}

/// How many numbers a block sums: a function of the size alone, so the order of the sum is the same on every device.
inline long long squares_each(std::size_t size) {
  const auto blocks = static_cast<long long>((size + 2047) / 2048), each = blocks > 1024 ? (blocks + 1023) / 1024 : 1;
  return 2048 * each;
}
/// How many doubles the workspace of sum_of_squares holds.
inline int squares_workspace(std::size_t size) {
  const long long each = squares_each(size);
  return static_cast<int>((static_cast<long long>(size) + each - 1) / each);
}
/// Adds Σ x² to sum[0]. No atomics: the same bits every time.
template <class T>
cudaError_t sum_of_squares(const T* x, std::size_t size, double* sum, double* workspace, cudaStream_t stream) {
  const int blocks = squares_workspace(size);
  constexpr std::size_t shared = adamw_threads / 32 * sizeof(double);
  const cudaError_t error = launch(grid_of(blocks), adamw_threads, shared, stream, squares_kernel<T>, x,
                                   static_cast<long long>(size), squares_each(size), workspace);
  if (error != cudaSuccess) return error;
  return launch(grid_of(1), adamw_threads, shared, stream, squares_sum_kernel, workspace, blocks, sum);
}

}  // namespace flamingo::raw
