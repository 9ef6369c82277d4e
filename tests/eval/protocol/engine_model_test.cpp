#include <flamingo/eval/protocol/engine_model.hpp>

#include <catch2/catch.hpp>
#include <numeric>

#include <flamingo/cpu.hpp>
#include <flamingo/eval/protocol/run_plan.hpp>

#include "infer/tiny.hpp"
#include "letters.hpp"
#include "made_up_plan.hpp"

namespace engine_model_test {

using namespace flamingo;
using namespace flamingo::test;
using tests::Letters;
using P = Cpu<double>;

namespace {

/// Five rows of a tiny picture, of another number for each path; a video has two frames of them.
struct See {
  EncodedMedium<double> operator()(const TaskMedium& medium) const {
    const int i = medium.video ? 2 : static_cast<int>(hash(medium.path) % 2);
    const Tensor<double> x = Tiny<P>::features(i);
    EncodedMedium<double> seen{.rows = {x.begin(), x.end()}, .frames = Tiny<P>::frames(i), .columns = 5, .lines = 1};
    seen.count = static_cast<int>(seen.rows.size() / 7);
    return seen;
  }
};

}  // namespace

TEST_CASE("An engine's model has features, gates and attention of words", "[eval][engine_model]") {
  Tiny<P> tiny;
  const Letters text;
  EngineModel model(tiny.engine, text, open_flamingo_prompts(), "tiny", See{});
  const TaskMedium picture{"a"}, video{"v", true};
  const Tensor<double> x = Tiny<P>::features(static_cast<int>(hash("a") % 2));
  double first = 0;
  for (std::size_t i = 0; i < 5; ++i) first += *(x.begin() + static_cast<std::ptrdiff_t>(7 * i)) / 5;
  CHECK(model.features(picture).size() == 7);
  CHECK(model.features(picture)[0] == Approx(first));

  const io::Json facts = model.facts();
  const io::Json::Array& gates = facts.at("gates").as_array();
  REQUIRE(gates.size() == 2);  // before blocks 1 and 3
  CHECK(gates[1].at("layer").as_integer() == 3);
  CHECK(gates[1].at("attention").as_double() ==
        Approx(std::tanh(tiny.connector.views.gated[1].attention_gate.data[0])));

  const TaskItem shot{.id = "s", .media = {picture}, .answers = {"ab"}};
  for (const TaskMedium& medium : {picture, video}) {
    const TaskItem query{.id = "q", .media = {medium}};
    const TaskItem* const shots[] = {&shot};
    const Prompt prompt = few_shot_prompt(open_flamingo_prompts(), TaskKind::classification, shots, query);
    const auto words = model.look(prompt, "ab c");
    REQUIRE(words.size() == 2);
    CHECK(words[0].word == "ab");
    CHECK(words[1].word == "c");
    for (const LookedWord& word : words) {
      REQUIRE(word.heat.size() == 5);
      CHECK(std::accumulate(word.heat.begin(), word.heat.end(), 0.0) == Approx(1));
    }
    // The first letter is decided at the prompt's last token.
    Sequence document;
    document.ids = text.encode(prompt.text + "a", {.parse_special = true});
    document.phi = phi_of_tags(document.ids, 0);
    document.media = 2;
    const auto one = model.look(prompt, "a");
    const int at[] = {static_cast<int>(document.ids.size()) - 2};
    const EncodedMedium<double> a = See{}(picture), b = See{}(medium);
    std::vector<double> rows = a.rows;
    rows.insert(rows.end(), b.rows.begin(), b.rows.end());
    const std::array media{Medium{0, 5, 1, 0}, Medium{5, b.count, b.frames, 1}};
    const auto maps = attention_maps<Tiny<P>::Model>(
        tiny.ctx, tiny.connector.views, tiny.lm.views, document,
        Rows<P, 7, const double>{rows.data(), static_cast<int>(rows.size() / 7), {}}, media, at);
    const auto heat = attention_heat(maps, 0, 1);
    for (std::size_t s = 0; s < 5; ++s) CHECK(one[0].heat[s] == Approx(heat[s] + (b.frames > 1 ? heat[s + 5] : 0)));
  }
  CHECK(model.look({"Output:", {}}, "a").empty());
}

TEST_CASE("A whole plan runs over an engine", "[eval][engine_model]") {
  const tests::MadeUpPlan made;
  Tiny<P> tiny;
  const Letters text;
  PromptSet set = open_flamingo_prompts();
  set.classification.shot = "{image}{answer}";  // the tiny context holds 41 tokens
  set.page.shot = "{image}{answer}";
  EngineModel model(tiny.engine, text, set, "tiny", See{});
  TaskPlan plan = made.plan;
  plan.tasks = {plan.tasks[0], plan.tasks[3]};
  const io::Json found = PlanRunner(model, {.data = made.data, .out = made.out}, [](const PlanProgress&) {}).run(plan);
  const io::Json& names = found.at("tasks").as_array()[0];
  CHECK(names.at("runs").as_array().size() == 6);
  CHECK(names.at("runs").as_array()[0].at("tokens_read").as_integer() <
        names.at("runs").as_array()[0].at("tokens_one_by_one").as_integer());
  CHECK_FALSE(names.at("examples").as_array()[0].at("looked").as_array().empty());
  const io::Json& pages = found.at("tasks").as_array()[1];
  CHECK(pages.at("runs").as_array()[0].at("scores").at("nats a token").at("mean").as_double() > 0);
  CHECK(found.at("model").at("gates").as_array().size() == 2);
}

}  // namespace engine_model_test
