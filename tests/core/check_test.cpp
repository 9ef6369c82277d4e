#include <flamingo/core/check.hpp>

#include <array>
#include <catch2/catch.hpp>

using namespace flamingo;

TEST_CASE("an error says where and what", "[check]") {
  CHECK_THROWS_WITH(fail("linear", "x has ", 7, " rows"), "[linear] x has 7 rows");
  CHECK_THROWS_WITH(fail("linear", std::array{5, 7}, ' ', std::array{3}), "[linear] (5, 7) (3)");
  CHECK_THROWS_AS(fail("linear"), Error);
  CHECK_THROWS_WITH(check(false, "linear", "no"), "[linear] no");
}

TEST_CASE("what holds builds no text", "[check]") {
  check(true, "linear", 1);
  CHECK_NOTHROW(check(true, "linear", "yes"));
}
