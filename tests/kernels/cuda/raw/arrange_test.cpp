/// What the CPU refuses and the device must survive; values are compared in kernels/cuda/operations_test.cpp.
#include <flamingo/kernels/cuda/raw/arrange.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;

TEST_CASE("indices outside a table are not followed", "[raw][arrange]") {
  const auto table = random_values<float>(15, 1), x = random_values<float>(12, 2);
  DeviceBuffer<float> table_(table), x_(x), y(12), sum(table);
  DeviceBuffer<int> index(std::vector<int>{1, 5, -1, 4});
  started(gather(table_.data(), 5, index.data(), y.data(), 4, 3, nullptr));
  started(scatter_add(x_.data(), index.data(), 4, sum.data(), 5, 3, nullptr));
  const auto rows = y.host(), sums = sum.host();
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(rows[c] == table[3 + c]);
    CHECK(std::isnan(rows[3 + c]));
    CHECK(std::isnan(rows[6 + c]));
    CHECK(rows[9 + c] == table[12 + c]);
    CHECK(sums[c] == table[c]);
    CHECK(sums[3 + c] == table[3 + c] + x[c]);
    CHECK(sums[12 + c] == table[12 + c] + x[9 + c]);
  }
  CHECK(y.intact());
  CHECK(sum.intact());

  DeviceBuffer<BlendPlace> places(std::vector<BlendPlace>{{0, 5, 0.5f}, {-1, 2, 0.5f}, {4, 4, 0.25f}, {1, 2, 0.75f}});
  started(blend(table_.data(), 5, places.data(), x_.data(), 4, 3, nullptr));
  const auto blended = x_.host();
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(std::isnan(blended[c]));
    CHECK(std::isnan(blended[3 + c]));
    CHECK(blended[6 + c] == Approx(x[6 + c] + table[12 + c]));
    CHECK(blended[9 + c] == Approx(x[9 + c] + 0.25f * table[3 + c] + 0.75f * table[6 + c]));
  }
  CHECK(x_.intact());
}

TEST_CASE("scattered bf16 rows are summed in the target's type", "[raw][arrange]") {
  const auto x = random_values<__nv_bfloat16>(22, 3);
  DeviceBuffer<__nv_bfloat16> x_(x);
  DeviceBuffer<float> sum(std::vector<float>(4, 0.0f));
  DeviceBuffer<int> index(std::vector<int>(11, 1));
  started(scatter_add(x_.data(), index.data(), 11, sum.data(), 2, 2, nullptr));
  float first = 0;
  for (std::size_t n = 0; n < 11; ++n) first += widen(x[2 * n]);
  CHECK(sum.host()[2] == first);
  CHECK(sum.host()[0] == 0);
}
