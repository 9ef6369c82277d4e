#include <flamingo/kernels/cuda/raw/heads.cuh>

#include <vector>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace heads_test {

using namespace emulator;
using namespace flamingo::raw;

TEST_CASE("rows of heads are split, and joined again", "[raw]") {
  const int N = 5, H = 3, K = 7, rows = 8, stride = H * K + 2;
  const std::vector<double> x = random_values<double>(N * stride, 1), bias = random_values<double>(H * K, 2);
  DeviceBuffer<double> x_(x), bias_(bias), split(H * rows * K);
  started(split_heads<double>({x_.data(), stride}, bias_.data(), 0.5, N, H, rows, K, split.data(), nullptr));
  const std::vector<double> heads = split.host();
  for (int h = 0; h < H; ++h)
    for (int n = 0; n < rows; ++n)
      for (int c = 0; c < K; ++c) {
        const auto from = static_cast<std::size_t>(n * stride + h * K + c);
        const double want = n < N ? 0.5 * (x[from] + bias[static_cast<std::size_t>(h * K + c)]) : 0;
        CHECK(heads[static_cast<std::size_t>((h * rows + n) * K + c)] == want);
      }

  DeviceBuffer<double> joined(x);
  started(join_heads<true>(split.data(), 2.0, N, H, rows, K, Strided<double>{joined.data(), stride}, nullptr));
  std::vector<double> want = x;
  for (int n = 0; n < N; ++n)
    for (int c = 0; c < H * K; ++c) {
      double& to = want[static_cast<std::size_t>(n * stride + c)];
      to += 2 * heads[static_cast<std::size_t>((c / K * rows + n) * K + c % K)];
    }
  CHECK(joined.host() == want);
  CHECK((split.intact() && joined.intact()));
}

}  // namespace heads_test
