#include <flamingo/eval/metrics/answers.hpp>

#include <catch2/catch.hpp>

namespace answers_test {

using namespace flamingo;

TEST_CASE("two annotators make an answer of iVQA right", "[eval][answers]") {
  const std::vector<std::string> five{"spoon", "Spoon", "ladle", "a spoon", "pan"};
  CHECK(ivqa_accuracy(" spoon\n", five) == 1);
  CHECK(ivqa_accuracy("ladle", five) == 0.5);
  CHECK(ivqa_accuracy("fork", five) == 0);
  CHECK_THROWS_WITH(ivqa_accuracy("x", {}), Catch::Contains("no answers"));
}

TEST_CASE("an answer is right where it is one of those expected", "[eval][answers]") {
  CHECK(exact_match("Dog ", {"cat", "dog"}) == 1);
  CHECK(exact_match("dogs", {"cat", "dog"}) == 0);
  CHECK_THROWS_WITH(exact_match("x", {}), Catch::Contains("no answers"));
}

}  // namespace answers_test
