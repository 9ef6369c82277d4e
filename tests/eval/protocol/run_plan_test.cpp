#include <flamingo/eval/protocol/run_plan.hpp>

#include <catch2/catch.hpp>

#include "made_up_plan.hpp"

namespace run_plan_test {

using namespace flamingo;
using tests::error_of;

namespace {

const auto quiet = [](const PlanProgress&) {};

const io::Json* run_of(const io::Json& task, int shots, std::string_view support, std::string_view control) {
  for (const io::Json& run : task.at("runs").as_array())
    if (run.at("shots").as_integer() == shots && run.at("support").as_string() == support &&
        run.at("control").as_string() == control)
      return &run;
  return nullptr;
}
double score_of(const io::Json& task, int shots, std::string_view support = "random",
                std::string_view control = "none") {
  const io::Json* run = run_of(task, shots, support, control);
  REQUIRE(run);
  return run->at("scores").at(task.at("metric").as_string()).at("mean").as_double();
}

}  // namespace

TEST_CASE("a plan runs whole, and every number is told", "[eval][run_plan]") {
  const tests::MadeUpPlan made;
  tests::KnowingModel model;
  std::vector<PlanProgress> seen;
  PlanRunner runner(model, {.data = made.data, .out = made.out, .checkpoint = "abc"},
                    [&](const PlanProgress& p) { seen.push_back(p); });
  const io::Json found = runner.run(made.plan);
  CHECK(found.at("checkpoint").as_string() == "abc");
  const io::Json::Array& tasks = found.at("tasks").as_array();
  REQUIRE(tasks.size() == 5);

  const io::Json& names = tasks[0];
  CHECK(score_of(names, 0) == Approx(100 * (12 + 1) / 18.0));  // of what it does not know it takes the first name
  CHECK(score_of(names, 2) == 100);
  CHECK(score_of(names, 2, "rices") == 100);
  CHECK(score_of(names, 2, "random", "blank") == Approx(100.0 / 6));
  CHECK(score_of(names, 2, "random", "shuffled") < 50);
  CHECK(score_of(names, 2, "random", "text_only") == Approx(100.0 / 6));
  const io::Json& zero = *run_of(names, 0, "random", "none");
  CHECK(zero.at("queries").as_integer() == 18);  // both seeds ask the same, so it is asked once and is one trial
  CHECK(zero.at("trials").as_array().size() == 1);
  CHECK_FALSE(zero.find("over_trials"));
  const io::Json& two = *run_of(names, 2, "random", "none");
  CHECK(two.at("queries").as_integer() == 36);
  CHECK(two.at("trials").as_array().size() == 2);
  CHECK(two.at("over_trials").at("low").as_double() == two.at("over_trials").at("high").as_double());
  CHECK(zero.at("scores").at("top-5").at("mean").as_double() > 80);
  CHECK(zero.at("scores").at("accuracy").at("low").as_double() < score_of(names, 0));
  CHECK(zero.at("by_type").at("class 3").as_double() == Approx(100 * 2 / 3.0));
  CHECK(zero.at("tokens_read").as_integer() == 180);
  CHECK_FALSE(run_of(names, 0, "rices", "none"));
  CHECK(names.at("chance").as_double() == Approx(100.0 / 6));
  CHECK(names.at("prototypes").as_array()[0].at("score").at("mean").as_double() == 100);
  CHECK(names.at("references").as_array()[0].at("score").as_double() == 40.5);

  const io::Json& captions = tasks[1];
  CHECK(score_of(captions, 4) == 100);
  CHECK(captions.at("references").as_array().size() == 20);  // of the papers' four models at five numbers of shots
  CHECK(run_of(captions, 4, "random", "none")->at("queries").as_integer() == 9);

  const io::Json& episodes = tasks[2];
  CHECK(episodes.at("classes").as_integer() == 6);
  CHECK(score_of(episodes, 4) == 100);
  CHECK(run_of(episodes, 4, "random", "shuffled_labels"));
  CHECK_FALSE(run_of(episodes, 8, "random", "none"));
  CHECK(episodes.at("prototypes").as_array().size() == 3);
  CHECK(episodes.at("examples").as_array()[0].at("prompt").as_array().size() == 23);  // two shots of five ways

  CHECK(score_of(tasks[3], 0) == 1);
  CHECK(score_of(tasks[3], 0, "random", "blank") == 2.5);
  CHECK(tasks[4].at("missing").as_string() == "gone.jsonl");

  // What a reader looks at: right answers, wrong ones, where words looked.
  const io::Json::Array& examples = names.at("examples").as_array();
  REQUIRE(examples.size() == 6);  // nothing is wrong with two shots
  CHECK(examples[0].at("right").as_bool());
  CHECK(examples[0].at("answer") == examples[0].at("truth"));
  CHECK(examples[0].at("prompt").as_array().size() == 7);  // pictures and what is between
  CHECK(examples[0].at("choices").as_array().size() == 5);
  CHECK(examples[0].at("looked").as_array()[0].at("heat").as_array().size() == 4);
  CHECK(examples[2].at("looked").as_array().empty());

  REQUIRE_FALSE(seen.empty());
  CHECK(seen.back().done == seen.back().all);
  CHECK(seen.back().resumed == 0);
}

TEST_CASE("an interrupted plan goes on, and features are computed once", "[eval][run_plan]") {
  const tests::MadeUpPlan made;
  tests::KnowingModel whole, broken{.breaks_at = 100}, rest;
  const EvaluationOptions options{.data = made.data, .out = made.out, .checkpoint = "abc"};
  EvaluationOptions elsewhere = options;
  elsewhere.out = made.folder.path() / "elsewhere";
  const io::Json expected = PlanRunner(whole, elsewhere, quiet).run(made.plan);
  CHECK(whole.features_made == 18 + 18);
  CHECK(error_of([&] { PlanRunner(broken, options, quiet).run(made.plan); }) == "[model] killed");
  PlanProgress last;
  CHECK(PlanRunner(rest, options, [&](const PlanProgress& p) { last = p; }).run(made.plan) == expected);
  CHECK(rest.asked == whole.asked - 100);
  CHECK(rest.features_made == 18);  // the support's are in their file
  CHECK(last.resumed > 0);
  CHECK(last.resumed < last.all);
  // Other pictures or items under the same names are not taken for these.
  const auto refused = [&] {
    const std::string error = error_of([&] { PlanRunner(rest, options, quiet).run(made.plan); });
    return error.find("a run of other settings: version") != error.npos;
  };
  made.folder.write("data/c2p1.png", "another picture");
  CHECK(refused());
  std::filesystem::remove(made.data / "c2p1.png");
  CHECK_FALSE(refused());
  std::string text = tests::read_bytes(made.data / "pages.jsonl");
  made.folder.write("data/pages.jsonl", text.replace(text.find("here"), 4, "this"));
  CHECK(refused());
}

TEST_CASE("answers to a task's other questions are refused", "[eval][run_plan]") {
  tests::MadeUpPlan made;
  tests::KnowingModel model;
  const EvaluationOptions options{.data = made.data, .out = made.out, .only = {"episodes"}, .checkpoint = "abc"};
  PlannedTask& episodes = made.plan.tasks[2];
  PlanRunner(model, options, quiet).run(made.plan);
  const auto refused = [&] {
    const std::string error = error_of([&] { PlanRunner(model, options, quiet).run(made.plan); });
    return error.find("a run of other settings: version") != error.npos;
  };
  CHECK_FALSE(refused());
  const PlannedTask before = episodes;
  episodes.ways = 3;
  CHECK(refused());
  episodes = before;
  episodes.made_up_names = true;
  CHECK(refused());
  episodes = before;
  episodes.shots = {0, 1};  // more classes have pictures for it: other episodes
  CHECK(refused());
  episodes = before;
  CHECK_FALSE(refused());
  model.set.classification.shot += " ";
  CHECK(refused());
}

TEST_CASE("more seeds make an interval of the same items no narrower, of other episodes they do", "[eval][run_plan]") {
  tests::MadeUpPlan made;
  tests::KnowingModel model;
  made.plan.tasks[2].shots = {0};
  made.plan.tasks[2].queries = 48;
  made.plan.tasks[2].controls = {};
  const auto width = [&](std::size_t task, std::vector<std::uint64_t> seeds) {
    made.plan.tasks[task].seeds = std::move(seeds);
    PlanRunner runner(model, {.data = made.data, .out = made.out, .only = {made.plan.tasks[task].name}}, quiet);
    const io::Json found = runner.run(made.plan);
    const io::Json score = run_of(found.at("tasks").as_array()[0], 0, "random", "none")->at("scores").at("accuracy");
    return score.at("high").as_double() - score.at("low").as_double();
  };
  CHECK(width(0, {0}) > 0);
  CHECK(width(0, {0, 1, 2, 3}) == width(0, {0}));
  CHECK(width(2, {0, 1, 2, 3, 4, 5, 6, 7}) < 0.8 * width(2, {0}));
}

TEST_CASE("RICES without anything to search, or with nothing to see in it, is told", "[eval][run_plan]") {
  tests::MadeUpPlan made;
  tests::KnowingModel model;
  const EvaluationOptions options{.data = made.data, .out = made.out, .only = {"names"}};
  const auto error = [&] { return error_of([&] { PlanRunner(model, options, quiet).run(made.plan); }); };
  PlannedTask& names = made.plan.tasks[0];
  names.supports = {Support::rices};
  made.folder.write("data/bare.jsonl", R"({"id": "b", "media": [], "answers": ["thing 1"]})"
                                       "\n");
  names.support = "bare.jsonl";
  CHECK(error() == "[plan] item b has no picture to be compared by");
  names.support = "";
  CHECK(error() == "[plan] names asks for rices and names no support to search");
}

TEST_CASE("a plan may be run in part", "[eval][run_plan]") {
  const tests::MadeUpPlan made;
  tests::KnowingModel model;
  const io::Json found =
      PlanRunner(model, {.data = made.data, .out = made.out, .queries = 3, .only = {"captions"}}, quiet).run(made.plan);
  REQUIRE(found.at("tasks").as_array().size() == 1);
  CHECK(model.asked == 6);
  CHECK(error_of([&] {
          PlanRunner(model, {.data = made.data, .out = made.out, .only = {"caption"}}, quiet).run(made.plan);
        }) == "[plan] there is no task caption");
}

}  // namespace run_plan_test
