/// The product of few rows against plain loops in double.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <checking.hpp>
#include <flamingo/kernels/cuda/raw/few_rows.cuh>

namespace few_rows_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::same_bits;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;

namespace {

struct Sizes {
  int N, D, O;
};

template <class R>
struct FewRows {
  int N, D, O;
  std::vector<R> x, w;
  std::vector<Accumulate<R>> bias;
  bool intact = false;

  FewRows(int rows, int in, int out, unsigned seed)
      : N(rows),
        D(in),
        O(out),
        x(random_values<R>(size(N, D), seed)),
        w(random_values<R>(size(O, D), seed + 1)),
        bias(random_values<Accumulate<R>>(size(O, 1), seed + 2)) {}
  static std::size_t size(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

  std::vector<R> run(bool with_bias = true) {
    DeviceBuffer<R> x_(x), w_(w), y_(size(N, O));
    DeviceBuffer<Accumulate<R>> bias_(bias);
    started(few_rows_forward(x_.data(), w_.data(), with_bias ? bias_.data() : nullptr, y_.data(), N, D, O, nullptr));
    intact = x_.intact() && w_.intact() && bias_.intact() && y_.intact();
    return y_.host();
  }
  std::vector<Sum> formula(bool with_bias) const {
    std::vector<Sum> y(size(N, O));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t depth = static_cast<std::size_t>(D), out = static_cast<std::size_t>(O);
      const std::size_t row = i / out, output = i % out;
      if (with_bias) y[i].add(static_cast<double>(bias[output]));
      for (std::size_t k = 0; k < depth; ++k)
        y[i].add(static_cast<double>(widen(x[row * depth + k])) * static_cast<double>(widen(w[output * depth + k])));
    }
    return y;
  }
};

template <class R>
void check_against_formula(int N, int D, int O) {
  FewRows<R> product(N, D, O, 5);
  CAPTURE(N, D, O);
  for (const bool with_bias : {true, false}) {
    CHECK(worst_error<R>(product.run(with_bias), product.formula(with_bias), D + 2) <= 1);
    CHECK(product.intact);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the product of one to eight rows agrees with the formula", "[raw][few_rows]", float, double,
                   __nv_bfloat16) {
  for (int N = 1; N <= few_rows; ++N) check_against_formula<TestType>(N, 264, 21);  // packs, with tails everywhere
  check_against_formula<TestType>(8, 2128, 18);                                     // each warp more than once
  check_against_formula<TestType>(3, 53, 37);                                       // nothing divides a pack
  check_against_formula<TestType>(8, 53, 5);
  if (std::is_same_v<TestType, __nv_bfloat16>)
    check_against_formula<TestType>(2, 40, 4112);  // more blocks than few_rows_blocks
  check_against_formula<TestType>(2, 1, 1);
}

namespace {

/// What follows a product, against the formula's sums, which are exact to double.
template <class R>
struct Followed {
  using A = Accumulate<R>;
  FewRows<R> product;
  std::vector<R> base, up;
  std::vector<A> gate;

  Followed(int N, int D, int O)
      : product(N, D, O, 17),
        base(random_values<R>(product.bias.size() * static_cast<std::size_t>(N), 31)),
        up(random_values<R>(product.w.size(), 32)),
        gate(random_values<A>(product.bias.size(), 33)) {}

  /// Calls start(x, w, bias, up, gate, y), y filled with base before; what y is then.
  template <class Start>
  std::vector<R> run(const Start& start) {
    DeviceBuffer<R> x(product.x), w(product.w), up_(up), y(base);
    DeviceBuffer<A> bias(product.bias), gate_(gate);
    started(start(x.data(), w.data(), bias.data(), up_.data(), gate_.data(), y.data()));
    CHECK((x.intact() && w.intact() && up_.intact() && y.intact() && bias.intact() && gate_.intact()));
    return y.host();
  }
  /// Holds y against want(i, output, sum of the product).
  template <class Want>
  void check(const std::vector<R>& y, bool with_bias, const Want& want) const {
    const std::vector<Sum> sums = product.formula(with_bias);
    double worst = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double right = want(i, i % product.bias.size(), sums[i].value);
      worst = std::max(worst, std::abs(static_cast<double>(widen(y[i])) - right) / (1 + std::abs(right)));
    }
    CHECK(worst < (std::is_same_v<R, __nv_bfloat16> ? 8e-3 : std::is_same_v<R, float> ? 2e-5 : 1e-13));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a product of few rows is added onto rows, through a gate or not", "[raw][few_rows]", float, double,
                   __nv_bfloat16) {
  for (const auto& [N, D, O] : {Sizes{1, 264, 21}, Sizes{8, 53, 18}, Sizes{3, 72, 40}}) {
    Followed<TestType> f(N, D, O);
    const auto base = [&](std::size_t i) { return static_cast<double>(widen(f.base[i])); };
    for (const int gates : {0, 1, O})
      for (const bool with_bias : {false, true}) {
        const auto y = f.run([&](auto* x, auto* w, auto* bias, auto*, auto* gate, auto* to) {
          return few_rows_onto(x, w, with_bias ? bias : nullptr, to, gates ? gate : nullptr, gates, to, N, D, O,
                               nullptr);
        });
        f.check(y, with_bias, [&](std::size_t i, std::size_t output, double sum) {
          const double open = gates ? std::tanh(static_cast<double>(f.gate[gates == 1 ? 0 : output])) : 1;
          return base(i) + open * sum;
        });
      }
    const std::vector<TestType> other(f.base.rbegin(), f.base.rend());  // which lies elsewhere than y
    DeviceBuffer<TestType> other_(other);
    const auto y = f.run([&](auto* x, auto* w, auto*, auto*, auto*, auto* to) {
      return few_rows_onto<TestType>(x, w, nullptr, other_.data(), nullptr, 1, to, N, D, O, nullptr);
    });
    f.check(y, false,
            [&](std::size_t i, std::size_t, double sum) { return static_cast<double>(widen(other[i])) + sum; });
    CHECK(other_.intact());
  }
}

TEMPLATE_TEST_CASE("several products of few rows at once are each by itself", "[raw][few_rows]", float, __nv_bfloat16) {
  constexpr int N = 5, D = 72;
  FewRows<TestType> first(N, D, 21, 9), second(N, D, 3, 9), third(N, D, 40, 9);
  second.x = third.x = first.x;
  const std::vector<TestType> want[] = {first.run(true), second.run(false), third.run(true)};
  using A = Accumulate<TestType>;
  DeviceBuffer<TestType> x(first.x), w1(first.w), w2(second.w), w3(third.w), a(want[0].size()), b(want[1].size()),
      c(want[2].size());
  DeviceBuffer<A> bias1(first.bias), bias3(third.bias);
  const RowMaps<1, TestType> maps{{{{w1.data()}, bias1.data(), a.data(), 21},
                                   {{w2.data()}, nullptr, b.data(), 3},
                                   {{w3.data()}, bias3.data(), c.data(), 40}},
                                  3};
  started(few_rows_several<TestType>(x.data(), maps, N, D, nullptr));
  CHECK(same_bits(a.host(), want[0]));
  CHECK(same_bits(b.host(), want[1]));
  CHECK(same_bits(c.host(), want[2]));
  CHECK((a.intact() && b.intact() && c.intact()));
  CHECK(few_rows_several<TestType>(x.data(), {{}, 4}, N, D, nullptr) == cudaErrorInvalidValue);
}

TEMPLATE_TEST_CASE("non-linearities of products of few rows", "[raw][few_rows]", float, double, __nv_bfloat16) {
  for (const auto& [N, D, O] : {Sizes{1, 264, 21}, Sizes{8, 53, 18}, Sizes{2, 40, 2072}}) {
    Followed<TestType> f(N, D, O);
    const auto squared = f.run([&](auto* x, auto* w, auto* bias, auto*, auto*, auto* y) {
      return few_rows_activate<SquaredRelu>(x, w, bias, y, N, D, O, nullptr);
    });
    f.check(squared, true, [](std::size_t, std::size_t, double sum) { return sum > 0 ? sum * sum : 0; });

    const auto gated = f.run([&](auto* x, auto* w, auto*, auto* up, auto*, auto* y) {
      return few_rows_gate_activate<Silu>(x, w, up, y, N, D, O, nullptr);
    });
    FewRows<TestType> other = f.product;
    other.w = f.up;
    const auto ups = other.formula(false);
    f.check(gated, false,
            [&](std::size_t i, std::size_t, double sum) { return sum / (1 + std::exp(-sum)) * ups[i].value; });
  }
}

TEMPLATE_TEST_CASE("few rows do not see each other, nor how many they are", "[raw][few_rows]", float, __nv_bfloat16) {
  constexpr std::size_t D = 168, O = 19;
  FewRows<TestType> all(8, D, O, 9);
  const std::vector<TestType> y = all.run();
  for (const int N : {1, 2, 3, 5}) {
    FewRows<TestType> some(N, D, O, 9);
    some.w = all.w;
    some.bias = all.bias;
    const auto row = [](const std::vector<TestType>& v, std::size_t at, std::size_t rows, std::size_t width) {
      const auto first = v.begin() + static_cast<std::ptrdiff_t>(at * width);
      return std::vector<TestType>(first, first + static_cast<std::ptrdiff_t>(rows * width));
    };
    some.x = row(all.x, 3, static_cast<std::size_t>(N), D);
    CHECK(same_bits(some.run(), row(y, 3, static_cast<std::size_t>(N), O)));
  }
}

TEST_CASE("a bias may be of the rows' type or of their sums'", "[raw][few_rows]") {
  FewRows<__nv_bfloat16> product(3, 72, 20, 4);
  std::vector<__nv_bfloat16> rounded;
  for (float& b : product.bias) {
    rounded.push_back(narrow<__nv_bfloat16>(b));
    b = widen(rounded.back());
  }
  DeviceBuffer<__nv_bfloat16> x(product.x), w(product.w), bias(rounded), y(std::size_t{3 * 20});
  started(few_rows_forward(x.data(), w.data(), bias.data(), y.data(), 3, 72, 20, nullptr));
  CHECK(same_bits(y.host(), product.run()));
  started(few_rows_forward(x.data(), w.data(), nullptr, y.data(), 3, 72, 20, nullptr));
  CHECK(same_bits(y.host(), product.run(false)));
}

TEST_CASE("few rows may be none, and no more than eight", "[raw][few_rows]") {
  FewRows<float> none(0, 12, 5, 1), no_outputs(3, 12, 0, 1), nine(9, 12, 5, 1), no_depth(2, 0, 5, 1);
  CHECK(none.run().empty());
  CHECK(no_outputs.run().empty());
  CHECK(no_depth.run(false) == std::vector<float>(10, 0.0f));
  CHECK_THROWS(nine.run());
}

#if !defined(__CUDACC__)
TEMPLATE_TEST_CASE("few rows under shuffled schedules and without their barrier", "[raw][few_rows]", float,
                   __nv_bfloat16) {
  FewRows<TestType> product(5, 72, 20, 4);
  const auto bytes = [&] {
    std::string all;
    emulator::append_bytes(all, product.run());
    return all;
  };
  CHECK(emulator::schedules_agree(bytes, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(bytes, 4, met) == "");
  CHECK(met == 1);
}

#if !defined(EMULATOR_ASAN)  // which ends the program instead
TEST_CASE("a launch of few rows with a size off by one is caught", "[raw][few_rows]") {
  FewRows<__nv_bfloat16> product(5, 53, 20, 4);
  const auto right = product.run();
  const auto launched = [&](int N, int D, int O, bool& intact) {
    DeviceBuffer<__nv_bfloat16> x(product.x), w(product.w), y(std::size_t{5 * 20});
    DeviceBuffer<float> bias(product.bias);
    static_cast<void>(few_rows_forward(x.data(), w.data(), bias.data(), y.data(), N, D, O, nullptr));
    intact = y.intact();
    return y.host();
  };
  bool intact = false;
  CHECK(same_bits(launched(5, 53, 20, intact), right));
  CHECK(intact);
  CHECK_FALSE(same_bits(launched(4, 53, 20, intact), right));
  CHECK_FALSE(same_bits(launched(5, 52, 20, intact), right));
  static_cast<void>(launched(5, 53, 21, intact));
  CHECK_FALSE(intact);
}
#endif
#endif

}  // namespace few_rows_test
