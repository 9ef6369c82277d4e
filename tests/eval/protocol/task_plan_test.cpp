#include <flamingo/eval/protocol/task_plan.hpp>

#include <algorithm>
#include <catch2/catch.hpp>

#include "io/files.hpp"

namespace task_plan_test {

using namespace flamingo;
using tests::error_of;

TEST_CASE("a plan's file names tasks, shots, supports, controls and seeds", "[eval][task_plan]") {
  const tests::TemporaryFolder folder;
  const TaskPlan plan = read_task_plan(folder.write("plan.json", R"({"title": "all", "tasks": [
    {"name": "e1", "kind": "classification", "asking": "choose", "items": "e1.jsonl", "support": "s.jsonl",
     "metrics": ["accuracy", "top-5"], "shots": [0, 4], "supports": ["random", "rices"], "seeds": [1, 2],
     "controls": ["blank", "shuffled_labels"], "control_shots": [0, 4], "queries": 100,
     "references": [{"name": "prototype", "score": 39.4}, {"name": "other", "shots": 4, "score": 1}],
     "published": "coco"},
    {"name": "pages", "title": "Pages", "kind": "page", "asking": "likelihood", "items": "p.jsonl",
     "metrics": ["nats a token"], "controls": ["text_only"]}]})"));
  CHECK(plan.title == "all");
  REQUIRE(plan.tasks.size() == 2);
  const PlannedTask& e1 = plan.tasks[0];
  CHECK(e1.title == "e1");
  CHECK(e1.metrics == std::vector{TaskMetric::accuracy, TaskMetric::top_5});
  CHECK(e1.references[0].shots == -1);
  CHECK(e1.references[1].shots == 4);
  std::vector<std::string> runs;
  for (const EvaluationSettings& s : e1.runs(2)) {
    CHECK(s.seed == 2);
    CHECK(s.queries == 100);
    runs.push_back(std::to_string(s.shots) + std::string(name_of(s.support)) + std::string(name_of(s.control)));
  }
  CHECK(runs == std::vector<std::string>{"0randomnone", "4randomnone", "4ricesnone", "0randomblank", "4randomblank",
                                         "4randomshuffled_labels"});
  CHECK(plan.tasks[1].asking == Asking::likelihood);
  CHECK(plan.tasks[1].runs(0)[1].control == Control::text_only);
  CHECK(plan.tasks[1].runs(0)[1].normalise_length);
}

TEST_CASE("what no seed changes is run once", "[eval][task_plan]") {
  PlannedTask task{.name = "a", .items = "a", .support = "b", .metrics = {TaskMetric::accuracy}, .shots = {0, 4}};
  task.supports = {Support::random, Support::rices};
  task.controls = {Control::blank, Control::shuffled, Control::text_only, Control::shuffled_labels};
  task.control_shots = {0, 4};
  task.seeds = {5, 6};
  const auto again = [&] {
    std::string names;
    const std::vector<EvaluationSettings> all = task.runs();
    for (const EvaluationSettings& s : all)
      if (s.seed == 6)
        names +=
            std::to_string(s.shots) + std::string(name_of(s.support)) + " " + std::string(name_of(s.control)) + "\n";
    CHECK(all.size() == task.runs(5).size() + static_cast<std::size_t>(std::count(names.begin(), names.end(), '\n')));
    return names;
  };
  CHECK(
      again() ==
      "4random none\n4random blank\n0random shuffled\n4random shuffled\n4random text_only\n4random shuffled_labels\n");
  task.supports = {Support::rices};
  CHECK(again() == "0rices shuffled\n4rices shuffled\n4rices shuffled_labels\n");
  task.supports = {Support::random};
  task.controls = {};
  task.text_only_shots = 2;  // drawn
  CHECK(again() == "0random none\n4random none\n");
  task.text_only_shots = 0;
  task.queries = 3;  // a subset
  CHECK(again() == "0random none\n4random none\n");
  task.queries = 9, task.ways = 5;
  CHECK(again() == "0random none\n4random none\n");
}

TEST_CASE("a plan that cannot be followed is refused at its place", "[eval][task_plan]") {
  const tests::TemporaryFolder folder;
  const auto error = [&](const std::string& changed) {
    const auto path = folder.write("plan.json", R"({"title": "", "tasks": [{"name": "a", "kind": "caption", "asking":
      "write", "items": "a", "metrics": ["CIDEr-D"])" +
                                                    changed + "}]}");
    return error_of([&] { read_task_plan(path); });
  };
  CHECK(error("").empty());
  CHECK(error(R"(, "shot": [1])").ends_with("plan.tasks[0]: found the member 'shot', which a task does not have"));
  CHECK(error(R"(, "controls": ["red"])")
            .ends_with("controls[0]: found 'red', expected one of none, blank, shuffled, "
                       "text_only, shuffled_labels, single_frame, shuffled_frames"));
  CHECK(error(R"(, "shots": [])").ends_with("expected at least one"));
  CHECK(error(R"(, "ways": 5)").find("episodes are a number of queries") != std::string::npos);
  CHECK(
      error(R"(, "best": 5)").ends_with("best: found 5, expected 0, or 5 or more, of a task whose answers are chosen"));
  const auto twice = folder.write("twice.json", R"({"title": "", "tasks": [
    {"name": "a", "kind": "caption", "asking": "write", "items": "a", "metrics": ["accuracy"]},
    {"name": "a", "kind": "caption", "asking": "write", "items": "a", "metrics": ["accuracy"]}]})");
  CHECK(error_of([&] { read_task_plan(twice); }).ends_with("found a a second time"));
}

}  // namespace task_plan_test
