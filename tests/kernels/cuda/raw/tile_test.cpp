/// The vocabulary of the raw kernels: warp sums, packs, tiles that copy themselves, matrix tiles.
#include <algorithm>
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include <checking.hpp>
#include <flamingo/kernels/cuda/raw/tile.cuh>

namespace tile_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;

namespace {

template <class A>
static __global__ void reduce_kernel(const A* x, A* sum, A* most) {
  sum[thread_index()] = warp_sum(x[thread_index()]);
  most[thread_index()] = warp_max(x[thread_index()]);
}

template <int Count, class R>
static __global__ void tile_kernel(const R* x, R* y, int stride, int rows, int columns) {
  struct Tile {
    R value[5 * 24];
  };
  Tile& tile = shared_memory<Tile>();
  copy_tile_async<32, Count, 5, 16, 24>(tile.value, x, stride, rows, columns);
  commit_async();
  wait_async<0>();
  __syncthreads();
  for (int i = thread_index(); i < 5 * 16; i += 32) y[i] = tile.value[i / 16 * 24 + i % 16];
}

/// c (16, 8) += a (16, 16) b (16, 8): each lane fills its registers as PTX lays them out.
static __global__ void matrix_kernel(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c) {
  const int group = lane_index() / 4, pair = lane_index() % 4 * 2;
  __nv_bfloat16 as[8], bs[4];
  for (int i = 0; i < 8; ++i) as[i] = a[(group + i / 2 % 2 * 8) * 16 + pair + i % 2 + i / 4 * 8];
  for (int i = 0; i < 4; ++i) bs[i] = b[(pair + i % 2 + i / 2 * 8) * 8 + group];
  unsigned a_bits[4], b_bits[2];
  memcpy(a_bits, as, sizeof a_bits);
  memcpy(b_bits, bs, sizeof b_bits);
  float own[4];
  for (int i = 0; i < 4; ++i) own[i] = c[(group + i / 2 * 8) * 8 + pair + i % 2];
  multiply_add_16x8x16(own, a_bits, b_bits);
  for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + pair + i % 2] = own[i];
}

}  // namespace

TEMPLATE_TEST_CASE("warp sums and maxima are in every lane", "[raw][tile]", float, double) {
  const auto x = random_values<TestType>(32, 5);
  DeviceBuffer<TestType> x_(x), sum(x.size()), most(x.size());
  started(launch(grid_of(1), 32, 0, nullptr, reduce_kernel<TestType>, x_.data(), sum.data(), most.data()));
  emulator::Sum want;
  for (const TestType v : x) want.add(static_cast<double>(v));
  CHECK(emulator::worst_error<TestType>(sum.host(), std::vector(32, want), 5) <= 1);
  CHECK(emulator::same_bits(sum.host(), std::vector<TestType>(32, sum.host()[0])));
  CHECK(most.host() == std::vector<TestType>(32, *std::max_element(x.begin(), x.end())));
}

TEMPLATE_TEST_CASE("a tile copies what is there and fills up with zeros", "[raw][tile]", float, double, __nv_bfloat16) {
  const auto x = random_values<TestType>(3 * 24, 6);
  const auto check = [&](auto kernel, int rows, int columns, int stride) {
    DeviceBuffer<TestType> x_(x), y(std::size_t{80});
    started(
        launch(grid_of(1), 32, 120 * sizeof(TestType), nullptr, kernel, x_.data(), y.data(), stride, rows, columns));
    const auto got = y.host();
    for (int r = 0; r < 5; ++r)
      for (int c = 0; c < 16; ++c)
        CHECK(widen(got[static_cast<std::size_t>(r * 16 + c)]) ==
              (r < rows && c < columns ? widen(x[static_cast<std::size_t>(r * stride + c)]) : 0));
    CHECK(y.intact());
  };
  check(tile_kernel<1, TestType>, 3, 13, 23);
  check(tile_kernel<pack_count<TestType>, TestType>, 3, 8, 24);
  check(tile_kernel<pack_count<TestType>, TestType>, 0, 16, 24);
}

TEST_CASE("a matrix tile multiplies and adds", "[raw][tile]") {
  const auto a = random_values<__nv_bfloat16>(16 * 16, 1), b = random_values<__nv_bfloat16>(16 * 8, 2);
  const auto c = random_values<float>(16 * 8, 3);
  DeviceBuffer<__nv_bfloat16> a_(a), b_(b);
  DeviceBuffer<float> c_(c);
  started(launch(grid_of(1), 32, 0, nullptr, matrix_kernel, a_.data(), b_.data(), c_.data()));
  std::vector<emulator::Sum> want(16 * 8);
  for (std::size_t m = 0; m < 16; ++m)
    for (std::size_t n = 0; n < 8; ++n) {
      want[m * 8 + n].add(static_cast<double>(c[m * 8 + n]));
      for (std::size_t k = 0; k < 16; ++k)
        want[m * 8 + n].add(static_cast<double>(widen(a[m * 16 + k])) * static_cast<double>(widen(b[k * 8 + n])));
    }
  CHECK(emulator::worst_error<float>(c_.host(), want, 17) <= 1);
}

}  // namespace tile_test
