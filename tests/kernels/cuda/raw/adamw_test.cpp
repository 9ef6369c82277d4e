/// The order of the sum of squares; the update is compared with the CPU's in kernels/cuda/text_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/adamw.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace adamw_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;

namespace {

template <class T>
double squares_of(const std::vector<T>& x, double before, bool& intact) {
  DeviceBuffer<T> x_(x);
  DeviceBuffer<double> sum(std::vector<double>{before}),
      workspace(static_cast<std::size_t>(squares_workspace(x.size())));
  started(sum_of_squares(x_.data(), x.size(), sum.data(), workspace.data(), nullptr));
  intact = x_.intact() && sum.intact() && workspace.intact();
  return sum.host()[0];
}

}  // namespace

TEMPLATE_TEST_CASE("squares are summed in double, after what is there", "[raw][adamw]", float, double) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{2048}, std::size_t{7000}}) {
    const auto x = random_values<TestType>(size, 1);
    emulator::Sum want;
    want.add(3);
    for (const TestType number : x) want.add(static_cast<double>(number) * static_cast<double>(number));
    bool intact = false;
    const std::vector<double> got{squares_of(x, 3, intact)};
    CHECK(intact);
    CHECK(emulator::worst_error<double>(got, std::vector{want}, 64) <= 1);
  }
}

TEST_CASE("a sum of squares has at most 1024 parts that cover it", "[raw][adamw]") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{2048 * 1024}, std::size_t{2048 * 1024 + 1},
                                 std::size_t{1} << 31, (std::size_t{1} << 36) + 5}) {
    const auto parts = static_cast<long long>(squares_workspace(size));
    CHECK(parts <= 1024);
    CHECK(parts * squares_each(size) >= static_cast<long long>(size));
    CHECK((parts - 1) * squares_each(size) < static_cast<long long>(size));
  }
}

TEST_CASE("an update touches nothing beside its numbers", "[raw][adamw]") {
  for (const std::size_t size : {std::size_t{5}, std::size_t{1028}}) {
    const auto x = random_values<float>(size, 2);
    DeviceBuffer<float> w(x), g(x), m(x), v(std::vector<float>(size, 1.0f));
    started(adamw<float>({0.5f, 0.5f, 0.5f, 0.5f, 1, 1, 0, 1, 1e-8f}, w.data(), g.data(), m.data(), v.data(), size,
                         nullptr));
    CHECK(emulator::same_bits(w.host(), x));  // a rate of 0
    CHECK(emulator::same_bits(m.host(), x));
    CHECK((w.intact() && g.intact() && m.intact() && v.intact()));
  }
}

#if !defined(__CUDACC__)
TEST_CASE("the sum of squares under shuffled schedules and without its barriers", "[raw][adamw]") {
  const auto x = random_values<float>(4100, 3);
  const auto bytes = [&] {
    bool intact = false;
    std::string all;
    emulator::append_bytes(all, std::vector<double>{squares_of(x, 0, intact)});
    return all;
  };
  CHECK(emulator::schedules_agree(bytes, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(bytes, 4, met).find("__syncthreads") == std::string::npos);
  CHECK(met >= 1);
}
#endif

}  // namespace adamw_test
