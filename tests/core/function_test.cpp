#include <flamingo/core/function.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace function_test {

using flamingo::Function;
using flamingo::FunctionRef;

TEST_CASE("A function is kept with what it holds, and copied with it") {
  std::string greeting = "good day, ";
  Function<std::string(std::string_view)> greet = [greeting](std::string_view name) {
    return greeting + std::string(name);
  };
  greeting.clear();
  CHECK(greet("flamingo") == "good day, flamingo");

  Function<int()> next = [n = 0]() mutable { return ++n; };
  CHECK(next() == 1);
  Function<int()> copy = next;
  CHECK(next() == 2);
  CHECK(copy() == 2);
  copy = std::move(next);
  CHECK(copy() == 3);
  CHECK_FALSE(next);
}

namespace {

int twice(int n) { return 2 * n; }

}  // namespace

TEST_CASE("A function by its name is kept too") {
  const Function<int(int)> by_name = twice, by_address = &twice;
  CHECK(by_name(4) == 8);
  CHECK(by_address(5) == 10);
}

TEST_CASE("References pass through a function unchanged") {
  Function<int&(std::vector<int>&)> first = [](std::vector<int>& numbers) -> int& { return numbers.front(); };
  std::vector<int> numbers{1, 2};
  first(numbers) = 7;
  CHECK(numbers[0] == 7);
  const Function<void(std::vector<int>&&)> taken = [&](std::vector<int>&& given) { numbers = std::move(given); };
  taken({3});
  CHECK(numbers == std::vector{3});
}

TEST_CASE("No function says so") {
  const Function<int(int)> none;
  CHECK_FALSE(none);
  CHECK_THROWS_WITH(none(1), "[function] called, but none was given");
  static_assert(!std::is_constructible_v<Function<int(int)>, Function<std::string(std::string)>>);
  static_assert(!std::is_constructible_v<Function<int(int)>, int>);
}

TEST_CASE("A reference calls what it refers to") {
  int sum = 0;
  const auto add = [&](int n) { sum += n; };
  const FunctionRef<void(int)> reference = add;
  for (int n = 1; n < 4; ++n) reference(n);
  CHECK(sum == 6);
}

}  // namespace function_test
