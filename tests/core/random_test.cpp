#include <flamingo/core/random.hpp>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace random_test {

using namespace flamingo;

TEST_CASE("Philox 4x32-10 gives the known answers of its authors", "[random]") {
  using Words = std::array<std::uint32_t, 4>;
  static_assert(detail::philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t ones = 0xffffffff;
  static_assert(detail::philox({ones, ones, ones, ones}, {ones, ones}) ==
                Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  static_assert(detail::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
                Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  Random random;
  CHECK(random.bits() == 0x6627e8d5);
  CHECK(random.bits() == 0xe169c58d);
  CHECK(random.bits() == 0xbc57ac4c);
  CHECK(random.bits() == 0x9b00dbd8);
}

TEST_CASE("a stream's numbers depend on seed, stream and place alone", "[random]") {
  Random a(7, 11);
  std::vector<std::uint32_t> drawn;
  for (int i = 0; i < 23; ++i) drawn.push_back(a.bits());
  CHECK(a.index() == 23);
  const Random fresh(7, 11);
  for (int i = 22; i >= 0; --i)
    CHECK(fresh.bits_at(static_cast<std::uint64_t>(i)) == drawn[static_cast<std::size_t>(i)]);
  Random jumped(7, 11, 13);
  CHECK(jumped.bits() == drawn[13]);
  CHECK(Random(8, 11).bits() != drawn[0]);
  CHECK(Random(7, 12).bits() != drawn[0]);
  // Places beyond 2³² and seeds beyond 2³² count.
  CHECK(fresh.bits_at(std::uint64_t{1} << 40) != fresh.bits_at(0));
  CHECK(Random(7 + (std::uint64_t{1} << 40), 11).bits() != drawn[0]);
}

TEST_CASE("draws have the moments of their distributions", "[random]") {
  Random random(3);
  constexpr int n = 100'000;
  // Bounds are five standard errors: they fail once in two million seeds.
  double mean = 0, square = 0;
  for (int i = 0; i < n; ++i) {
    const auto x = static_cast<double>(random.uniform());
    REQUIRE((x >= 0 && x < 1));
    mean += x / n;
  }
  CHECK(std::abs(mean - 0.5) < 5 / std::sqrt(12.0 * n));
  mean = 0;
  for (int i = 0; i < n; ++i) {
    const auto x = static_cast<double>(random.normal());
    REQUIRE(std::isfinite(x));
    mean += x / n;
    square += x * x / n;
  }
  CHECK(std::abs(mean) < 5 / std::sqrt(n));
  CHECK(std::abs(square - 1) < 5 * std::sqrt(2.0 / n));
  std::array<int, 7> counts{};
  for (int i = 0; i < n; ++i) ++counts[static_cast<std::size_t>(random.below(7))];
  for (const int count : counts) CHECK(std::abs(count - n / 7.0) < 5 * std::sqrt(n / 7.0));
  CHECK(random.below(1) == 0);
}

TEST_CASE("normal numbers drawn in parts are those drawn one by one", "[random]") {
  for (const std::uint64_t index : {0u, 1u, 2u, 3u}) {  // where a pair of draws lies in one block, or in two
    Random one(7, 9, index);
    std::vector<float> expected(301);
    for (float& x : expected) x = one.normal();
    const Random stream(7, 9, index);
    std::vector<float> parts(expected.size());
    for (std::size_t from = 0; from < parts.size(); from += 77)
      stream.normals(from, std::span(parts).subspan(from, std::min<std::size_t>(77, parts.size() - from)));
    CHECK(parts == expected);
  }
}

TEST_CASE("names hash as FNV-1a", "[random]") {
  static_assert(hash("") == 0xcbf29ce484222325u);
  static_assert(hash("a") == 0xaf63dc4c8601ec8cu);
  static_assert(hash("foobar") == 0x85944171f73967e8u);
}

}  // namespace random_test
