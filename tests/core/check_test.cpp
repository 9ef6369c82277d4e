#include <flamingo/core/check.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <sstream>

namespace check_test {

using namespace flamingo;

namespace {
struct Named {
  int n;
  friend std::ostream& operator<<(std::ostream& out, const Named& x) { return out << '#' << x.n; }
};
}  // namespace

TEST_CASE("an error says where and what", "[check]") {
  CHECK_THROWS_WITH(fail("linear", "x has ", 7, " rows"), "[linear] x has 7 rows");
  CHECK_THROWS_WITH(fail("linear", std::array{5, 7}, ' ', std::array{3}), "[linear] (5, 7) (3)");
  CHECK_THROWS_AS(fail("linear"), Error);
  CHECK_THROWS_WITH(check(false, "linear", "no"), "[linear] no");
}

TEST_CASE("numbers and texts are written as streams write them", "[check]") {
  const std::string_view view = "v";
  std::ostringstream stream;
  stream << 'c' << "s" << view << std::string("t") << -3 << 7u << true << 0.5f << 1e-9 << 3.0 << 100000000.0;
  std::string text;
  const auto write = [&](const auto&... what) { (detail::write(text, what), ...); };
  write('c', "s", view, std::string("t"), -3, 7u, true, 0.5f, 1e-9, 3.0, 100000000.0);
  CHECK(text == stream.str());
  text.clear();
  write(std::array<std::int64_t, 2>{5, -1}, std::array<int, 0>{});
  CHECK(text == "(5, -1)()");
}

TEST_CASE("other types are written by their own operator", "[check]") {
  CHECK_THROWS_WITH(fail("x", Named{7}), "[x] #7");
}

TEST_CASE("what holds builds no text", "[check]") {
  check(true, "linear", 1);
  CHECK_NOTHROW(check(true, "linear", "yes"));
}

}  // namespace check_test
