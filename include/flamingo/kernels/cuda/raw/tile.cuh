/// What a raw kernel may ask of the machine: launches, shared memory, asynchronous tiles, warp sums, matrix tiles.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#error "flamingo: these kernels copy asynchronously and multiply bf16 tiles: compile for sm_80 or newer"
#endif
#else
#include <flamingo_emulator.hpp>  // the same names in plain C++; a test build puts it on the include path
#endif

namespace flamingo::raw {

/// Whether kernels that can do so begin while the one before them on the stream still runs (launch_early): 1 or 0, the
/// same in all files of a program, for kernels that do not wait must not be started so. 0 by default: it has not run on
/// a GPU yet.
#if !defined(FLAMINGO_EARLY_STARTS)
#define FLAMINGO_EARLY_STARTS 0
#endif
#if FLAMINGO_EARLY_STARTS && defined(__CUDACC__) && CUDART_VERSION < 12030
#error "flamingo: FLAMINGO_EARLY_STARTS needs CUDA 12.3: graphs capture such launches from there on"
#endif
#if FLAMINGO_EARLY_STARTS && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define FLAMINGO_WAITS_ITSELF
#endif

/// Before a loop whose every index into a register array must be a constant.
#if defined(__CUDACC__)
#define FLAMINGO_UNROLL _Pragma("unroll")
#else
#define FLAMINGO_UNROLL
#endif

#if defined(__CUDACC__)

/// The block's dynamic shared memory, seen as a T.
template <class T>
__device__ inline T& shared_memory() {
  extern __shared__ __align__(16) unsigned char flamingo_raw_shared[];
  return *reinterpret_cast<T*>(flamingo_raw_shared);
}

/// Begins a copy of 4, 8 or 16 bytes, each aligned to its size, from global to shared memory; zeros where not valid.
template <int Bytes>
__device__ inline void copy_async(void* to, const void* from, bool valid) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "an asynchronous copy moves 4, 8 or 16 bytes");
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int bytes = valid ? Bytes : 0;
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(from), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;\n" ::"r"(address), "l"(from), "n"(Bytes), "r"(bytes)
                 : "memory");
}
/// Closes the group of copies begun since the last commit.
__device__ inline void commit_async() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
/// Waits for this thread's groups but the `Pending` newest. Other threads' copies need a barrier after it.
template <int Pending>
__device__ inline void wait_async() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(Pending) : "memory");
}

/// c += a·b for a 16×16 tile a and a 16×8 tile b of bf16 pairs, the registers laid out as PTX's mma.m16n8k16 says.
__device__ inline void multiply_add_16x8x16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Four 8×8 matrices of 16-bit numbers out of shared memory: lane l names row l % 8 of matrix l / 8 (16 bytes) and gets
/// of each matrix the pair at row l / 4, columns 2 (l % 4) and one after it. Transposed: the pair of rows and the
/// column change places.
template <bool Transposed>
__device__ inline void load_matrices(unsigned (&to)[4], const void* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (Transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}

/// 2^x, to about 2^-22 of itself; 0 for -infinity.
__device__ inline float power_of_two(float x) {
  asm("ex2.approx.ftz.f32 %0, %0;\n" : "+f"(x));
  return x;
}
__device__ inline float logarithm_of_two(float x) { return __log2f(x); }

/// Two numbers rounded to bf16, the first in the lower half.
__device__ inline unsigned bf16_pair(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
/// a - b for two pairs of bf16.
__device__ inline unsigned subtract_bf16_pairs(unsigned a, unsigned b) {
  asm("fma.rn.bf16x2 %0, %1, %2, %0;\n" : "+r"(a) : "r"(b), "r"(0xbf80bf80u));  // sm_80 has no subtraction
  return a;
}
/// The number that sixteen bits are as an IEEE binary16.
__device__ inline float widen_half(unsigned short bits) {
  float number;
  asm("cvt.f32.f16 %0, %1;\n" : "=f"(number) : "h"(bits));
  return number;
}

/// Waits for all kernels before this one on the stream, and for what they wrote. Every thread of a kernel that is
/// started by launch_early calls it before it reads or writes what others write; in other kernels it does nothing.
__device__ inline void wait_for_predecessors() {
#if defined(FLAMINGO_WAITS_ITSELF)
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}
/// From here on in all blocks, the next kernel may begin: it waits by itself.
__device__ inline void let_successor_start() {
#if defined(FLAMINGO_WAITS_ITSELF)
  asm volatile("griddepcontrol.launch_dependents;\n" ::: "memory");
#endif
}
/// Asks for the 128 bytes around an address of the device's memory to be on the chip soon. They may be written
/// meanwhile: whoever reads them afterwards reads what was written. Nothing where kernels do not begin early.
__device__ inline void ask_for([[maybe_unused]] const void* at) {
#if defined(FLAMINGO_WAITS_ITSELF)
  asm volatile("prefetch.global.L2 [%0];\n" ::"l"(at));
#endif
}
#undef FLAMINGO_WAITS_ITSELF

namespace detail {

/// Leave to use so much shared memory: more than 48 KiB must be asked for.
inline cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes) {
  if (bytes <= 48 * 1024) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}
/// Whether a kernel waits for its predecessors on the current device by itself: not before sm_90, and not in code that
/// was compiled for less and translated.
inline cudaError_t waits_itself(const void* kernel, bool& does) {
  static thread_local std::map<std::pair<int, const void*>, bool> known;
  int device = 0, major = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  const auto found = known.find({device, kernel});
  if (found != known.end()) {
    does = found->second;
    return cudaSuccess;
  }
  cudaFuncAttributes attributes{};
  error = cudaFuncGetAttributes(&attributes, kernel);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  if (error != cudaSuccess) return error;
  does = known[{device, kernel}] = major >= 9 && attributes.ptxVersion >= 90;
  return cudaSuccess;
}

}  // namespace detail

/// Starts kernel(args...) on the stream; an empty grid is no launch. Returns what the runtime says about the start.
template <class... P>
inline cudaError_t launch(dim3 grid, int threads, std::size_t shared_bytes, cudaStream_t stream, void (*kernel)(P...),
                          std::type_identity_t<P>... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  const cudaError_t error = detail::allow_shared_memory(reinterpret_cast<const void*>(kernel), shared_bytes);
  if (error != cudaSuccess) return error;
  kernel<<<grid, static_cast<unsigned>(threads), shared_bytes, stream>>>(args...);
  return cudaGetLastError();
}

/// The same for a kernel that calls wait_for_predecessors(): where the device can, its blocks are placed, and do what
/// stands before that call, while the kernel before it on the stream still runs.
template <class... P>
inline cudaError_t launch_early(dim3 grid, int threads, std::size_t shared_bytes, cudaStream_t stream,
                                void (*kernel)(P...), std::type_identity_t<P>... args) {
#if FLAMINGO_EARLY_STARTS
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  const auto* const function = reinterpret_cast<const void*>(kernel);
  bool early = false;
  const cudaError_t known = detail::waits_itself(function, early);
  const cudaError_t allowed = known == cudaSuccess ? detail::allow_shared_memory(function, shared_bytes) : known;
  if (allowed != cudaSuccess) return allowed;
  cudaLaunchAttribute serialised{};
  serialised.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  serialised.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &serialised;
  config.numAttrs = early ? 1 : 0;
  static_cast<void>(cudaLaunchKernelEx(&config, kernel, args...));
  return cudaGetLastError();  // as launch() has it: what went wrong before is told here, and once
#else
  return launch(grid, threads, shared_bytes, stream, kernel, args...);
#endif
}

#endif

/// The type of sums, statistics and gradients of weights.
template <class R>
using Accumulate = std::conditional_t<std::is_same_v<R, double>, double, float>;

__host__ __device__ inline float widen(float x) { return x; }
__host__ __device__ inline double widen(double x) { return x; }
__host__ __device__ inline float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
template <class R>
__host__ __device__ inline R narrow(Accumulate<R> x) {
  if constexpr (std::is_same_v<R, __nv_bfloat16>)
    return __float2bfloat16(x);
  else
    return x;
}

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }
__device__ inline float logarithm(float x) { return logf(x); }
__device__ inline double logarithm(double x) { return log(x); }
__device__ inline float square_root(float x) { return sqrtf(x); }
__device__ inline double square_root(double x) { return sqrt(x); }
__device__ inline float larger(float a, float b) { return fmaxf(a, b); }
__device__ inline double larger(double a, double b) { return fmax(a, b); }

__device__ inline int thread_index() { return static_cast<int>(threadIdx.x); }
__device__ inline int lane_index() { return static_cast<int>(threadIdx.x) % 32; }
__device__ inline int warp_index() { return static_cast<int>(threadIdx.x) / 32; }
__device__ inline int block_index_x() { return static_cast<int>(blockIdx.x); }
__device__ inline int block_index_y() { return static_cast<int>(blockIdx.y); }

/// T[N] for N an int: our extents are ints, C++'s array extents are not.
template <class T, int N>
using Array = T[static_cast<std::size_t>(N)];

/// How many tiles of `tile` cover `extent`.
__host__ __device__ constexpr int tiles_over(int extent, int tile) { return (extent + tile - 1) / tile; }
inline dim3 grid_of(int x, int y = 1) { return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y)); }

/// What a kernel begins with that is started by launch_early and has nothing to do before its operands are there.
__device__ inline void begin_early() {
  let_successor_start();
  wait_for_predecessors();
}

/// The sum over the warp, the same bits in every lane.
template <class A>
__device__ inline A warp_sum(A x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}
template <class A>
__device__ inline A warp_max(A x) {
  for (int step = 16; step > 0; step /= 2) x = larger(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

/// The block's sum of what its threads have, in thread 0: warps first to last. Shared memory: an A a warp.
template <int Threads, class A>
__device__ inline A block_sum(A own) {
  struct Sums {
    Array<A, Threads / 32> warp;
  };
  Sums& sums = shared_memory<Sums>();
  own = warp_sum(own);
  if (lane_index() == 0) sums.warp[warp_index()] = own;
  __syncthreads();
  if (thread_index() == 0)
    for (int i = 1; i < Threads / 32; ++i) own += sums.warp[i];
  return own;
}

/// Count neighbours, moved as one.
template <class R, int Count>
struct alignas(sizeof(R) * Count) Pack {
  Array<R, Count> value;
};
template <int Count, class R>
__device__ inline Pack<R, Count> load_pack(const R* from) {
  return *reinterpret_cast<const Pack<R, Count>*>(from);
}
template <int Count, class R>
__device__ inline void store_pack(R* to, const Pack<R, Count>& pack) {
  *reinterpret_cast<Pack<R, Count>*>(to) = pack;
}
/// A T that is read once: it need not stay in the cache.
template <class T>
__device__ inline T read_once(const void* from) {
#if defined(__CUDACC__)
  if constexpr (sizeof(T) == 16) {
    const uint4 bits = __ldcs(static_cast<const uint4*>(from));
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
  } else if constexpr (sizeof(T) == 8) {
    const uint2 bits = __ldcs(static_cast<const uint2*>(from));
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
#endif
  return *static_cast<const T*>(from);
}
/// How many R fill the 16 bytes that one instruction moves.
template <class R>
constexpr int pack_count = static_cast<int>(16 / sizeof(R));

/// Whether rows of `stride` elements from this address all begin on 16 bytes.
template <class R>
inline bool packs(const R* rows, long long stride) {
  return reinterpret_cast<std::uintptr_t>(rows) % 16 == 0 && stride % pack_count<R> == 0;
}

/// Begins the copy of a tile of Rows × Columns elements into shared rows of Pitch elements, by all Threads, Count
/// elements a copy; what lies outside rows × columns becomes zero. Count > 1 needs packs() and columns a multiple of
/// it.
template <int Threads, int Count, int Rows, int Columns, int Pitch, class R>
__device__ inline void copy_tile_async(R* tile, const R* from, long long stride, int rows, int columns) {
  static_assert(Columns % Count == 0, "a tile's row is a whole number of copies");
  constexpr int copies = Columns / Count;
  for (int i = thread_index(); i < Rows * copies; i += Threads) {
    const int row = i / copies, column = i % copies * Count;
    const bool valid = row < rows && column < columns;
    const R* source = valid ? from + row * stride + column : from;
    if constexpr (sizeof(R) * Count >= 4)
      copy_async<static_cast<int>(sizeof(R)) * Count>(tile + row * Pitch + column, source, valid);
    else  // two bytes are too few for an asynchronous copy
      tile[row * Pitch + column] = valid ? *source : narrow<R>(0);
  }
}

}  // namespace flamingo::raw
