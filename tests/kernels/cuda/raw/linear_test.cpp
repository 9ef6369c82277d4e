/// The dense product and its derivatives against plain loops in double.
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <checking.hpp>
#include <flamingo/kernels/cuda/raw/linear.cuh>

namespace linear_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::same_bits;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;

namespace {

template <class R>
struct Linear {
  using A = Accumulate<R>;
  int N, I, O;
  std::vector<R> x, w, bias, dy;
  std::vector<A> dw;  // what lies there before
  std::vector<R> y, dx;
  std::vector<A> new_dw;
  bool intact = false;

  Linear(int rows, int in, int out, unsigned seed)
      : N(rows),
        I(in),
        O(out),
        x(random_values<R>(size(N, I), seed)),
        w(random_values<R>(size(O, I), seed + 1)),
        bias(random_values<R>(size(O, 1), seed + 2)),
        dy(random_values<R>(size(N, O), seed + 3)),
        dw(random_values<A>(size(O, I), seed + 4)) {}
  static std::size_t size(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

  void run() {
    DeviceBuffer<R> x_(x), w_(w), bias_(bias), dy_(dy), y_(size(N, O)), dx_(size(N, I));
    DeviceBuffer<A> dw_(dw);
    started(linear_forward(x_.data(), w_.data(), bias_.data(), y_.data(), N, I, O, nullptr));
    started(linear_backward_input(dy_.data(), w_.data(), dx_.data(), N, I, O, nullptr));
    started(linear_backward_weight(dy_.data(), x_.data(), dw_.data(), N, I, O, nullptr));
    y = y_.host();
    dx = dx_.host();
    new_dw = dw_.host();
    intact =
        x_.intact() && w_.intact() && bias_.intact() && dy_.intact() && y_.intact() && dx_.intact() && dw_.intact();
  }

  std::string bytes() {
    run();
    std::string all;
    emulator::append_bytes(all, y);
    emulator::append_bytes(all, dx);
    emulator::append_bytes(all, new_dw);
    return all;
  }
};

template <class R>
void check_against_reference(int N, int I, int O) {
  Linear<R> linear(N, I, O, 3);
  linear.run();
  const auto n = static_cast<std::size_t>(N), in = static_cast<std::size_t>(I), out = static_cast<std::size_t>(O);
  const auto at = [](const std::vector<R>& v, std::size_t i) { return static_cast<double>(widen(v[i])); };
  std::vector<Sum> y(n * out), dx(n * in), dw(out * in);
  for (std::size_t i = 0; i < out * in; ++i) dw[i].add(linear.dw[i]);
  for (std::size_t row = 0; row < n; ++row)
    for (std::size_t o = 0; o < out; ++o) {
      y[row * out + o].add(at(linear.bias, o));
      for (std::size_t i = 0; i < in; ++i) {
        y[row * out + o].add(at(linear.x, row * in + i) * at(linear.w, o * in + i));
        dx[row * in + i].add(at(linear.dy, row * out + o) * at(linear.w, o * in + i));
        dw[o * in + i].add(at(linear.dy, row * out + o) * at(linear.x, row * in + i));
      }
    }
  CAPTURE(N, I, O);
  CHECK(linear.intact);
  CHECK(worst_error<R>(linear.y, y, I + 2) <= 1);
  CHECK(worst_error<R>(linear.dx, dx, O + 2) <= 1);
  CHECK(worst_error<R>(linear.new_dw, dw, N + 2) <= 1);
}

}  // namespace

TEST_CASE("the product and its derivatives agree with the formulas", "[raw][linear]") {
  check_against_reference<float>(37, 53, 71);   // nothing divides a tile, nothing is aligned
  check_against_reference<float>(67, 64, 132);  // moved 16 bytes at a time, with tails
  check_against_reference<double>(37, 34, 66);  // likewise
  check_against_reference<double>(5, 17, 3);
  check_against_reference<__nv_bfloat16>(37, 53, 71);
  check_against_reference<__nv_bfloat16>(67, 72, 136);
  check_against_reference<float>(2, 1, 1);
}

TEST_CASE("small integers multiply exactly", "[raw][linear]") {
  Linear<__nv_bfloat16> linear(19, 41, 23, 1);
  for (std::size_t i = 0; i < linear.x.size(); ++i) linear.x[i] = narrow<__nv_bfloat16>(static_cast<float>(i % 5) - 2);
  for (std::size_t i = 0; i < linear.w.size(); ++i) linear.w[i] = narrow<__nv_bfloat16>(static_cast<float>(i % 3) - 1);
  for (auto& b : linear.bias) b = narrow<__nv_bfloat16>(3.0f);
  linear.run();
  for (std::size_t row = 0; row < 19; ++row)
    for (std::size_t o = 0; o < 23; ++o) {
      float sum = 3;
      for (std::size_t i = 0; i < 41; ++i) sum += widen(linear.x[row * 41 + i]) * widen(linear.w[o * 41 + i]);
      REQUIRE(std::abs(sum) <= 256);  // so that bf16 holds it
      CHECK(widen(linear.y[row * 23 + o]) == sum);
    }
}

TEST_CASE("gradients of the product are the slopes of its output", "[raw][linear]") {
  Linear<double> linear(3, 5, 2, 8);
  linear.run();
  const auto dx = linear.dx, dw = linear.new_dw;
  const auto slope = [&](double& value) {  // the loss is linear in each: any step is exact but for rounding
    const double at = value;
    double sides[2];
    for (const int side : {0, 1}) {
      value = at + (side ? 0.5 : -0.5);
      linear.run();
      sides[side] = 0;
      for (std::size_t i = 0; i < linear.y.size(); ++i) sides[side] += linear.y[i] * linear.dy[i];
    }
    value = at;
    return sides[1] - sides[0];
  };
  for (std::size_t i = 0; i < dx.size(); ++i) CHECK(slope(linear.x[i]) == Approx(dx[i]).epsilon(1e-12).margin(1e-12));
  for (std::size_t i = 0; i < dw.size(); ++i)
    CHECK(slope(linear.w[i]) == Approx(dw[i] - linear.dw[i]).epsilon(1e-12).margin(1e-12));
}

TEMPLATE_TEST_CASE("a row of the product does not see the others", "[raw][linear]", float, __nv_bfloat16) {
  constexpr std::size_t I = 40, O = 23;
  Linear<TestType> all(131, I, O, 6), one(1, I, O, 6);
  all.run();
  const auto row_of = [](const std::vector<TestType>& v, std::size_t row, std::size_t width) {
    const auto first = v.begin() + static_cast<std::ptrdiff_t>(row * width);
    return std::vector<TestType>(first, first + static_cast<std::ptrdiff_t>(width));
  };
  one.w = all.w;
  one.bias = all.bias;
  for (const std::size_t row : {0u, 63u, 64u, 130u}) {
    one.x = row_of(all.x, row, I);
    one.dy = row_of(all.dy, row, O);
    one.run();
    CHECK(same_bits(one.y, row_of(all.y, row, O)));
    CHECK(same_bits(one.dx, row_of(all.dx, row, I)));
  }
}

TEST_CASE("the bias of the product may be null, and empty sizes are fine", "[raw][linear]") {
  Linear<float> linear(7, 11, 13, 2);
  DeviceBuffer<float> x(linear.x), w(linear.w), dy(linear.dy), y(std::size_t{7 * 13}), dw(linear.dw);
  float* const none = nullptr;
  started(linear_forward(x.data(), w.data(), none, y.data(), 7, 11, 13, nullptr));
  started(linear_backward_weight(dy.data(), x.data(), dw.data(), 0, 11, 13, nullptr));
  linear.bias.assign(13, 0.0f);
  const auto dw_before = linear.dw;
  linear.run();
  CHECK(same_bits(y.host(), linear.y));
  CHECK(same_bits(dw.host(), dw_before));
  started(linear_forward(x.data(), w.data(), none, y.data(), 7, 0, 13, nullptr));
  CHECK(same_bits(y.host(), std::vector<float>(7 * 13, 0.0f)));
}

#if !defined(__CUDACC__)
TEMPLATE_TEST_CASE("the product under shuffled schedules and without its barriers", "[raw][linear]", float,
                   __nv_bfloat16) {
  Linear<TestType> linear(37, 72, 40, 4);
  CHECK(emulator::schedules_agree([&] { return linear.bytes(); }, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers([&] { return linear.bytes(); }, 4, met) == "");
  CHECK(met == 3);  // wait, and two barriers
}

#if !defined(EMULATOR_ASAN)  // which ends the program instead
TEST_CASE("a launch with a size off by one is caught", "[raw][linear]") {
  Linear<float> linear(37, 53, 71, 4);
  linear.run();
  const auto launched = [&](int N, int I, int O, bool& intact) {
    DeviceBuffer<float> x(linear.x), w(linear.w), bias(linear.bias), y(std::size_t{37 * 71});
    static_cast<void>(linear_forward(x.data(), w.data(), bias.data(), y.data(), N, I, O, nullptr));
    intact = y.intact();
    return y.host();
  };
  bool intact = false;
  CHECK(same_bits(launched(37, 53, 71, intact), linear.y));
  CHECK(intact);
  CHECK_FALSE(same_bits(launched(36, 53, 71, intact), linear.y));
  CHECK_FALSE(same_bits(launched(37, 52, 71, intact), linear.y));
  static_cast<void>(launched(38, 53, 71, intact));
  CHECK_FALSE(intact);
}
#endif
#endif

}  // namespace linear_test
