#include <flamingo/core/real.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <type_traits>

namespace real_test {

using namespace flamingo;

namespace {

/// All 2¹⁶ numbers of a storage type: back and forth, in order, and rounding at and beside each midpoint.
template <class T>
void check_all(std::uint32_t infinity) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    T t;
    t.bits = static_cast<std::uint16_t>(bits);
    const auto value = static_cast<float>(t);
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude > infinity) {
      REQUIRE(std::isnan(value));
      REQUIRE(std::isnan(static_cast<float>(T(value))));
      continue;
    }
    REQUIRE(T(value).bits == bits);
    REQUIRE(std::signbit(value) == (bits >> 15 != 0));
    if (magnitude >= infinity) {
      REQUIRE(std::isinf(value));
      continue;
    }
    T next;
    next.bits = static_cast<std::uint16_t>(bits + 1);
    auto above = static_cast<double>(static_cast<float>(next));
    // The number after the largest would be as far away as the one before.
    if (magnitude + 1 == infinity) {
      T before;
      before.bits = static_cast<std::uint16_t>(bits - 1);
      above = 2 * static_cast<double>(value) - static_cast<double>(static_cast<float>(before));
      if (std::abs(above) > static_cast<double>(std::numeric_limits<float>::max())) continue;
    }
    REQUIRE(std::abs(above) > std::abs(static_cast<double>(value)));
    const auto middle = static_cast<float>((static_cast<double>(value) + above) / 2);
    REQUIRE(T(middle).bits == (bits & 1u ? bits + 1 : bits));  // ties to even
    REQUIRE(T(std::nextafter(middle, 0.0f)).bits == bits);
    REQUIRE(T(std::nextafter(middle, std::copysign(std::numeric_limits<float>::infinity(), middle))).bits == bits + 1);
  }
}

}  // namespace

TEST_CASE("every bfloat16 survives float, and float rounds to the nearest", "[real]") { check_all<bfloat16>(0x7f80); }
TEST_CASE("every half survives float, and float rounds to the nearest", "[real]") { check_all<half>(0x7c00); }

TEST_CASE("halves know their limits", "[real]") {
  CHECK(static_cast<float>(half(65504.0f)) == 65504.0f);
  CHECK(half(65519.0f).bits == 0x7bff);
  CHECK(half(65520.0f).bits == 0x7c00);
  CHECK(half(1e30f).bits == 0x7c00);
  CHECK(half(-std::numeric_limits<float>::infinity()).bits == 0xfc00);
  CHECK(half(0x1p-24f).bits == 1);
  CHECK(half(0x1p-25f).bits == 0);
  CHECK(half(-0.0f).bits == 0x8000);
  CHECK(half(1e-40f).bits == 0);
  CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
}

TEST_CASE("sums are kept in double for double, else in float", "[real]") {
  static_assert(std::is_same_v<Accumulate<double>, double>);
  static_assert(std::is_same_v<Accumulate<float>, float>);
  static_assert(std::is_same_v<Accumulate<bfloat16>, float>);
  static_assert(Real<half> && !Real<int>);
  static_assert(!std::is_convertible_v<bfloat16, float> && !std::is_convertible_v<float, half>);
  SUCCEED();
}

}  // namespace real_test
