/// The product of few rows with packed weights against plain loops in double.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cuda/raw/packed_rows.cuh>

#include "kernels/cuda/raw/packed_matrices.hpp"

namespace packed_rows_test {

using namespace flamingo;
using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::same_bits;
using emulator::started;
using emulator::Sum;
using emulator::worst_error;
using test::DevicePacked;

namespace {

template <class R>
std::vector<R> product(const DevicePacked& w, const std::vector<R>& x, int N) {
  DeviceBuffer<R> x_(x), y_(static_cast<std::size_t>(N) * static_cast<std::size_t>(w.O));
  started(packed_rows_forward(x_.data(), w.view(), y_.data(), N, nullptr));
  CHECK((w.intact() && x_.intact() && y_.intact()));
  return y_.host();
}

template <class R>
void check_against_formula(Format format, int N, int D, int O) {
  CAPTURE(N, D, O);
  const DevicePacked w(format, O, D, 21);
  const auto depth = static_cast<std::size_t>(D), out = static_cast<std::size_t>(O);
  const std::vector<R> x = random_values<R>(static_cast<std::size_t>(N) * depth, 5);
  std::vector<Sum> want(static_cast<std::size_t>(N) * out);
  for (std::size_t i = 0; i < want.size(); ++i)
    for (std::size_t k = 0; k < depth; ++k) {
      const double number = static_cast<double>(widen(x[i / out * depth + k]));
      const int o = static_cast<int>(i % out), column = static_cast<int>(k);
      // An offset of a block, and the integers beside it, may be larger than the number that they make.
      want[i].add(number * w.numbers(o, column));
      if (format == Format::q4_1) want[i].terms += 3 * std::abs(number);
    }
  CHECK(worst_error<R>(product(w, x, N), want, D + 2) <= 1);
}

}  // namespace

TEMPLATE_TEST_CASE("the product of few rows with each format agrees with the formula", "[raw][packed]", float, double,
                   __nv_bfloat16) {
  for (const auto& [format, name] : test::all_formats) {
    CAPTURE(name);
    check_against_formula<TestType>(format, 1, 160, 37);  // groups with a shorter one, panels that are not full
    check_against_formula<TestType>(format, 11, 64, 21);  // more than eight rows
    check_against_formula<TestType>(format, 3, 2144, 5);  // each warp more than once
    if (!in_blocks(static_cast<PackedFormat>(format))) {
      check_against_formula<TestType>(format, 8, 53, 37);  // nothing divides anything
      check_against_formula<TestType>(format, 2, 24, 18);
      check_against_formula<TestType>(format, 2, 1, 1);
    }
  }
}

TEST_CASE("many rows of packed weights are taken by 32", "[raw][packed]") {
  for (const Format format : {Format::f16, Format::int8, Format::q8_0, Format::q4_0, Format::q4_1})
    check_against_formula<__nv_bfloat16>(format, 2, 96, 32 * packed_rows_many - 15);
}

TEMPLATE_TEST_CASE("few rows of packed products do not see each other, nor how many they are", "[raw][packed]", float,
                   __nv_bfloat16) {
  constexpr std::size_t D = 160, O = 19;
  for (const Format format : {Format::bf16, Format::int8, Format::q4_1}) {
    const DevicePacked w(format, int(O), int(D), 22);
    const std::vector<TestType> x = random_values<TestType>(13 * D, 9), y = product(w, x, 13);
    for (const int N : {1, 3, 9}) {
      const auto rows = [N](const std::vector<TestType>& v, std::size_t width) {
        const auto first = v.begin() + static_cast<std::ptrdiff_t>(4 * width);
        return std::vector<TestType>(first, first + N * static_cast<std::ptrdiff_t>(width));
      };
      CHECK(same_bits(product(w, rows(x, D), N), rows(y, O)));
    }
  }
}

TEMPLATE_TEST_CASE("several packed matrices of one format at once are each by itself", "[raw][packed]", float,
                   __nv_bfloat16) {
  constexpr int N = 11, D = 64;
  const std::vector<TestType> x = random_values<TestType>(N * D, 9);
  for (const auto& [format, name] : test::all_formats) {
    CAPTURE(name);
    const DevicePacked first(format, 37, D, 1), second(format, 5, D, 2), third(format, 40, D, 3);
    DeviceBuffer<TestType> x_(x), a(std::size_t{N * 37}), b(std::size_t{N * 5}), c(std::size_t{N * 40});
    started(packed_rows_several<TestType>(
        x_.data(),
        {{{first.view(), nullptr, a.data()}, {second.view(), nullptr, b.data()}, {third.view(), nullptr, c.data()}}, 3},
        N, nullptr));
    CHECK(same_bits(a.host(), product(first, x, N)));
    CHECK(same_bits(b.host(), product(second, x, N)));
    CHECK(same_bits(c.host(), product(third, x, N)));
    CHECK((a.intact() && b.intact() && c.intact()));
  }
  const DevicePacked one(Format::q8_0, 5, D, 1), other(Format::q4_0, 5, D, 2);
  DeviceBuffer<TestType> x_(x), y(std::size_t{N * 5});
  const PackedMaps<TestType> mixed{{{one.view(), nullptr, y.data()}, {other.view(), nullptr, y.data()}}, 2};
  CHECK(packed_rows_several<TestType>(x_.data(), mixed, N, nullptr) == cudaErrorInvalidValue);
  CHECK(packed_rows_several<TestType>(x_.data(), PackedMaps<TestType>{}, N, nullptr) == cudaErrorInvalidValue);
}

TEMPLATE_TEST_CASE("a packed product is added onto rows, through a gate or not", "[raw][packed]", float,
                   __nv_bfloat16) {
  using A = raw::Accumulate<TestType>;
  constexpr int N = 11, D = 64, O = 37;  // the second and third group of rows have their own part of what is added to
  const std::vector<TestType> x = random_values<TestType>(N * D, 9), base = random_values<TestType>(N * O, 10);
  const std::vector<A> bias = random_values<A>(O, 11), gate = random_values<A>(O, 12);
  for (const Format format : {Format::bf16, Format::int8, Format::q4_1})
    for (const int gates : {0, 1, O}) {
      const DevicePacked w(format, O, D, 21);
      const std::vector<TestType> alone = product(w, x, N);
      DeviceBuffer<TestType> x_(x), y(base);
      DeviceBuffer<A> bias_(bias), gate_(gate);
      started(packed_rows_onto<TestType>(x_.data(), w.view(), bias_.data(), y.data(), gates ? gate_.data() : nullptr,
                                         gates, y.data(), N, nullptr));
      CHECK(y.intact());
      const auto got = y.host();
      double worst = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        const double open = gates ? std::tanh(static_cast<double>(gate[gates == 1 ? 0 : i % O])) : 1;
        const double want = static_cast<double>(widen(base[i])) +
                            open * (static_cast<double>(widen(alone[i])) + static_cast<double>(bias[i % O]));
        worst = std::max(worst, std::abs(static_cast<double>(widen(got[i])) - want) / (1 + std::abs(want)));
      }
      CHECK(worst < (std::is_same_v<TestType, float> ? 1e-5 : 3e-2));
    }
}

TEST_CASE("packed products may be empty", "[raw][packed]") {
  const DevicePacked w(Format::q8_0, 3, 64, 14), no_outputs(Format::int8, 0, 16, 15), no_depth(Format::f16, 2, 0, 16);
  CHECK(product<float>(w, {}, 0).empty());
  CHECK(product<float>(no_outputs, random_values<float>(32, 1), 2).empty());
  CHECK(product<float>(no_depth, {}, 2) == std::vector<float>(4, 0.0f));
}

#if !defined(__CUDACC__)
TEMPLATE_TEST_CASE("packed products under shuffled schedules and without their barrier", "[raw][packed]", float,
                   __nv_bfloat16) {
  const DevicePacked w(Format::q4_0, 20, 96, 23);
  const std::vector<TestType> x = random_values<TestType>(5 * 96, 4);
  const auto bytes = [&] {
    std::string all;
    emulator::append_bytes(all, product(w, x, 5));
    return all;
  };
  CHECK(emulator::schedules_agree(bytes, 4));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(bytes, 4, met) == "");
  CHECK(met == 1);
}
#endif

}  // namespace packed_rows_test
