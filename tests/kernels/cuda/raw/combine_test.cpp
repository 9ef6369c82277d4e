/// Taps in bf16, those that lead nowhere, and shuffled schedules; float and double are held against the CPU's in
/// kernels/cuda/vision_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/combine.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace combine_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;
using B = __nv_bfloat16;

namespace {

constexpr int N = 37, K = 9, V = 5;

std::vector<TapPlace> some_taps() {
  std::vector<TapPlace> taps;
  for (int i = 0; i < N * K; ++i) taps.push_back({i * i % V, 0.25f * static_cast<float>(i % 5 - 2)});
  return taps;
}

}  // namespace

TEST_CASE("bf16 rows are read at several places and summed in the table's type", "[raw][combine]") {
  for (const int D : {16, 7}) {
    const auto d = static_cast<std::size_t>(D), k = std::size_t{K};
    const auto taps = some_taps();
    const auto table = random_values<B>(V * d, 1), dy = random_values<B>(N * d, 2);
    const auto before = random_values<float>(V * d, 3);
    DeviceBuffer<TapPlace> taps_(taps);
    DeviceBuffer<B> table_(table), dy_(dy), y(N * d);
    DeviceBuffer<float> dtable(before);
    started(combine(table_.data(), V, taps_.data(), K, y.data(), N, D, nullptr));
    started(combine_backward(dy_.data(), taps_.data(), K, N, dtable.data(), V, D, nullptr));
    std::vector<Sum> want(N * d), want_table(V * d);
    for (std::size_t i = 0; i < V * d; ++i) want_table[i].add(static_cast<double>(before[i]));
    for (std::size_t i = 0; i < taps.size(); ++i)
      for (std::size_t c = 0; c < d; ++c) {
        const std::size_t row = static_cast<std::size_t>(taps[i].row) * d + c, at = i / k * d + c;
        want[at].add(static_cast<double>(taps[i].weight) * static_cast<double>(widen(table[row])));
        want_table[row].add(static_cast<double>(taps[i].weight) * static_cast<double>(widen(dy[at])));
      }
    CHECK(worst_error<B>(y.host(), want, K) <= 1);
    CHECK(worst_error<B>(dtable.host(), want_table, N * K / V) <= 1);
    CHECK((y.intact() && dtable.intact()));
  }
}

TEST_CASE("taps outside a table are not followed", "[raw][combine]") {
  DeviceBuffer<float> table(std::vector<float>{1, 2, 3}), y(4), dtable(std::vector<float>{0, 0, 0});
  DeviceBuffer<TapPlace> taps(std::vector<TapPlace>{{0, 1}, {3, 1}, {-1, 1}, {2, 1}});
  started(combine(table.data(), 3, taps.data(), 1, y.data(), 4, 1, nullptr));
  started(combine_backward(y.data(), taps.data(), 1, 4, dtable.data(), 3, 1, nullptr));
  CHECK(y.host()[0] == 1);
  CHECK(std::isnan(y.host()[1]));
  CHECK(std::isnan(y.host()[2]));
  CHECK(dtable.host() == std::vector<float>{1, 0, 3});
  CHECK((y.intact() && dtable.intact()));
}

#if !defined(__CUDACC__)
TEST_CASE("sums of taps under shuffled schedules and without their barrier", "[raw][combine]") {
  DeviceBuffer<TapPlace> taps(some_taps());
  DeviceBuffer<float> dy(random_values<float>(N * 3, 4));
  const auto run = [&] {
    DeviceBuffer<float> dtable(std::vector<float>(V * 3, 1));
    started(combine_backward(dy.data(), taps.data(), K, N, dtable.data(), V, 3, nullptr));
    std::string bytes;
    emulator::append_bytes(bytes, dtable.host());
    return bytes;
  };
  CHECK(emulator::schedules_agree(run, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(run, 4, met) == "");
  CHECK(met == 1);
}
#endif

}  // namespace combine_test
