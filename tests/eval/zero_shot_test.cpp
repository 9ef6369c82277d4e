#include <flamingo/eval/zero_shot.hpp>

#include <catch2/catch.hpp>
#include <cmath>

namespace zero_shot_test {

using namespace flamingo;

TEST_CASE("a class's name goes into the place of each template", "[zero_shot]") {
  const std::vector<std::string> names{"cat", "dog"}, templates{"A photo of a {}.", "{}"};
  CHECK(prompts(names, templates) == std::vector<std::string>{"A photo of a cat.", "cat", "A photo of a dog.", "dog"});
  for (const char* wrong : {"A photo", "{} and {}"}) {
    const std::vector<std::string> refused{wrong};
    CHECK_THROWS_WITH(prompts(names, refused), Catch::Contains("must have one {}"));
  }
}

TEST_CASE("a class is the mean of its prompts, of length 1, and a picture is the nearest class", "[zero_shot]") {
  const std::vector<double> embeddings{1, 0, 0, 1, /**/ -1, 0, 0, 1};
  const auto classes = class_embeddings<double>(embeddings, 2, 2);
  const double half = std::sqrt(0.5);
  REQUIRE(classes.size() == 4);
  CHECK(classes[0] == Approx(half));
  CHECK(classes[1] == Approx(half));
  CHECK(classes[2] == Approx(-half));
  CHECK(classes[3] == Approx(half));
  const std::vector<double> pictures{1, 0, -1, 0, 0.6, 0.8};
  CHECK(classify<double>(pictures, std::vector{0, 1, 1}, classes, 2).at_1 == Approx(2 / 3.0));
  CHECK(classify<double>(pictures, std::vector{0, 1, 1}, classes, 2).at_5 == Approx(1));
  CHECK(class_embeddings<double>(std::vector<double>{1, 0, -1, 0}, 2, 2) == std::vector<double>{0, 0});
  CHECK_THROWS_WITH(class_embeddings<double>(embeddings, 3, 2), Catch::Contains("expected 3 embeddings of 2"));
}

}  // namespace zero_shot_test
