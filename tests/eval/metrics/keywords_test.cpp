#include <flamingo/eval/metrics/keywords.hpp>

#include <catch2/catch.hpp>

namespace keywords_test {

using namespace flamingo;

TEST_CASE("keywords are what is left without articles", "[eval][keywords]") {
  CHECK(keywords("The Red-dog, of a dog on 2 hills.") == std::set<std::string>{"red", "dog", "2", "hills"});
  CHECK(keywords("of the").empty());
  CHECK(keyword_f1("a red dog", std::string_view("the dog")) == Approx(2.0 / 3));
  CHECK(keyword_f1("cat", std::string_view("dog")) == 0);
  CHECK(keyword_f1("the", std::string_view("")) == 1);
  CHECK(keyword_f1("a red dog", std::vector<std::string>{"cat", "red dog"}) == 1);
  CHECK_THROWS_WITH(keyword_f1("a", std::vector<std::string>{}),
                    "[keyword_f1] an item has no answers, expected at least one");
}

}  // namespace keywords_test
