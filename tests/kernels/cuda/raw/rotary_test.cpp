/// Rounding of bf16, and rows and heads shared out in groups; values are compared in kernels/cuda/text_operations_test.
#include <flamingo/kernels/cuda/raw/rotary.cuh>

#include <array>
#include <catch2/catch.hpp>

#include <checking.hpp>

namespace rotary_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;

namespace {

template <class R>
void check_rotary(int N, int heads, int K, int half, bool adjacent) {
  const auto x = random_values<R>(static_cast<std::size_t>(N * heads * K), 1);
  RotaryFrequencies frequencies{};
  for (int i = 0; i < half; ++i) frequencies.value[i] = std::pow(10000.0, -static_cast<double>(i) / half);
  std::vector<int> positions(static_cast<std::size_t>(N));
  for (int n = 0; n < N; ++n) positions[static_cast<std::size_t>(n)] = 3001 * n;
  DeviceBuffer<R> x_(x);
  DeviceBuffer<int> positions_(positions);
  started(rotary(frequencies, 1.0, adjacent, positions_.data(), x_.data(), N, heads, K, half, nullptr));
  std::vector<emulator::Sum> want(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int feature = static_cast<int>(i) % K, n = static_cast<int>(i) / (heads * K);
    const double own = static_cast<double>(widen(x[i]));
    if (feature >= 2 * half) {
      want[i].add(own);
      continue;
    }
    const bool first = adjacent ? feature % 2 == 0 : feature < half;
    const int pair = adjacent ? feature / 2 : feature % half, apart = adjacent ? 1 : half;
    const std::size_t other = first ? i + static_cast<std::size_t>(apart) : i - static_cast<std::size_t>(apart);
    const double angle = positions[static_cast<std::size_t>(n)] * frequencies.value[pair];
    want[i].add(own * std::cos(angle));
    want[i].add((first ? -1 : 1) * static_cast<double>(widen(x[other])) * std::sin(angle));
    want[i].terms = std::abs(own) + std::abs(static_cast<double>(widen(x[other])));  // an angle errs too
  }
  CAPTURE(N, heads, K, half, adjacent);
  CHECK(x_.intact());
  CHECK(emulator::worst_error<R>(x_.host(), want, 8) <= 1);
}

}  // namespace

TEMPLATE_TEST_CASE("pairs turn by their position", "[raw][rotary]", float, double, __nv_bfloat16) {
  for (const bool adjacent : {false, true}) {
    check_rotary<TestType>(5, 3, 16, 8, adjacent);  // 16 bytes at a time
    check_rotary<TestType>(5, 2, 24, 8, adjacent);  // the last features stay
    check_rotary<TestType>(3, 2, 10, 3, adjacent);  // one by one
    check_rotary<TestType>(0, 2, 16, 8, adjacent);
  }
}

TEST_CASE("rows turn the same whether many heads or few share a thread", "[raw][rotary]") {
  constexpr int K = 256, half = 128, heads = 2, N = 520;  // one group of heads here, a group a head there
  RotaryFrequencies frequencies{};
  for (int i = 0; i < half; ++i) frequencies.value[i] = 1.0 / (1 + i);
  const auto row = random_values<float>(std::size_t{heads * K}, 2);
  std::vector<float> rows;
  for (int n = 0; n < N; ++n) rows.insert(rows.end(), row.begin(), row.end());
  DeviceBuffer<int> positions(std::vector<int>(N, 13));
  DeviceBuffer<float> many(rows), one(row);
  started(rotary(frequencies, -1.0, true, positions.data(), many.data(), N, heads, K, half, nullptr));
  started(rotary(frequencies, -1.0, true, positions.data(), one.data(), 1, heads, K, half, nullptr));
  const auto all = many.host();
  CHECK(emulator::same_bits(std::vector<float>(all.end() - heads * K, all.end()), one.host()));
}

}  // namespace rotary_test
