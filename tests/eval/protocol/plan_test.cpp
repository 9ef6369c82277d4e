#include <flamingo/eval/protocol/plan.hpp>

#include <catch2/catch.hpp>
#include <set>

namespace plan_test {

using namespace flamingo;

std::vector<TaskItem> items(int count, int labels = 0) {
  std::vector<TaskItem> all;
  for (int i = 0; i < count; ++i) all.push_back({.id = std::to_string(i), .label = labels ? i % labels : -1});
  return all;
}

TEST_CASE("the DEV protocol has four disjoint parts of the paper's sizes", "[eval][plan]") {
  const auto training = items(6000);
  const DevSplit split = dev_split("okvqa", training, {{.id = "official"}}, 1);
  CHECK(split.validation_support.size() == 2048);
  CHECK(split.validation_query.size() == 1024);
  CHECK(split.test_support.size() == 2048);
  CHECK(split.test_query.size() == 1);
  std::set<std::string> ids;
  for (const auto* part : {&split.validation_support, &split.validation_query, &split.test_support})
    for (const TaskItem& item : *part) ids.insert(item.id);
  CHECK(ids.size() == 2048 + 1024 + 2048);
  CHECK(dev_split("okvqa", training, {}, 1).validation_query == split.validation_query);
  CHECK(dev_split("okvqa", training, {}, 2).validation_query != split.validation_query);
  CHECK(dev_split("coco", items(9096), {}, 1).validation_query.size() == 5000);
  const DevSplit classes = dev_split("kinetics", items(3 * 80, 3), {}, 1);
  CHECK(classes.validation_support.size() == 96);
  CHECK(classes.validation_query.size() == 30);
  CHECK(classes.test_support.size() == 96);
}

TEST_CASE("nothing is chosen on the other benchmarks, nor from too few items", "[eval][plan]") {
  CHECK_THROWS_WITH(dev_split("textvqa", items(9000), {}, 1), Catch::Contains("none of the paper's DEV benchmarks"));
  CHECK_THROWS_WITH(dev_split("mnist", {}, {}, 1), Catch::Contains("no benchmark 'mnist'"));
  CHECK_THROWS_WITH(dev_split("msvdqa", items(5119), {}, 1), Catch::Contains("expected at least 5120"));
  CHECK_THROWS_WITH(dev_split("imagenet", items(73, 1), {}, 1), Catch::Contains("class 0 of imagenet has 73"));
  int dev = 0, generative = 0;
  for (const Benchmark& b : benchmarks) {
    dev += b.dev;
    generative += b.generative;
  }
  CHECK(std::size(benchmarks) == 18);
  CHECK(dev == 7);
  CHECK(generative == 12);
}

TEST_CASE("settings tell all that a run depends on", "[eval][plan]") {
  EvaluationSettings s{.task = "coco", .shots = 0, .seed = 18446744073709551615u};
  CHECK(s.shown() == 2);
  const io::Json json = s.json();
  CHECK(json.at("seed").as_string() == "18446744073709551615");
  CHECK(json.at("support").as_string() == "random");
  s.shots = 8;
  CHECK(s.shown() == 8);
  CHECK_FALSE(s.json() == json);
}

}  // namespace plan_test
