#include <flamingo/core/few_bits.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include <flamingo/core/random.hpp>

namespace few_bits_test {

using namespace flamingo;

namespace {

/// The mean of numbers that follow 0.999 x + 0.001 target for so many steps from 1 on, each held by hold(x, draw).
template <class Hold>
double followed(double target, int steps, const Hold& hold) {
  constexpr std::uint32_t numbers = 4096;
  std::vector<float> x(numbers, 1);
  for (int step = 0; step < steps; ++step)
    for (std::uint32_t i = 0; i < numbers; ++i)
      x[i] = hold(0.999f * x[i] + 0.001f * static_cast<float>(target),
                  rounding_bits(static_cast<std::uint32_t>(step) * 7919, i) & 0xffffu);
  double sum = 0;
  for (const float number : x) sum += static_cast<double>(number);
  return sum / numbers;
}

float held_in_half(float x, std::uint32_t draw) { return static_cast<float>(rounded(x, draw)); }
/// In a block whose largest number is 3.
float held_in_byte(float x, std::uint32_t draw) {
  using Block = BlockOf16<false>;
  const std::uint8_t exponent = Block::exponent_of(magnitude_bits(3));
  return Block::decode(Block::encode(x, exponent, draw), exponent);
}

template <bool Signed>
void check_bytes() {
  using Block = BlockOf16<Signed>;
  for (int exponent = 0; exponent < 255; ++exponent)
    for (int byte = 0; byte < 256; ++byte) {
      const auto e = static_cast<std::uint8_t>(exponent), b = static_cast<std::uint8_t>(byte);
      const float x = Block::decode(b, e);
      if (!std::isfinite(x)) FAIL(byte << " with exponent " << exponent << " is " << x);
      // Exactly a number of the grid: whatever the draw, it stays.
      for (const std::uint32_t draw : {0u, to_nearest, 0xffffu})
        if (Block::decode(Block::encode(x, e, draw), e) != x)
          FAIL(x << " becomes " << Block::decode(Block::encode(x, e, draw), e) << " with exponent " << exponent);
      if (static_cast<float>(bfloat16(x)) != x) FAIL(x << " is no number of bfloat16");
    }
}

}  // namespace

TEST_CASE("every number that a byte tells is found again", "[few_bits]") {
  check_bytes<true>();
  check_bytes<false>();
}

TEST_CASE("a block's exponent holds its largest number, and what is 2^15 or 2^31 times smaller", "[few_bits]") {
  Random random(3);
  for (int i = 0; i < 20000; ++i) {
    const float largest = std::ldexp(1 + random.uniform(), random.below(200) - 80);
    const auto exponent = BlockOf16<true>::exponent_of(magnitude_bits(largest));
    for (const std::uint32_t draw : {0u, 0xffffu}) {
      for (const float x : {largest, -largest, std::ldexp(largest, -13)}) {
        const float held = BlockOf16<true>::decode(BlockOf16<true>::encode(x, exponent, draw), exponent);
        if (std::abs(held - x) > 0.125f * std::abs(x)) FAIL(x << " is held as " << held);
      }
      for (const float x : {largest, std::ldexp(largest, -29)}) {
        const float held = BlockOf16<false>::decode(BlockOf16<false>::encode(x, exponent, draw), exponent);
        if (std::abs(held - x) > 0.125f * x) FAIL(x << " is held as " << held);
      }
    }
  }
}

TEST_CASE("of a second moment nothing but zero becomes zero", "[few_bits]") {
  using Block = BlockOf16<false>;
  for (const int binade : {0, 20}) {
    const float largest = std::ldexp(1.0f, -binade);
    const std::uint8_t exponent = Block::exponent_of(magnitude_bits(largest));
    for (const float share : {1e-8f, 1e-12f, 1e-30f}) {
      INFO(largest << " with " << share * largest);
      CHECK(Block::decode(Block::encode(share * largest, exponent, 0), exponent) > 0);
    }
    CHECK(Block::decode(Block::encode(0, exponent, 0xffff), exponent) == 0);
  }
  // A first moment goes to zero; it divides nothing.
  CHECK(BlockOf16<true>::encode(1e-6f, BlockOf16<true>::exponent_of(magnitude_bits(1)), 0) == 0);
}

TEST_CASE("rounded at random, a slow mean arrives where to nearest it would stand still", "[few_bits]") {
  for (const double target : {0.5, 2.5}) {
    const int steps = 3000;
    const double exact = target + (1 - target) * std::pow(0.999, steps);
    for (const auto hold : {held_in_half, held_in_byte}) {
      CHECK(followed(target, steps, hold) == Approx(exact).epsilon(0.01));
      CHECK(followed(target, steps, [&](float x, std::uint32_t) { return hold(x, to_nearest); }) == 1);
    }
  }
}

TEST_CASE("random bits are even, and others for another key or place", "[few_bits]") {
  double low = 0, high = 0, equal = 0;
  constexpr std::uint32_t count = 1 << 16;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t bits = rounding_bits(5, i);
    low += (bits & 0xffffu) / 65536.0;
    high += (bits >> 16) / 65536.0;
    equal += bits == rounding_bits(6, i);
  }
  // Five deviations of a mean of so many even numbers.
  CHECK(std::abs(low / count - 0.5) < 5 * std::sqrt(1.0 / 12 / count));
  CHECK(std::abs(high / count - 0.5) < 5 * std::sqrt(1.0 / 12 / count));
  CHECK(equal == 0);
}

}  // namespace few_bits_test
