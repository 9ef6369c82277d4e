#include <flamingo/eval/tasks/predictions.hpp>

#include <catch2/catch.hpp>

#include "made_up.hpp"

namespace predictions_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("ids that are written as integers are integers in JSON", "[eval][tasks]") {
  CHECK(json_id("42") == Json(42));
  CHECK(json_id("-1") == Json(-1));
  for (const char* text : {"042", "", "1.0", "a1", "99999999999999999999", "+1", "-0"})
    CHECK(json_id(text) == Json(text));
}

TEST_CASE("predictions of other items are refused", "[eval][tasks]") {
  const std::vector<TaskItem> items{{.id = "a"}, {.id = "b"}};
  const std::vector<Prediction> good{{"a", "x"}, {"b", "y"}}, swapped{{"b", "x"}, {"a", "y"}};
  CHECK_NOTHROW(check_predictions(items, good));
  CHECK_THROWS_WITH(check_predictions(items, swapped), "[results] prediction 0 is of item b, expected a");
  CHECK_THROWS_WITH(check_predictions(items, std::span(good).first(1)), Catch::Contains("1 predictions of 2 items"));
  CHECK_THROWS_WITH(check_scores_of(good[0], 3), "[results] item a has 0 scores, expected 3");
  const TemporaryFolder folder;
  write_id_text_list(folder.path() / "x.json", "image_id", "caption", good);
  const Json written = parsed(folder.path() / "x.json");
  CHECK(written.as_array()[1].at("caption").as_string() == "y");
}

}  // namespace predictions_test
