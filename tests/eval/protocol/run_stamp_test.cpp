#include <flamingo/eval/protocol/run_stamp.hpp>

#include <array>
#include <catch2/catch.hpp>

#include "made_up_plan.hpp"

namespace run_stamp_test {

using namespace flamingo;

TEST_CASE("a stamp tells parts apart", "[eval][run_stamp]") {
  CHECK(Stamp().add("ab").add("c").key() == Stamp().add("ab").add("c").key());
  CHECK(Stamp().add("ab").add("c").key() != Stamp().add("a").add("bc").key());
  CHECK(Stamp().add("").key() != Stamp().key());
}

TEST_CASE("a run's stamp is of its data, its pictures, its questions and its prompts", "[eval][run_stamp]") {
  const tests::MadeUpPlan made;
  const PlannedTask& names = made.plan.tasks[0];
  const PromptSet set = paper_prompts();
  const std::array<std::uint64_t, 2> shown{1, 2};
  const std::string stamp = run_stamp(names, made.data, set, shown);
  CHECK(run_stamp(names, made.data, set, shown) == stamp);
  CHECK(run_stamp(names, made.data, set, std::array<std::uint64_t, 2>{1, 3}) != stamp);
  PlannedTask other = names;
  other.asking = Asking::write;
  CHECK(run_stamp(other, made.data, set, shown) != stamp);
  other = names;
  other.support = "";
  CHECK(run_stamp(other, made.data, set, shown) != stamp);
  other = names;
  other.title = "Other words of the report";
  other.queries = 3;
  CHECK(run_stamp(other, made.data, set, shown) == stamp);
  PromptSet changed = set;
  changed.caption.keywords.push_back("x");
  CHECK(run_stamp(names, made.data, changed, shown) != stamp);
  changed = set;
  changed.closes_candidates = !set.closes_candidates;
  CHECK(run_stamp(names, made.data, changed, shown) != stamp);
}

TEST_CASE("media are told by their bytes, each read once", "[eval][run_stamp]") {
  const tests::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "film");
  folder.write("a.png", "one");
  folder.write("film/1.png", "two");
  folder.write("film/2.png", "three");
  const std::vector<TaskItem> items{
      {.id = "a", .media = {{(folder.path() / "a.png").string()}, {(folder.path() / "film").string(), true}}}};
  MediaHashes hashes;
  const std::uint64_t found = hashes.of(items);
  const auto now = [&] { return MediaHashes().of(items); };
  CHECK(now() == found);
  folder.write("a.png", "One");
  CHECK(now() != found);
  CHECK(hashes.of(items) == found);  // it looks no second time
  folder.write("a.png", "one");
  CHECK(now() == found);
  folder.write("film/2.png", "threes");
  CHECK(now() != found);
  folder.write("film/2.png", "three");
  std::filesystem::rename(folder.path() / "film/2.png", folder.path() / "film/0.png");
  CHECK(now() != found);  // the frames have another order
  std::filesystem::remove_all(folder.path() / "film");
  CHECK(now() != found);
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
