/// Sinusoids in bf16, which are rounded once from double; float and double are held against the CPU's in
/// kernels/cuda/vision_operations_test.cpp.
#include <flamingo/kernels/cuda/raw/sinusoid.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace sinusoid_test {

using namespace flamingo::raw;

TEST_CASE("sinusoids of far distances keep their digits", "[raw][sinusoid]") {
  const int N = 5, D = 6, first = 100000;
  emulator::DeviceBuffer<__nv_bfloat16> y(30);
  emulator::started(sinusoid(y.data(), first, N, D, nullptr));
  std::vector<emulator::Sum> want(30);
  for (std::size_t n = 0; n < 5; ++n)
    for (std::size_t c = 0; c < 3; ++c) {
      const double angle = (first + static_cast<double>(n)) * std::pow(10000.0, -static_cast<double>(c) / 3);
      want[n * 6 + c].add(std::sin(angle));
      want[n * 6 + 3 + c].add(std::cos(angle));
    }
  CHECK(emulator::worst_error<__nv_bfloat16>(y.host(), want, 1) <= 1);
  CHECK(y.intact());
}

}  // namespace sinusoid_test
