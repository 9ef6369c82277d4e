/// CUDA's vocabulary in plain C++: what <cuda_runtime.h> and <cuda_bf16.h> give a kernel, on emulator::machine(); what
/// they give the host is in runtime.hpp.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "machine.hpp"
#include "runtime.hpp"

#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one at a time
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline const emulator::Extent &threadIdx = emulator::machine().thread_index,
                              &blockIdx = emulator::machine().block_index, &blockDim = emulator::machine().block_extent,
                              &gridDim = emulator::machine().grid_extent;

/// The upper half of a float; rounds to nearest, ties to even.
struct __nv_bfloat16 {
  std::uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}
inline __nv_bfloat16 __float2bfloat16(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return {0x7fff};
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

// The last two arguments of what follows are the caller's place; a kernel never writes them.
#define EMULATOR_SITE int line = __builtin_LINE(), const char *file = __builtin_FILE()

inline void __syncthreads(EMULATOR_SITE) { emulator::machine().barrier({"__syncthreads", file, line}); }

inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATOR_SITE) {
  const emulator::Site site{"__syncwarp", file, line};
  if (emulator::machine().dropped(site)) return;
  emulator::machine().collective<int, int>(site, mask, 0, [](const std::array<const int*, 32>&, int) { return 0; });
}

namespace emulator {

/// A lane's part in a shuffle: its value and the lane it wants to read.
template <class T>
struct Shuffled {
  T value;
  int from;
};
template <class T>
T shuffle(const Site& site, unsigned mask, T value, int from) {
  return machine().collective<Shuffled<T>, T>(
      site, mask, {value, from}, [](const std::array<const Shuffled<T>*, 32>& lanes, int lane) {
        const int source = lanes[static_cast<std::size_t>(lane)]->from;
        if (!lanes[static_cast<std::size_t>(source)])
          machine().fault("lane " + std::to_string(lane) + " reads lane " + std::to_string(source) +
                          ", which takes no part in the shuffle");
        return lanes[static_cast<std::size_t>(source)]->value;
      });
}
inline int lane_index() {
  const Extent& t = machine().thread_index;
  const Extent& b = machine().block_extent;
  return static_cast<int>((t.x + b.x * (t.y + b.y * t.z)) % 32u);
}

}  // namespace emulator

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, EMULATOR_SITE) {
  const int lane = emulator::lane_index(), from = lane ^ lane_mask, last = lane / width * width + width - 1;
  return emulator::shuffle(emulator::Site{"__shfl_xor_sync", file, line}, mask, value, from <= last ? from : lane);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, EMULATOR_SITE) {
  const int lane = emulator::lane_index(), from = lane + static_cast<int>(delta);
  const int last = lane / width * width + width - 1;
  return emulator::shuffle(emulator::Site{"__shfl_down_sync", file, line}, mask, value, from <= last ? from : lane);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, EMULATOR_SITE) {
  const int lane = emulator::lane_index(), from = lane - static_cast<int>(delta);
  return emulator::shuffle(emulator::Site{"__shfl_up_sync", file, line}, mask, value,
                           from >= lane / width * width ? from : lane);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, EMULATOR_SITE) {
  const int lane = emulator::lane_index();
  return emulator::shuffle(emulator::Site{"__shfl_sync", file, line}, mask, value,
                           lane / width * width + (from & (width - 1)));
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATOR_SITE) {
  return emulator::machine().collective<int, unsigned>({"__ballot_sync", file, line}, mask, predicate,
                                                       [](const std::array<const int*, 32>& lanes, int) {
                                                         unsigned set = 0;
                                                         for (std::size_t i = 0; i < 32; ++i)
                                                           if (lanes[i] && *lanes[i]) set |= 1u << i;
                                                         return set;
                                                       });
}
inline int __any_sync(unsigned mask, int predicate, EMULATOR_SITE) {
  return __ballot_sync(mask, predicate, line, file) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATOR_SITE) {
  return __ballot_sync(mask, !predicate, line, file) == 0;
}
/// Of π x.
inline float sinpif(float x) { return static_cast<float>(std::sin(3.14159265358979323846 * static_cast<double>(x))); }
inline float cospif(float x) { return static_cast<float>(std::cos(3.14159265358979323846 * static_cast<double>(x))); }
/// The place of the lowest set bit, from 1 on; 0 where there is none.
inline int __ffs(int bits) { return bits ? std::countr_zero(static_cast<unsigned>(bits)) + 1 : 0; }
template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  const T before = *address;
  *address = before + value;
  return before;
}

namespace flamingo::raw {

template <class T>
T& shared_memory() {
  return *static_cast<T*>(emulator::machine().shared(sizeof(T)));
}

template <int Bytes>
void copy_async(void* to, const void* from, bool valid) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "an asynchronous copy moves 4, 8 or 16 bytes");
  emulator::machine().copy_begin(to, from, Bytes, valid);
}
inline void commit_async() { emulator::machine().copy_commit(); }
template <int Pending>
void wait_async(EMULATOR_SITE) {
  emulator::machine().copy_wait({"wait_async", file, line}, Pending);
}

/// The registers of one lane for a 16×8×16 product, as PTX lays them out: lane 4g + t holds of a the rows g and g + 8
/// at depths 2t, 2t + 1 and 2t + 8, 2t + 9; of b column g at the same depths; of c columns 2t and 2t + 1 of rows g and
/// g + 8.
struct Fragments {
  unsigned a[4], b[2];
  float c[4];
};
inline void multiply_add_16x8x16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], EMULATOR_SITE) {
  Fragments mine{};
  std::copy_n(a, 4, mine.a);
  std::copy_n(b, 2, mine.b);
  std::copy_n(c, 4, mine.c);
  using Four = std::array<float, 4>;
  const Four sums = emulator::machine().collective<Fragments, Four>(
      {"multiply_add_16x8x16", file, line}, 0xffffffffu, mine,
      [](const std::array<const Fragments*, 32>& lanes, int lane) {
        const auto half = [](unsigned pair, int i) {
          return std::bit_cast<float>(i ? pair & 0xffff0000u : pair << 16);
        };
        Four out{};
        for (int i = 0; i < 4; ++i) {
          const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
          float sum = lanes[static_cast<std::size_t>(lane)]->c[i];
          for (int k = 0; k < 16; ++k) {
            const Fragments& of_a = *lanes[static_cast<std::size_t>(row % 8 * 4 + k % 8 / 2)];
            const Fragments& of_b = *lanes[static_cast<std::size_t>(column * 4 + k % 8 / 2)];
            sum += half(of_a.a[row / 8 + k / 8 * 2], k % 2) * half(of_b.b[k / 8], k % 2);
          }
          out[static_cast<std::size_t>(i)] = sum;
        }
        return out;
      });
  std::copy_n(sums.begin(), 4, c);
}

/// As PTX's ldmatrix with four matrices.
template <bool Transposed>
void load_matrices(unsigned (&to)[4], const void* row, EMULATOR_SITE) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16)
    emulator::machine().fault("a row of load_matrices does not begin on 16 bytes");
  using Four = std::array<unsigned, 4>;
  const Four pairs = emulator::machine().collective<const void*, Four>(
      {"load_matrices", file, line}, 0xffffffffu, row, [](const std::array<const void* const*, 32>& rows, int lane) {
        Four out{};
        for (std::size_t matrix = 0; matrix < 4; ++matrix)
          for (int i = 0; i < 2; ++i) {
            const int one = lane / 4, two = lane % 4 * 2 + i, r = Transposed ? two : one, c = Transposed ? one : two;
            std::uint16_t number;
            std::memcpy(&number, static_cast<const std::uint16_t*>(*rows[matrix * 8 + static_cast<std::size_t>(r)]) + c,
                        sizeof number);
            out[matrix] |= static_cast<unsigned>(number) << 16 * i;
          }
        return out;
      });
  std::copy_n(pairs.begin(), 4, to);
}
inline float power_of_two(float x) { return std::exp2(x); }
inline float logarithm_of_two(float x) { return std::log2(x); }
inline unsigned bf16_pair(float low, float high) {
  return static_cast<unsigned>(__float2bfloat16(low).bits) | static_cast<unsigned>(__float2bfloat16(high).bits) << 16;
}
inline unsigned subtract_bf16_pairs(unsigned a, unsigned b) {
  const auto half = [](unsigned pair, int i) { return std::bit_cast<float>(i ? pair & 0xffff0000u : pair << 16); };
  return bf16_pair(half(a, 0) - half(b, 0), half(a, 1) - half(b, 1));
}
inline float widen_half(unsigned short bits) {
  const float magnitude = std::bit_cast<float>((bits & 0x7fffu) << 13) * 0x1p112f;  // subnormal numbers survive it
  const auto widened = std::bit_cast<unsigned>(magnitude) | ((bits & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u);
  return std::bit_cast<float>(widened | (bits & 0x8000u) << 16);
}

namespace detail {

/// Runs kernel(args...) over the grid at once, after the copies begun before it; the stream is not looked at.
template <class... P>
cudaError_t run(dim3 grid, int threads, std::size_t shared_bytes, bool early, void (*kernel)(P...),
                std::type_identity_t<P>... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  const auto work = [=] {
    emulator::finish_copies();
    emulator::machine().launch(
        {grid.x, grid.y, grid.z}, {static_cast<unsigned>(threads), 1, 1}, shared_bytes, [&] { kernel(args...); },
        early);
  };
  if (emulator::capturing())
    emulator::capturing()->push_back(work);
  else
    work();
  return cudaGetLastError();
}

}  // namespace detail

/// An empty grid is no launch.
template <class... P>
cudaError_t launch(dim3 grid, int threads, std::size_t shared_bytes, cudaStream_t, void (*kernel)(P...),
                   std::type_identity_t<P>... args) {
  return detail::run(grid, threads, shared_bytes, false, kernel, args...);
}
/// A thread that returns without having waited is a fault.
template <class... P>
cudaError_t launch_early(dim3 grid, int threads, std::size_t shared_bytes, cudaStream_t, void (*kernel)(P...),
                         std::type_identity_t<P>... args) {
  return detail::run(grid, threads, shared_bytes, true, kernel, args...);
}
inline void wait_for_predecessors() { emulator::machine().waited_for_predecessors(); }
inline void let_successor_start() {}
inline void ask_for(const void* at) {
  if (!at) emulator::machine().fault("memory is asked for at no address");
#if defined(EMULATOR_ASAN)
  if (__asan_address_is_poisoned(at)) emulator::machine().fault("memory is asked for that is nobody's");
#endif
}

}  // namespace flamingo::raw
