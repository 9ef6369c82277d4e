/// Sums down rows against plain loops.
#include <flamingo/kernels/cuda/raw/row_sums.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace row_sums_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;

namespace {

template <class R>
void check_sums(int N, int D) {
  using A = Accumulate<R>;
  const auto d = static_cast<std::size_t>(D);
  const auto x = random_values<R>(static_cast<std::size_t>(N) * d, 1);
  const auto before = random_values<A>(d, 2);
  DeviceBuffer<R> x_(x);
  DeviceBuffer<A> sum(before), workspace(column_sum_workspace(N, D));
  started(add_column_sums(x_.data(), sum.data(), workspace.data(), N, D, nullptr));
  std::vector<Sum> want(d);
  for (std::size_t i = 0; i < d; ++i) want[i].add(static_cast<double>(before[i]));
  for (std::size_t i = 0; i < x.size(); ++i) want[i % d].add(static_cast<double>(widen(x[i])));
  CAPTURE(N, D);
  CHECK(emulator::worst_error<R>(sum.host(), want, 40) <= 1);
  CHECK((sum.intact() && workspace.intact()));
}

}  // namespace

TEST_CASE("columns are summed over one chunk of rows and over many", "[raw][row_sums]") {
  for (const int N : {0, 1, 37, 600}) {
    check_sums<float>(N, 5);
    check_sums<double>(N, 33);
    check_sums<__nv_bfloat16>(N, 32);
  }
}

#if !defined(__CUDACC__)
TEST_CASE("sums of columns under shuffled schedules and without their barrier", "[raw][row_sums]") {
  DeviceBuffer<float> x(random_values<float>(300 * 3, 5));
  const auto run = [&] {
    DeviceBuffer<float> sum(std::vector<float>(3, 1)), workspace(column_sum_workspace(300, 3));
    started(add_column_sums(x.data(), sum.data(), workspace.data(), 300, 3, nullptr));
    std::string bytes;
    emulator::append_bytes(bytes, sum.host());
    return bytes;
  };
  CHECK(emulator::schedules_agree(run, 3));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(run, 4, met) == "");
  CHECK(met == 1);
}
#endif

}  // namespace row_sums_test
