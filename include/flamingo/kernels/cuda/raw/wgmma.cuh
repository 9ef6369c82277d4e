/// What a raw kernel may ask of Hopper (sm_90a): products of a warpgroup out of swizzled shared memory, barriers in
/// shared memory, registers that move from one warpgroup to another. Where the compiler's target has none of it,
/// FLAMINGO_WARPGROUPS is not defined, and a kernel has no body.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tile.cuh"

#if !defined(__CUDACC__)
#include <flamingo_warpgroups.hpp>  // the same names in plain C++, beside flamingo_emulator.hpp
#endif

#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define FLAMINGO_WARPGROUPS
#endif

namespace flamingo::raw {

inline constexpr int warpgroup_threads = 128;

/// Before a loop that is to stay one, for want of registers.
#if defined(__CUDACC__)
#define FLAMINGO_ROLL _Pragma("unroll 1")
#else
#define FLAMINGO_ROLL
#endif

#if defined(__CUDACC__)

/// Bytes from the begin of shared memory, as descriptors count them.
__device__ inline unsigned shared_address(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

/// A barrier in shared memory (PTX's mbarrier): a phase ends when `count` have arrived. begin() is one thread's; a
/// barrier of the block follows before others use it.
struct SharedBarrier {
  std::uint64_t state;

  __device__ void begin(int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(&state)), "r"(count) : "memory");
  }
  __device__ void arrive() {
    asm volatile(
        "{\n.reg .b64 ignored;\nmbarrier.arrive.shared::cta.b64 ignored, [%0];\n}\n" ::"r"(shared_address(&state))
        : "memory");
  }
  /// Arrives, without waiting, when the copies that this thread has begun have landed.
  __device__ void arrive_after_copies() {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];\n" ::"r"(shared_address(&state)) : "memory");
  }
  /// Waits for the end of the phase of this parity: 0 for the first, and 1 for the one before it, which is over.
  __device__ void wait(int parity) {
    unsigned over = 0;
    do {
      asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}\n"
                   : "=r"(over)
                   : "r"(shared_address(&state)), "r"(parity)
                   : "memory");
    } while (!over);
  }
};

#if defined(FLAMINGO_WARPGROUPS)

/// Lets products read what was written to shared memory before, by whomever this thread has waited for.
__device__ inline void show_to_products() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }

/// Registers of each thread of the warpgroup from here on; all its threads call it.
template <int Count>
__device__ inline void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(Count));
}
template <int Count>
__device__ inline void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(Count));
}

/// Before the first product of a group: registers written so far are seen by it.
__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
/// Closes the group of products begun since the last call.
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
/// Waits for the warpgroup's groups but the `Pending` newest. Their results may be read after settle().
template <int Pending>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(Pending) : "memory");
}
/// Keeps the compiler from moving reads of results before the wait for them.
template <std::size_t Tiles>
__device__ inline void settle(float (&c)[Tiles][4]) {
  FLAMINGO_UNROLL
  for (std::size_t n = 0; n < Tiles; ++n) FLAMINGO_UNROLL
  for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(c[n][i])::"memory");
}
#define FLAMINGO_RESULTS_4(n) "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])
#define FLAMINGO_RESULTS_16(n) \
  FLAMINGO_RESULTS_4(n), FLAMINGO_RESULTS_4(n + 1), FLAMINGO_RESULTS_4(n + 2), FLAMINGO_RESULTS_4(n + 3)
#define FLAMINGO_RESULTS_32(n) FLAMINGO_RESULTS_16(n), FLAMINGO_RESULTS_16(n + 4)
#define FLAMINGO_RESULTS_64(n) FLAMINGO_RESULTS_32(n), FLAMINGO_RESULTS_32(n + 8)
#define FLAMINGO_NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define FLAMINGO_NAMES_32                                                                                     \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, " \
  "%23, %24, %25, %26, %27, %28, %29, %30, %31"
#define FLAMINGO_NAMES_64                                                                                  \
  FLAMINGO_NAMES_32                                                                                        \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
  "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

/// Begins c (64, 8 Tiles) = a·bᵀ, or adds it: a (64, 16) and b (8 Tiles, 16) bf16 in shared memory, a row's numbers
/// beside each other. Warp w of the warpgroup has the rows from 16 w, laid out as those of mma.m16n8k16.
__device__ inline void multiply_rows_async(float (&c)[4][4], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %18, 0;\nwgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"  //
               FLAMINGO_NAMES_16 "}, %16, %17, p, 1, 1, 0, 0;\n}\n"
               : FLAMINGO_RESULTS_16(0)
               : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}
__device__ inline void multiply_rows_async(float (&c)[8][4], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"  //
               FLAMINGO_NAMES_32 "}, %32, %33, p, 1, 1, 0, 0;\n}\n"
               : FLAMINGO_RESULTS_32(0)
               : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}
__device__ inline void multiply_rows_async(float (&c)[16][4], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"  //
               FLAMINGO_NAMES_64 "}, %64, %65, p, 1, 1, 0, 0;\n}\n"
               : FLAMINGO_RESULTS_64(0)
               : "l"(a), "l"(b), "r"(static_cast<int>(add)));
}
/// Begins c (64, 8 Tiles) += a·b: a (64, 16) in registers, laid out as the left operand of mma.m16n8k16; b (16,
/// 8 Tiles) in shared memory, a row's numbers beside each other.
__device__ inline void add_weighted_async(float (&c)[8][4], const unsigned (&a)[4], std::uint64_t b) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"  //
               FLAMINGO_NAMES_32 "}, {%32, %33, %34, %35}, %36, p, 1, 1, 1;\n}\n"
               : FLAMINGO_RESULTS_32(0)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
__device__ inline void add_weighted_async(float (&c)[16][4], const unsigned (&a)[4], std::uint64_t b) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"  //
               FLAMINGO_NAMES_64 "}, {%64, %65, %66, %67}, %68, p, 1, 1, 1;\n}\n"
               : FLAMINGO_RESULTS_64(0)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#undef FLAMINGO_RESULTS_4
#undef FLAMINGO_RESULTS_16
#undef FLAMINGO_RESULTS_32
#undef FLAMINGO_RESULTS_64
#undef FLAMINGO_NAMES_16
#undef FLAMINGO_NAMES_32
#undef FLAMINGO_NAMES_64

#endif

/// Says to the host, by its launch bounds, whether it was compiled for sm_90a: macros of the device's pass do not.
#if defined(FLAMINGO_WARPGROUPS)
static __global__ void __launch_bounds__(512) warpgroups_probe() {}
#else
static __global__ void __launch_bounds__(256) warpgroups_probe() {}
#endif
/// Whether the device, asked once, runs kernels that were compiled for it with warpgroups.
inline bool has_warpgroups() {
  static const bool has = [] {
    cudaFuncAttributes probe{};
    if (cudaFuncGetAttributes(&probe, reinterpret_cast<const void*>(warpgroups_probe)) == cudaSuccess)
      return probe.maxThreadsPerBlock == 512;
    (void)cudaGetLastError();
    return false;
  }();
  return has;
}

#endif

/// Rows × Columns of bf16 in shared memory as products read them: panels of 64 columns, in which a row is 128 bytes
/// whose eight pieces change places with row % 8 (the swizzle of 128 bytes), so that eight rows lie in different banks.
template <int Rows, int Columns>
struct alignas(1024) SwizzledTile {
  static_assert(Rows % 8 == 0 && Columns % 64 == 0, "a swizzled tile is made of 8 rows by 64 columns");
  Array<__nv_bfloat16, Rows * Columns> data;

  /// Where 8 neighbours lie; column is a multiple of 8.
  __device__ __nv_bfloat16* at(int row, int column) {
    return data + column / 64 * (Rows * 64) + row * 64 + (column / 8 % 8 ^ row % 8) * 8;
  }
  /// The descriptor of rows [row, ...) as an operand whose depths are columns [16 k, 16 k + 16); row: a multiple of 8.
  __device__ std::uint64_t rows(int row, int k) const {
    return descriptor(1) + offset(k / 4 * (Rows * 64) + row * 64 + k % 4 * 16);
  }
  /// The descriptor of a right operand whose depths are rows [16 k, 16 k + 16).
  __device__ std::uint64_t depths(int k) const { return descriptor(Rows * 128 / 16) + offset(16 * k * 64); }

 private:
  __device__ static constexpr std::uint64_t offset(int elements) {
    return static_cast<std::uint64_t>(elements * 2 / 16);
  }
  /// In pieces of 16 bytes: the tile, from one panel to the next, from 8 rows to the next 8; the swizzle of 128 bytes.
  __device__ std::uint64_t descriptor(int panel) const {
    return shared_address(data) / 16 | static_cast<std::uint64_t>(panel) << 16 | std::uint64_t{1024 / 16} << 32 |
           std::uint64_t{1} << 62;
  }
};

/// The block's shared memory as a T that needs an alignment of 1024; the launch gives sizeof(T) + 1024 bytes.
template <class T>
__device__ inline T& swizzled_memory() {
  struct Bytes {
    unsigned char value[sizeof(T) + 1024];
  };
  unsigned char* const begin = shared_memory<Bytes>().value;
  return *reinterpret_cast<T*>(begin + (1024 - shared_address(begin) % 1024) % 1024);
}

}  // namespace flamingo::raw
