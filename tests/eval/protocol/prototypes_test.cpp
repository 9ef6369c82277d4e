#include <flamingo/eval/protocol/prototypes.hpp>

#include <catch2/catch.hpp>
#include <set>

#include "made_up_plan.hpp"

namespace prototypes_test {

using namespace flamingo;

namespace {

/// Features of what is searched, and its index.
struct Searched {
  tests::KnowingModel model;
  FeatureIndex index{"names", 7};

  explicit Searched(const PlannedData& data) {
    for (const TaskItem& item : data.searched()) index.add(item.id, model.features(item.media[0]));
  }
  std::vector<PrototypeScore> scores(PlannedData& data) {
    return prototype_scores(data, index, [this](const TaskItem& item) { return model.features(item.media[0]); });
  }
};

}  // namespace

TEST_CASE("prototypes answer the queries of every seed", "[eval][prototypes]") {
  tests::MadeUpPlan made;
  made.plan.tasks[0].queries = 5;
  made.plan.tasks[2].seeds = {0, 1, 2};
  for (const std::size_t task : {0u, 2u}) {
    PlannedData data(made.plan.tasks[task], made.data);
    REQUIRE(has_prototypes(data));
    Searched searched(data);
    const auto scores = searched.scores(data);
    REQUIRE(scores.size() == (task == 0 ? 1 : 3));
    CHECK(scores[0].shots == (task == 0 ? -1 : 1));
    CHECK(scores[0].scores.items.size() == (task == 0 ? 2 * 5 : 3 * 12));
    CHECK(scores[0].scores.interval().mean == 100);
    // Episodes of two seeds are different questions, whatever their numbers.
    const std::set<std::string> ids(scores[0].scores.ids.begin(), scores[0].scores.ids.end());
    CHECK(ids.size() > (task == 0 ? 5u : 35u));
  }
}

TEST_CASE("a support of none of the names scores nothing, and items with candidates of their own have no prototypes",
          "[eval][prototypes]") {
  const tests::MadeUpPlan made;
  made.folder.write("data/support.jsonl", R"({"id": "s", "media": ["c1p0.png"], "answers": ["something else"]})"
                                          "\n");
  made.folder.write("data/items.jsonl", R"({"id": "q", "media": ["c1p1.png"], "answers": ["thing 1"]})"
                                        "\n");
  PlannedData others(made.plan.tasks[0], made.data);
  REQUIRE(has_prototypes(others));
  CHECK(Searched(others).scores(others)[0].scores.items == std::vector<double>{0, 0});  // of two seeds
  made.folder.write("data/items.jsonl", R"({"id": "q", "media": ["c1p1.png"], "answers": ["thing 1"],)"
                                        R"( "candidates": ["thing 1", "thing 2"]})"
                                        "\n");
  CHECK_FALSE(has_prototypes(PlannedData(made.plan.tasks[0], made.data)));
}

}  // namespace prototypes_test
