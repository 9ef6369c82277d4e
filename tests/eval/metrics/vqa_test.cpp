#include <flamingo/eval/metrics/vqa.hpp>

#include <catch2/catch.hpp>

namespace vqa_test {

using namespace flamingo;

TEST_CASE("answers are made alike as the original does", "[eval][vqa]") {
  CHECK(vqa_normalized("The T-shirt, isnt it?") == "t shirt isn't it");
  CHECK(vqa_normalized("t-shirt") == "t shirt");
  CHECK(vqa_normalized("1,000") == "1000");
  CHECK(vqa_normalized("a/b 1,5") == "ab 15");  // a comma between digits: nothing becomes a space
  CHECK(vqa_normalized("3.5 U.S.") == "3.5 us");
  CHECK(vqa_normalized("Two\nCats") == "2 cats");
  CHECK(vqa_normalized("ÉCOLE") == "école");
  CHECK(vqa_normalized("").empty());
  CHECK(vqa_normalized(std::string(40, '.')) == std::string(8, '.'));
}

TEST_CASE("each annotator is left out in turn", "[eval][vqa]") {
  const std::vector<std::string> ten{"red", "Red", "a red", "red.", "blue", "blue", "blue", "green", "x", "y"};
  CHECK(vqa_accuracy("red", ten) == Approx(1));                            // three others even for those who said it
  CHECK(vqa_accuracy("blue", ten) == Approx((7 * 1 + 3 * 2 / 3.0) / 10));  // 0.9
  CHECK(vqa_accuracy("green", ten) == Approx(9 / 30.0));
  CHECK(vqa_accuracy("pink", ten) == 0);
  CHECK(vqa_accuracy("", {"the", "a"}) == Approx(1 / 3.0));
  CHECK_THROWS_WITH(vqa_accuracy("x", {}), Catch::Contains("no answers"));
  CHECK(percent(0.12345) == 12.35);
  CHECK(percent(2 / 3.0) == 66.67);
}

}  // namespace vqa_test
