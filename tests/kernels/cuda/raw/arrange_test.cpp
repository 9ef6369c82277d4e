/// What the CPU refuses and the device must survive; values are compared in kernels/cuda/operations_test.cpp.
#include <flamingo/kernels/cuda/raw/arrange.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace arrange_test {

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

  DeviceBuffer<float> placed(table);
  started(place(x_.data(), index.data(), 4, placed.data(), 5, 3, nullptr));
  const auto after = placed.host();
  for (std::size_t i = 0; i < 15; ++i)
    CHECK(after[i] == (i / 3 == 1 ? x[i - 3] : i / 3 == 4 ? x[9 + i - 12] : table[i]));
  CHECK(placed.intact());

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

namespace {

/// Rows of which many name one target, one names none, and one is named a block's reach later.
template <class R, class T>
struct Scatter {
  int N, D, rows = 5, first = 2;
  std::vector<int> index;
  std::vector<R> x;
  std::vector<T> y;
  bool intact = false;

  Scatter(int count, int width)
      : N(count),
        D(width),
        index(static_cast<std::size_t>(count), 3),
        x(random_values<R>(static_cast<std::size_t>(count * width), 4)),
        y(random_values<T>(static_cast<std::size_t>(5 * width), 5)) {
    for (int n = 0; n < N; n += 2) index[static_cast<std::size_t>(n)] = n % 14;
    if (N) index.front() = index.back() = 6;
  }
  std::vector<T> run() {
    DeviceBuffer<R> x_(x);
    DeviceBuffer<T> y_(y);
    DeviceBuffer<int> index_(index);
    started(scatter_add(x_.data(), index_.data(), N, first, y_.data(), rows, D, nullptr));
    intact = x_.intact() && y_.intact() && index_.intact();
    return y_.host();
  }
};

template <class R, class T>
void check_scatter(int N, int D) {
  Scatter<R, T> s(N, D);
  const auto got = s.run();
  std::vector<emulator::Sum> want(s.y.size());
  for (std::size_t i = 0; i < want.size(); ++i) want[i].add(static_cast<double>(widen(s.y[i])));
  for (std::size_t n = 0; n < s.index.size(); ++n)
    for (std::size_t d = 0; d < static_cast<std::size_t>(D); ++d)
      if (const int row = s.index[n] - s.first; row >= 0 && row < s.rows)
        want[static_cast<std::size_t>(row * D) + d].add(
            static_cast<double>(widen(s.x[n * static_cast<std::size_t>(D) + d])));
  CAPTURE(N, D);
  CHECK(s.intact);
  CHECK(emulator::worst_error<T>(got, want, N) <= 1);
}

}  // namespace

TEST_CASE("scattered rows are summed whatever their width and number", "[raw][arrange]") {
  check_scatter<float, float>(1, 3);
  check_scatter<double, double>(300, 5);
  check_scatter<float, float>(600, 8);
  check_scatter<__nv_bfloat16, float>(300, 1032);
  check_scatter<__nv_bfloat16, __nv_bfloat16>(40, 24);
  check_scatter<float, float>(0, 3);
}

#if !defined(__CUDACC__)
TEST_CASE("scattered sums under shuffled schedules and without their barriers", "[raw][arrange]") {
  Scatter<float, float> s(300, 5);
  const auto bytes = [&] {
    std::string all;
    emulator::append_bytes(all, s.run());
    return all;
  };
  CHECK(emulator::schedules_agree(bytes, 4));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(bytes, 4, met) == "");
  CHECK(met == 1);
}
#endif

}  // namespace arrange_test
