/// The sums of gates, whose order counts; the functions are compared with the CPU's in
/// kernels/cuda/operations_test.cpp.
#include <flamingo/kernels/cuda/raw/pointwise.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace pointwise_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;

namespace {

template <class R>
struct Gates {
  using A = Accumulate<R>;
  int N, D, gates;
  std::vector<A> gate, before;
  std::vector<R> branch, dy;
  bool intact = false;

  Gates(int rows, int width, int count)
      : N(rows),
        D(width),
        gates(count),
        gate(random_values<A>(static_cast<std::size_t>(count), 1)),
        before(random_values<A>(static_cast<std::size_t>(count), 2)),
        branch(random_values<R>(static_cast<std::size_t>(rows * width), 3)),
        dy(random_values<R>(static_cast<std::size_t>(rows * width), 4)) {}

  std::vector<A> run() {
    DeviceBuffer<A> gate_(gate), dgate_(before), workspace(gate_workspace(N, D));
    DeviceBuffer<R> branch_(branch), dy_(dy);
    started(
        gate_backward(gate_.data(), gates, branch_.data(), dy_.data(), dgate_.data(), workspace.data(), N, D, nullptr));
    intact = gate_.intact() && dgate_.intact() && workspace.intact() && branch_.intact() && dy_.intact();
    return dgate_.host();
  }
};

template <class R>
void check_gates(int N, int D, int count) {
  Gates<R> g(N, D, count);
  const auto got = g.run();
  std::vector<Sum> want(static_cast<std::size_t>(count));
  for (std::size_t c = 0; c < want.size(); ++c) want[c].add(static_cast<double>(g.before[c]));
  for (std::size_t i = 0; i < g.dy.size(); ++i) {
    const std::size_t c = count == 1 ? 0 : i % static_cast<std::size_t>(D);
    const double t = std::tanh(static_cast<double>(g.gate[c]));
    want[c].add((1 - t * t) * static_cast<double>(widen(g.dy[i])) * static_cast<double>(widen(g.branch[i])));
  }
  CAPTURE(N, D, count);
  CHECK(g.intact);
  CHECK(emulator::worst_error<R>(got, want, N + D + 8) <= 1);
}

}  // namespace

TEMPLATE_TEST_CASE("gradients of gates are the formulas' sums", "[raw][pointwise]", float, double, __nv_bfloat16) {
  check_gates<TestType>(131, 7, 1);
  check_gates<TestType>(131, 7, 7);
  check_gates<TestType>(3, 263, 1);  // more columns than a block has threads
  check_gates<TestType>(3, 263, 263);
  check_gates<TestType>(0, 5, 1);
}

TEST_CASE("bf16 rounds once, sums and biases in float", "[raw][pointwise]") {
  const auto a = random_values<__nv_bfloat16>(21, 1), b = random_values<__nv_bfloat16>(21, 2);
  const auto bias = random_values<float>(7, 3);
  DeviceBuffer<__nv_bfloat16> a_(a), b_(b), y_(21);
  DeviceBuffer<float> bias_(bias), wide(21);
  started(add(a_.data(), b_.data(), y_.data(), 21, nullptr));
  started(add_bias(bias_.data(), y_.data(), 3, 7, nullptr));
  started(convert(y_.data(), wide.data(), 21, nullptr));
  const auto y = y_.host();
  const auto same = wide.host();
  for (std::size_t i = 0; i < 21; ++i) {
    const float sum = widen(narrow<__nv_bfloat16>(widen(a[i]) + widen(b[i])));
    CHECK(widen(y[i]) == widen(narrow<__nv_bfloat16>(sum + bias[i % 7])));
    CHECK(same[i] == widen(y[i]));
  }
}

#if !defined(__CUDACC__)
TEST_CASE("the sum of one gate under shuffled schedules and without its barriers", "[raw][pointwise]") {
  Gates<float> g(131, 7, 1);
  const auto bytes = [&] {
    std::string all;
    emulator::append_bytes(all, g.run());
    return all;
  };
  CHECK(emulator::schedules_agree(bytes, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(bytes, 4, met).find("__syncthreads") == std::string::npos);
  CHECK(met >= 1);
}
#endif

}  // namespace pointwise_test
