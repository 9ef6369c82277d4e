#include <flamingo/eval/protocol/planned_data.hpp>

#include <catch2/catch.hpp>

#include "made_up_plan.hpp"

namespace planned_data_test {

using namespace flamingo;
using tests::error_of;

TEST_CASE("names that occur are the candidates, texts to be likely the only one", "[eval][planned_data]") {
  const tests::MadeUpPlan made;
  const PlannedData names(made.plan.tasks[0], made.data);
  CHECK(names.items().size() == 18);
  CHECK(names.queries() == 18);
  CHECK(names.candidates().size() == 6);
  CHECK(names.items()[17].label == 5);
  CHECK(*names.chance() == Approx(100.0 / 6));
  CHECK(PlannedData(made.plan.tasks[0], made.data, 5).queries() == 5);
  CHECK(PlannedData(made.plan.tasks[1], made.data, 5).queries() == 5);
  CHECK(PlannedData(made.plan.tasks[1], made.data).queries() == 9);
  PlannedData pages(made.plan.tasks[3], made.data);
  CHECK(pages.items()[2].candidates == std::vector<std::string>{" it is thing 2"});
  CHECK_FALSE(pages.chance().has_value());
  CHECK(error_of([&] { PlannedData(made.plan.tasks[4], made.data); }).find("gone.jsonl") != std::string::npos);
}

TEST_CASE("episodes are made as often as their classes allow", "[eval][planned_data]") {
  const tests::MadeUpPlan made;
  PlannedData data(made.plan.tasks[2], made.data);
  CHECK(data.task().shots == std::vector{0, 1, 2, 4});  // classes have six pictures
  CHECK(*data.chance() == 20);
  const EvaluationSettings s = data.task().settings(4, Support::random, Control::none, 3);
  const EvaluationData given = data.of(s, nullptr);
  CHECK(given.queries.size() == 12);
  CHECK(given.shots(given.queries[0], s).size() == 20);
  CHECK(data.episodes(3).queries().data() == given.queries.data());
}

TEST_CASE("a prototype is the mean of a class", "[eval][prototypes]") {
  FeatureIndex index("test", 2);
  index.add("a", std::vector<float>{1, 0});
  index.add("b", std::vector<float>{0, 1});
  index.add("c", std::vector<float>{2, 1});
  // Class 7 lies between its two pictures, neither of which is as near to the query as class 3 is.
  const std::vector<std::pair<std::size_t, int>> shown{{0, 7}, {1, 7}, {2, 3}};
  CHECK(nearest_prototype(index, shown, std::vector<float>{3, 2.9f}) == 7);
  CHECK(nearest_prototype(index, std::span(shown).subspan(1), std::vector<float>{1, 0}) == 3);
  CHECK(nearest_prototype(index, {}, std::vector<float>{1, 0}) == -1);
}

}  // namespace planned_data_test
