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

/// Moments of few bits, as core/few_bits.hpp tells: numbers of bfloat16, the upper halves of floats.
struct HalfMoments {
  unsigned short *first, *second;
};
/// A byte a number, and an exponent for each 16.
struct ByteMoments {
  unsigned char *first, *first_exponents, *second, *second_exponents;
};

__device__ inline unsigned float_bits(float x) {
  unsigned bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
__device__ inline float float_of(unsigned bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
/// rounding_bits()
__device__ inline unsigned rounding_draw(unsigned key, unsigned index) {
  unsigned x = index + key;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

__device__ inline float load_first(const HalfMoments& m, long long i) {
  return float_of(static_cast<unsigned>(m.first[i]) << 16);
}
__device__ inline float load_second(const HalfMoments& m, long long i) {
  return float_of(static_cast<unsigned>(m.second[i]) << 16);
}
__device__ inline void store_moments(const HalfMoments& m, long long i, float first, float second, unsigned draw) {
  m.first[i] = static_cast<unsigned short>((float_bits(first) + (draw & 0xffffu)) >> 16);
  m.second[i] = static_cast<unsigned short>((float_bits(second) + (draw >> 16)) >> 16);
}

/// The least number that a block of this exponent tells, as a float's bits; below 0 where no float is so small.
template <bool Signed>
__device__ inline int block_lowest(unsigned char exponent) {
  return (static_cast<int>(exponent) - (Signed ? 15 : 31)) * (1 << 23);
}
template <bool Signed>
__device__ inline float byte_value(unsigned char byte, unsigned char exponent) {
  const int code = byte & (Signed ? 127 : 255), bits = (code << 20) + block_lowest<Signed>(exponent);
  const unsigned magnitude = code == 0 || bits < 0 ? 0u : static_cast<unsigned>(bits);
  return float_of(magnitude | (Signed ? static_cast<unsigned>(byte >> 7) << 31 : 0u));
}
/// All 16 lanes of a block: its exponent, and the byte of each.
template <bool Signed>
__device__ inline void store_byte(unsigned char* bytes, unsigned char* exponents, long long i, float x, unsigned draw) {
  const int magnitude = static_cast<int>(float_bits(x) & 0x7fffffffu);
  int largest = magnitude;
  for (int step = 8; step > 0; step /= 2) {
    const int other = __shfl_xor_sync(0xffffffffu, largest, step);
    largest = other > largest ? other : largest;
  }
  const auto exponent = static_cast<unsigned char>((largest + 0xfffff) >> 23);
  constexpr int most = Signed ? 127 : 255;
  const int least = !Signed && magnitude > 0 ? 1 : 0, sign = Signed && x < 0 ? 128 : 0;
  int code = (magnitude - block_lowest<Signed>(exponent) + static_cast<int>(draw << 4)) >> 20;
  code = code < least ? least : code > most ? most : code;
  if (i < 0) return;
  bytes[i] = static_cast<unsigned char>(code | sign);
  if (i % 16 == 0) exponents[i / 16] = exponent;
}

__device__ inline float load_first(const ByteMoments& m, long long i) {
  return byte_value<true>(m.first[i], m.first_exponents[i / 16]);
}
__device__ inline float load_second(const ByteMoments& m, long long i) {
  return byte_value<false>(m.second[i], m.second_exponents[i / 16]);
}
__device__ inline void store_moments(const ByteMoments& m, long long i, float first, float second, unsigned draw) {
  store_byte<true>(m.first, m.first_exponents, i, first, draw & 0xffffu);
  store_byte<false>(m.second, m.second_exponents, i, second, draw >> 16);
}

/// A thread a number; the lanes of a block of bytes need one another, so those past the end run along with zeros.
template <class T, class Moments>
static __global__ void __launch_bounds__(adamw_threads)
    adamw_few_bits_kernel(const AdamWNumbers<T> step, T* w, const T* g, const Moments moments, unsigned key,
                          long long size) {
  const long long at = static_cast<long long>(block_index_x()) * adamw_threads + thread_index();
  const bool own = at < size;
  T first = 0, second = 0;
  if (own) {
    const T slope = g[at] * step.scale;
    first = step.beta1 * static_cast<T>(load_first(moments, at)) + step.rest1 * slope;
    second = step.beta2 * static_cast<T>(load_second(moments, at)) + step.rest2 * (slope * slope);
    w[at] = w[at] * step.keep - step.rate * first / (square_root(second) * step.root + step.epsilon);
  }
  if constexpr (std::is_same_v<Moments, ByteMoments>)
    store_moments(moments, own ? at : -1, static_cast<float>(first), static_cast<float>(second),
                  rounding_draw(key, static_cast<unsigned>(at)));
  else if (own)
    store_moments(moments, at, static_cast<float>(first), static_cast<float>(second),
                  rounding_draw(key, static_cast<unsigned>(at)));
}

/// The same with moments of few bits, rounded at random by `key` and each number's place; bytes: size a multiple of 16.
template <class T, class Moments>
cudaError_t adamw(const AdamWNumbers<T>& step, T* w, const T* g, const Moments& moments, unsigned key, std::size_t size,
                  cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((size + adamw_threads - 1) / adamw_threads);
  return launch(dim3(blocks), adamw_threads, 0, stream, adamw_few_bits_kernel<T, Moments>, step, w, g, moments, key,
                static_cast<long long>(size));
}

template <class T>
static __global__ void __launch_bounds__(adamw_threads) follow_kernel(T share, const T* x, T* mean, long long size) {
  const long long i = static_cast<long long>(block_index_x()) * adamw_threads + thread_index();
  if (i < size) mean[i] += share * (x[i] - mean[i]);
}
/// mean += share (x - mean)
template <class T>
cudaError_t follow(T share, const T* x, T* mean, std::size_t size, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((size + adamw_threads - 1) / adamw_threads);
  return launch(dim3(blocks), adamw_threads, 0, stream, follow_kernel<T>, share, x, mean, static_cast<long long>(size));
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
