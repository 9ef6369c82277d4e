/// The emulator itself: what it runs, and what it refuses.
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "checking.hpp"

using Catch::Matchers::Contains;
using emulator::DeviceBuffer;
using emulator::Fault;
using emulator::machine;
using emulator::With;
using flamingo::raw::commit_async;
using flamingo::raw::copy_async;
using flamingo::raw::grid_of;
using flamingo::raw::launch;
using flamingo::raw::shared_memory;
using flamingo::raw::wait_async;

namespace {

/// y[block] = the block's numbers reversed, through shared memory.
template <bool Barrier>
__global__ void reverse_kernel(const int* x, int* y, int n) {
  __shared__ int tile[64];
  const int i = static_cast<int>(threadIdx.x), at = static_cast<int>(blockIdx.x * blockDim.x) + i;
  tile[i] = at < n ? x[at] : 0;
  if (Barrier) __syncthreads();
  if (at < n) y[at] = tile[static_cast<int>(blockDim.x) - 1 - i];
  if (Barrier) __syncthreads();
}

std::vector<int> counting(int n) {
  std::vector<int> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

/// Runs body(lane) on one warp and returns what each lane got.
template <class Body>
std::vector<int> on_a_warp(Body body) {
  DeviceBuffer<int> out(std::size_t{32});
  machine().launch({1, 1, 1}, {32, 1, 1}, 0, [&] { out.data()[threadIdx.x] = body(static_cast<int>(threadIdx.x)); });
  return out.host();
}

std::string fault_of(unsigned threads, const std::function<void()>& body, std::size_t shared_bytes = 0) {
  try {
    machine().launch({1, 1, 1}, {threads, 1, 1}, shared_bytes, body);
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "";
}

}  // namespace

TEST_CASE("blocks, threads and static shared memory", "[emulator]") {
  DeviceBuffer<int> x(counting(128)), y(std::size_t{128});
  REQUIRE(launch(grid_of(2), 64, 0, nullptr, reverse_kernel<true>, x.data(), y.data(), 128) == cudaSuccess);
  const std::vector<int> got = y.host();
  for (int i = 0; i < 128; ++i) CHECK(got[static_cast<std::size_t>(i)] == i / 64 * 64 + 63 - i % 64);
  CHECK(y.intact());
}

TEST_CASE("a missing barrier changes the result, and a shuffled schedule changes it again", "[emulator]") {
  const auto run = [](bool barrier, std::uint64_t seed) {
    const With options({.seed = seed});
    DeviceBuffer<int> x(counting(128)), y(std::size_t{128});
    static_cast<void>(launch(grid_of(2), 64, 0, nullptr, barrier ? reverse_kernel<true> : reverse_kernel<false>,
                             x.data(), y.data(), 128));
    return y.host();
  };
  CHECK(run(false, 0) != run(true, 0));
  CHECK(run(false, 7) != run(true, 0));
  CHECK(run(true, 7) == run(true, 0));
  CHECK(run(false, 7) != run(false, 8));
  CHECK(run(false, 7) == run(false, 7));
}

TEST_CASE("shuffles, votes and widths", "[emulator]") {
  constexpr unsigned all = 0xffffffffu;
  const auto expect = [](const std::vector<int>& got, auto want) {
    for (int lane = 0; lane < 32; ++lane) CHECK(got[static_cast<std::size_t>(lane)] == want(lane));
  };
  expect(on_a_warp([](int lane) { return __shfl_xor_sync(all, lane, 5); }), [](int lane) { return lane ^ 5; });
  expect(on_a_warp([](int lane) { return __shfl_xor_sync(all, lane, 8, 8); }),
         [](int lane) { return lane & 8 ? lane ^ 8 : lane; });
  expect(on_a_warp([](int lane) { return __shfl_down_sync(all, lane, 3, 16); }),
         [](int lane) { return lane % 16 + 3 < 16 ? lane + 3 : lane; });
  expect(on_a_warp([](int lane) { return __shfl_up_sync(all, lane, 3, 16); }),
         [](int lane) { return lane % 16 >= 3 ? lane - 3 : lane; });
  expect(on_a_warp([](int lane) { return __shfl_sync(all, lane, 9, 8); }), [](int lane) { return lane / 8 * 8 + 1; });
  expect(on_a_warp([](int lane) { return static_cast<int>(__ballot_sync(all, lane < 5)); }), [](int) { return 31; });
  expect(on_a_warp([](int lane) { return __any_sync(all, lane == 31) + 2 * __all_sync(all, lane < 31); }),
         [](int) { return 1; });
  expect(on_a_warp([](int lane) {  // two halves, each with its own mask and its own number of steps
           const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
           int sum = lane;
           for (int step = 1; step < (lane < 16 ? 16 : 4); step *= 2) sum += __shfl_xor_sync(half, sum, step);
           return sum;
         }),
         [](int lane) { return lane < 16 ? 120 : lane / 4 * 16 + 6; });
  int total = 0;
  machine().launch({3, 1, 1}, {40, 1, 1}, 0, [&] { atomicAdd(&total, 2); });
  CHECK(total == 240);
}

TEST_CASE("a barrier that is not reached by all is one clear error", "[emulator]") {
  CHECK_THAT(
      fault_of(64,
               [] {
                 if (threadIdx.x != 5) __syncthreads();
               }),
      Contains("[emulator] block (0, 0, 0): deadlock of 64 threads: 63 wait at __syncthreads (emulator_test.cpp:") &&
          Contains("1 returned; a barrier must be reached by all that it waits for"));
  CHECK_THAT(fault_of(64,
                      [] {
                        if (threadIdx.x < 32)
                          __syncthreads();
                        else if (threadIdx.x > 40)
                          __syncwarp();
                      }),
             Contains("32 wait at __syncthreads") && Contains("23 wait at __syncwarp") && Contains("9 returned"));
  CHECK_THAT(fault_of(32,
                      [] {
                        if (threadIdx.x < 16)
                          __syncwarp();
                        else
                          static_cast<void>(__any_sync(0xffffffffu, 1));
                      }),
             Contains("lanes of one warp meet at different operations: __syncwarp"));
  CHECK_THAT(fault_of(32, [] { static_cast<void>(__shfl_sync(0x0000ffffu, 1, 0)); }),
             Contains("thread 16 is not in the mask of its __shfl_sync"));
  CHECK_THAT(fault_of(32,
                      [] {
                        if (threadIdx.x < 16) static_cast<void>(__shfl_xor_sync(0x0000ffffu, 1, 16));
                      }),
             Contains("lane 0 reads lane 16, which takes no part in the shuffle"));
  CHECK(fault_of(64, [] { __syncthreads(); }).empty());  // and the machine is whole again
}

TEST_CASE("asynchronous copies land at the wait, and not before", "[emulator]") {
  const std::vector<float> source = emulator::random_values<float>(64, 3);
  DeviceBuffer<float> x(source);
  std::vector<float> before(64), between(64), after(64);
  const auto body = [&](bool wait) {
    auto& tile = shared_memory<float[64]>();
    const auto i = threadIdx.x;
    copy_async<4>(&tile[i], x.data() + i, true);
    commit_async();
    copy_async<4>(&tile[i + 32], x.data() + i + 32, i != 7);
    commit_async();
    before[i] = tile[i];
    wait_async<1>();
    between[i] = tile[i];
    between[i + 32] = tile[i + 32];
    if (wait) wait_async<0>();
    after[i + 32] = tile[i + 32];
  };
  REQUIRE(fault_of(
              32, [&] { body(true); }, 256)
              .empty());
  for (std::size_t i = 0; i < 32; ++i) {
    CHECK(std::isnan(before[i]));
    CHECK(between[i] == source[i]);
    CHECK(std::isnan(between[i + 32]));
    CHECK(after[i + 32] == (i == 7 ? 0.0f : source[i + 32]));
  }
  CHECK_THAT(fault_of(
                 32, [&] { body(false); }, 256),
             Contains("returned before its asynchronous copies landed"));
  CHECK_THAT(fault_of(
                 32, [&] { copy_async<16>(shared_memory<float[64]>() + 64, x.data(), true); }, 256),
             Contains("an asynchronous copy leaves shared memory"));
  CHECK_THAT(fault_of(
                 32, [&] { copy_async<16>(shared_memory<float[64]>(), x.data() + 1, true); }, 256),
             Contains("an asynchronous copy of 16 bytes is not aligned to its size"));
}

TEST_CASE("memory that is not the kernel's", "[emulator]") {
  CHECK_THAT(fault_of(
                 32, [] { static_cast<void>(shared_memory<float[65]>()); }, 256),
             Contains("the kernel uses 260 bytes of shared memory, the launch gave 256"));
  CHECK_THAT(fault_of(2048, [] {}), Contains("a block of 2048 threads: 1 to 1024"));
  CHECK_THAT(fault_of(
                 32, [] {}, 240 * 1024),
             Contains("245760 bytes of shared memory: at most 232448"));
#if !defined(EMULATOR_ASAN)  // which ends the program at such a write
  CHECK_THAT(fault_of(
                 32, [] { shared_memory<float[64]>()[threadIdx.x == 31 ? 64u : 0u] = 1; }, 256),
             Contains("the kernel wrote beside its 256 bytes of shared memory"));
  DeviceBuffer<int> x(counting(70)), y(std::size_t{70});
  static_cast<void>(launch(grid_of(2), 64, 0, nullptr, reverse_kernel<true>, x.data(), y.data(), 70));
  CHECK(y.intact());
  static_cast<void>(launch(grid_of(2), 64, 0, nullptr, reverse_kernel<true>, x.data(), y.data(), 71));
  CHECK_FALSE(y.intact());
#endif
}

/// y[i] = x[i] + 1, by a kernel that may begin before x is written.
template <bool Waits>
__global__ void early_kernel(const int* x, int* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (!Waits && i == n - 1) return;
  flamingo::raw::begin_early();
  if (i < n) y[i] = x[i] + 1;
}

TEST_CASE("a kernel that is started early waits in every thread", "[emulator]") {
  const long before = machine().launches;
  DeviceBuffer<int> x(counting(70)), y(std::size_t{70});
  static_cast<void>(
      flamingo::raw::launch_early(grid_of(2), 64, 0, nullptr, early_kernel<true>, x.data(), y.data(), 70));
  CHECK(y.host()[69] == 70);
  CHECK(machine().launches == before + 1);
  CHECK_THROWS_WITH(
      flamingo::raw::launch_early(grid_of(2), 64, 0, nullptr, early_kernel<false>, x.data(), y.data(), 70),
      Contains("thread 5 was started early and has not waited for its predecessors"));
  CHECK_NOTHROW(launch(grid_of(2), 64, 0, nullptr, early_kernel<false>, x.data(), y.data(), 70));
}

TEST_CASE("what a kernel throws comes out of the launch", "[emulator]") {
  CHECK_THROWS_WITH(machine().launch({2, 1, 1}, {64, 1, 1}, 0,
                                     [] {
                                       __syncthreads();
                                       if (threadIdx.x == 33) throw std::runtime_error("from inside");
                                       __syncthreads();
                                     }),
                    "from inside");
}
