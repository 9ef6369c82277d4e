#include <flamingo/eval/protocol/gallery.hpp>

#include <catch2/catch.hpp>

#include "made_up_plan.hpp"

namespace gallery_test {

using namespace flamingo;

TEST_CASE("a prompt's pictures stand where its tags do", "[eval][gallery]") {
  const PromptSet set = open_flamingo_prompts();
  const io::Json parts = detail::prompt_parts(set, "<image>Output:a\n<image>Output:", {io::Json("x"), io::Json("y")});
  CHECK(parts.dump() == R"([{"image":"x"},{"text":"Output:a\n"},{"image":"y"},{"text":"Output:"}])");
  CHECK(detail::prompt_parts(set, "no <image>", {}).dump() == R"([{"text":"no <image>"}])");
}

TEST_CASE("right and wrong answers are spread over the items, graded ones the best and the worst", "[eval][gallery]") {
  using Places = std::vector<std::size_t>;
  const TaskScores binary{{100, 100, 0, 100, 100, 0, 100, 100}};
  const auto [right, wrong] = detail::gallery_places(TaskMetric::accuracy, binary, 3);
  CHECK(right == Places{0, 3, 6});
  CHECK(wrong == Places{2, 5});
  const TaskScores graded{{3, 1, 2, 5, 4}};
  CHECK(detail::gallery_places(TaskMetric::keyword_f1, graded, 2) == std::pair{Places{3, 4}, Places{1, 2}});
  CHECK(detail::gallery_places(TaskMetric::nats, graded, 9) == std::pair{Places{1, 2}, Places{3, 4}});
}

TEST_CASE("an example tells choices, the best first, and asks where its words looked", "[eval][gallery]") {
  const tests::TemporaryFolder folder;
  tests::KnowingModel model;
  RunFile file(folder.path() / "run.jsonl", io::Json::Object{});
  Evaluation run;
  run.queries = {{.id = "q", .media = {{"/c1p0.png"}}, .label = 1}};
  run.predictions = {{"q", "", {-1, -3, -2}}};
  file.record(io::Json::Object{
      {"item", "q"}, {"prompts", io::Json::Array{"<image>Output:"}}, {"media", io::Json::Array{"/c1p0.png"}}});
  const std::vector<std::string> candidates{"cat", "dog", "cow"};
  EvaluationData given;
  given.candidates = candidates;
  const io::Json example = gallery_example(model, given, run, file, {0, false, 0, true});
  CHECK(example.at("answer").as_string() == "cat");
  CHECK(example.at("truth").as_string() == "dog");
  CHECK(example.at("choices").as_array()[1].at("text").as_string() == "cow");
  CHECK(example.at("looked").as_array()[0].at("word").as_string() == "cat");
  CHECK(gallery_example(model, given, run, file, {0, false, 0, false}).at("looked").as_array().empty());
  CHECK(model.looked == 1);
}

}  // namespace gallery_test
