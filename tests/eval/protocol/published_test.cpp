#include <flamingo/eval/protocol/published.hpp>

#include <catch2/catch.hpp>

namespace published_test {

using namespace flamingo;

TEST_CASE("published scores are found, and lacks are told", "[eval][published]") {
  CHECK(published(flamingo_rows, "Flamingo-80B", 32, "coco") == 113.8);
  CHECK(published(flamingo_rows, "Flamingo-3B", 0, "rareact") == 58.4);
  CHECK(published(flamingo_rows, "Flamingo-9B", 32, "visdial") == not_published);
  CHECK(published(open_flamingo_rows, "OpenFlamingo-9B", 4, "vqav2") == 54.8);
  CHECK(published(open_flamingo_rows, "OpenFlamingo-9B", 4, "star") == not_published);
  CHECK(published(flamingo_rows, "Flamingo-9B", 5, "coco") == not_published);
}

TEST_CASE("the aggregate rises with shots and size, as the paper's figure shows", "[eval][published]") {
  for (std::size_t model = 0; model < 3; ++model)
    for (std::size_t shots = 0; shots + 1 < 4; ++shots)
      CHECK(aggregate(flamingo_rows[5 * model + shots]) < aggregate(flamingo_rows[5 * model + shots + 1]));
  for (std::size_t shots = 0; shots < 5; ++shots) {
    CHECK(aggregate(flamingo_rows[shots]) < aggregate(flamingo_rows[5 + shots]));
    CHECK(aggregate(flamingo_rows[5 + shots]) < aggregate(flamingo_rows[10 + shots]));
  }
  // Six benchmarks where 32 shots of the largest model pass what was fine-tuned.
  int passed = 0;
  for (std::size_t t = 0; t < published_tasks.size(); ++t)
    passed +=
        fine_tuned_state_of_the_art[t] != not_published && flamingo_rows[14].scores[t] > fine_tuned_state_of_the_art[t];
  CHECK(passed == 6);
  const std::pair<std::string_view, double> own[] = {
      {"coco", 143.3 / 2}, {"okvqa", 54.4}, {"rareact", 60}, {"mine", 3}};
  CHECK(aggregate(own) == Approx(0.75));
  CHECK_THROWS_WITH(aggregate(std::span(own).subspan(2)), Catch::Contains("no task has both"));
}

}  // namespace published_test
