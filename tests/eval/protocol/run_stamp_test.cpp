#include <flamingo/eval/protocol/run_stamp.hpp>

#include <catch2/catch.hpp>

#include "made_up_plan.hpp"

namespace run_stamp_test {

using namespace flamingo;

TEST_CASE("a stamp tells parts apart", "[eval][run_stamp]") {
  CHECK(Stamp().add("ab").add("c").key() == Stamp().add("ab").add("c").key());
  CHECK(Stamp().add("ab").add("c").key() != Stamp().add("a").add("bc").key());
  CHECK(Stamp().add("").key() != Stamp().key());
}

TEST_CASE("a run's stamp is of its data, its questions and its prompts", "[eval][run_stamp]") {
  const tests::MadeUpPlan made;
  const PlannedTask& names = made.plan.tasks[0];
  const PromptSet set = paper_prompts();
  const std::string stamp = run_stamp(names, made.data, set);
  CHECK(run_stamp(names, made.data, set) == stamp);
  PlannedTask other = names;
  other.asking = Asking::write;
  CHECK(run_stamp(other, made.data, set) != stamp);
  other = names;
  other.support = "";
  CHECK(run_stamp(other, made.data, set) != stamp);
  other = names;
  other.title = "Other words of the report";
  other.queries = 3;
  CHECK(run_stamp(other, made.data, set) == stamp);
  PromptSet changed = set;
  changed.caption.keywords.push_back("x");
  CHECK(run_stamp(names, made.data, changed) != stamp);
  changed = set;
  changed.closes_candidates = !set.closes_candidates;
  CHECK(run_stamp(names, made.data, changed) != stamp);
}

TEST_CASE("features are of these pictures and this checkpoint", "[eval][run_stamp]") {
  const tests::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "film");
  folder.write("a.png", "one");
  folder.write("film/1.png", "two");
  const std::vector<TaskItem> items{{.id = "a", .media = {{(folder.path() / "a.png").string()}}},
                                    {.id = "f", .media = {{(folder.path() / "film").string(), true}}}};
  const std::string key = features_key(items, "clip", "abc");
  CHECK(features_key(items, "clip", "abc") == key);
  CHECK(features_key(items, "clip", "abd") != key);
  CHECK(features_key(items, "clop", "abc") != key);
  folder.write("a.png", "One");
  CHECK(features_key(items, "clip", "abc") != key);
  folder.write("a.png", "one");
  CHECK(features_key(items, "clip", "abc") == key);
  folder.write("film/1.png", "too");
  CHECK(features_key(items, "clip", "abc") != key);
  CHECK(tests::error_of([&] { features_key(std::vector<TaskItem>{{.id = "x"}}, "clip", "abc"); }) ==
        "[plan] item x has no picture to be compared by");
}

}  // namespace run_stamp_test
