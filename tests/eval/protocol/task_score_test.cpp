#include <flamingo/eval/protocol/task_score.hpp>

#include <catch2/catch.hpp>

#include "io/files.hpp"

namespace task_score_test {

using namespace flamingo;
using tests::error_of;

TEST_CASE("a metric's name scores each item", "[eval][task_score]") {
  const std::vector<TaskItem> items{{.id = "0", .answers = {"a dog"}, .label = 0},
                                    {.id = "1", .answers = {"a red cat", "cat"}, .label = 1},
                                    {.id = "2", .answers = {"a dog"}, .label = 0}};
  const std::vector<Prediction> closed{{"0", "", {-1, -2, -3}}, {"1", "", {-1, -2, -3}}, {"2", "", {-5, -6, -7}}},
      open{{"0", "A dog", {}}, {"1", "the cat", {}}, {"2", "dogs", {}}};
  using Numbers = std::vector<double>;
  CHECK(task_scores(TaskMetric::accuracy, items, closed).items == Numbers{100, 0, 100});
  CHECK(task_scores(TaskMetric::accuracy, items, open).items == Numbers{100, 0, 0});
  CHECK(task_scores(TaskMetric::top_5, items, closed).items == Numbers{100, 100, 100});
  CHECK(task_scores(TaskMetric::keyword_f1, items, open).items == Numbers{100, 100, 0});
  CHECK(task_scores(TaskMetric::cider, items, open).items.size() == 3);
  CHECK(task_scores(TaskMetric::cider, items, open).items[0] > 100);
  CHECK(task_scores(TaskMetric::nats, std::span(items).first(1), std::vector<Prediction>{{"0", "", {-1.5}}}).items ==
        Numbers{1.5});
  CHECK(error_of([&] { task_scores(TaskMetric::nats, items, closed); }).find("nats are of one text") !=
        std::string::npos);
  CHECK(error_of([&] { task_scores(TaskMetric::top_5, items, open); }).find("top-5 needs them") != std::string::npos);
}

TEST_CASE("balanced accuracy is the mean over classes, and so is its interval", "[eval][task_score]") {
  std::vector<TaskItem> items;
  std::vector<Prediction> predictions;
  for (int i = 0; i < 20; ++i) {  // always the first class: right 18 times of 20
    items.push_back({.id = std::to_string(i), .label = i < 18 ? 0 : 1});
    predictions.push_back({std::to_string(i), "", {0, -1}});
  }
  const TaskScores plain = task_scores(TaskMetric::accuracy, items, predictions),
                   balanced = task_scores(TaskMetric::balanced_accuracy, items, predictions);
  CHECK(plain.interval().mean == Approx(90));
  const Interval interval = balanced.interval();
  CHECK(interval.mean == Approx(50));
  CHECK(interval.low == Approx(50));
  CHECK(interval.high == Approx(100));  // of draws without the other class
  TaskScores twice = plain;
  twice.add(plain);
  CHECK(twice.interval().mean == Approx(90));
  CHECK(twice.interval().low == plain.interval().low);  // the same items tell no more when they are asked again
  CHECK(twice.interval().high == plain.interval().high);
  TaskScores others = plain;
  for (std::string& id : others.ids) id += " of others";
  others.add(plain);
  CHECK(others.interval().mean == Approx(90));
  CHECK(others.interval().high - others.interval().low < plain.interval().high - plain.interval().low);
}

TEST_CASE("an item is drawn with all of its scores", "[eval][task_score]") {
  const TaskScores scores{{0, 100, 0, 100}, {}, {"a", "a", "b", "b"}};
  CHECK(scores.interval().mean == 50);
  CHECK(scores.interval().low == 50);
  CHECK(scores.interval().high == 50);
  CHECK(TaskScores{{0, 100, 0, 100}}.interval().low == 0);
  TaskScores mixed{{1}};
  CHECK(error_of([&] { mixed.add(scores); }) == "[score] some items have ids and others none");
}

}  // namespace task_score_test
