/// Streams and edges; which numbers are kept is compared with the CPU's in kernels/cuda/text_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/dropout.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace dropout_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::started;

namespace {

template <class R>
std::vector<R> dropped(PhiloxKey key, std::uint64_t first, std::size_t size, double probability, bool& intact) {
  DeviceBuffer<R> x(std::vector<R>(size, narrow<R>(3))), y(size);
  started(
      dropout<R>(key, first, static_cast<std::uint64_t>(probability * 0x1p32), 2, x.data(), y.data(), size, nullptr));
  intact = x.intact() && y.intact();
  return y.host();
}

}  // namespace

TEMPLATE_TEST_CASE("a part of a stream drops what the whole drops", "[raw][dropout]", float, double, __nv_bfloat16) {
  bool intact = false;
  const auto whole = dropped<TestType>({1, 2}, 0, 1031, 0.25, intact);
  CHECK(intact);
  for (const std::size_t first : {1u, 2u, 3u, 4u, 517u}) {
    const auto part = dropped<TestType>({1, 2}, first, 101, 0.25, intact);
    CHECK(intact);
    const auto from = whole.begin() + static_cast<std::ptrdiff_t>(first);
    CHECK(emulator::same_bits(part, std::vector<TestType>(from, from + 101)));
  }
  std::size_t kept = 0;
  for (const TestType number : whole) {
    CHECK((widen(number) == 0 || widen(number) == 6));
    kept += widen(number) != 0;
  }
  CHECK(std::abs(static_cast<double>(kept) / 1031 - 0.75) < 4 * std::sqrt(0.75 * 0.25 / 1031));  // four deviations
  CHECK_FALSE(emulator::same_bits(dropped<TestType>({1, 3}, 0, 1031, 0.25, intact), whole));
  CHECK_FALSE(emulator::same_bits(dropped<TestType>({2, 2}, 0, 1031, 0.25, intact), whole));
}

TEST_CASE("a probability of 0 keeps all", "[raw][dropout]") {
  bool intact = false;
  CHECK(emulator::same_bits(dropped<float>({1, 2}, 5, 33, 0, intact), std::vector<float>(33, 6.0f)));
  CHECK(dropped<float>({1, 2}, 5, 0, 0.5, intact).empty());
}

}  // namespace dropout_test
