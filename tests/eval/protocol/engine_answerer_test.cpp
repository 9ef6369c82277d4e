#include <flamingo/eval/protocol/engine_answerer.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "infer/tiny.hpp"
#include "io/files.hpp"
#include "letters.hpp"

namespace engine_answerer_test {

using namespace flamingo;
using namespace flamingo::test;
using tests::Letters;

/// The tiny model with room for 32 demonstrations.
inline constexpr auto roomy = [] {
  auto c = tiny_config;
  c.lm.context = 600;
  return c;
}();
template <class P>
using Roomy = Tiny<P, roomy>;

TEST_CASE("an engine writes and scores what a prompt asks, and its tokens are counted", "[eval][engine_answerer]") {
  using P = Cpu<double>;
  Roomy<P> tiny;
  const Letters text;
  int opened = 0;
  const auto open = [&](const TaskMedium& medium) {
    ++opened;
    return tiny.medium(medium.path == "a" ? 0 : 1);
  };
  EngineAnswerer model(tiny.engine, text, open_flamingo_prompts(), open);
  const TaskItem shot{.id = "s", .media = {{"a"}}, .answers = {"ab"}}, query{.id = "q", .media = {{"b"}}};
  const TaskItem* const shots[] = {&shot};
  const Prompt prompt = few_shot_prompt(open_flamingo_prompts(), TaskKind::classification, shots, query);
  const int length = static_cast<int>(text.encode(prompt.text, {.parse_special = true}).size());
  REQUIRE(length == 1 + 7 + 2 + 1 + 1 + 7);

  EvaluationSettings s{.max_new_tokens = 4};
  const std::vector<std::string> candidates{"ab", "abc", "d", "abcd"};
  const Answer scored = model.score(prompt, candidates, s);
  CHECK(opened == 2);
  // One by one: a pass over prompt and candidate each.
  TextState state = tiny.engine.begin(
      [&] {
        Sequence sequence;
        sequence.ids = text.encode(prompt.text, {.parse_special = true});
        sequence.phi = phi_of_tags(sequence.ids, 0);
        sequence.media = 2;
        return sequence;
      }(),
      std::vector{tiny.medium(0), tiny.medium(1)});
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    TextState copy = state;
    CHECK(scored.scores[c] == Approx(score(tiny.engine, copy, text.encode(candidates[c], {})).sum));
  }
  // Read: the prompt, then of the tree what is not the last of its candidate: a, b, c.
  CHECK(scored.tokens.read == length + 3);
  CHECK(scored.tokens.one_by_one == 4 * length + 1 + 2 + 0 + 3);
  s.best = 2;
  const Answer few = model.score(prompt, candidates, s);
  for (std::size_t c = 0; c < candidates.size(); ++c) CHECK(few.scores[c] >= scored.scores[c] - 1e-9);
  CHECK(std::max_element(few.scores.begin(), few.scores.end()) - few.scores.begin() ==
        std::max_element(scored.scores.begin(), scored.scores.end()) - scored.scores.begin());
  s.normalise_length = true;
  CHECK(model.score(prompt, candidates, s).scores[1] == Approx(scored.scores[1] / 3));

  const Answer written = model.write(prompt, s);
  const auto best = beam_search(tiny.engine, state,
                                {.beams = 3, .max_new_tokens = 4, .length_penalty = 0, .end_ids = {1}, .banned = {0}});
  CHECK(written.text == trimmed(text.decode(best[0].ids)));
  CHECK(written.tokens.read >= length);
  CHECK(tests::error_of([&] {
          model.write({"<image>Output:", {}}, s);
        }) == "[evaluate] a prompt has 1 image tags and 0 media: an item's text has a tag in it");
}

TEST_CASE("tags of several tokens announce media, end answers and are scored", "[eval][engine_answerer]") {
  using P = Cpu<double>;
  Roomy<P> tiny;
  const Letters text;
  std::vector<std::string> opened;
  const auto open = [&](const TaskMedium& medium) {
    opened.push_back(medium.path);
    return tiny.medium(medium.path == "a" ? 0 : 1);
  };
  PromptSet set = open_flamingo_prompts();
  set.image = "(pa)";  // read as the four tokens of " pa "
  set.end_of_chunk = "d.";
  EngineAnswerer model(tiny.engine, text, set, open);
  const TaskItem shot{.id = "s", .media = {{"a"}}, .answers = {"ab"}}, query{.id = "q", .media = {{"b"}}};
  const TaskItem* const shots[] = {&shot};
  const Prompt prompt = few_shot_prompt(set, TaskKind::classification, shots, query);
  CHECK(prompt.text == "(pa)Output:abd.(pa)Output:");
  Sequence sequence;
  sequence.ids = text.encode(prompt.text, {.parse_special = true});
  const std::vector<int> tags{0, 15};  // an id that is no tag's stands before the second
  REQUIRE(sequence.ids.size() == 4 + 7 + 4 + 4 + 7);
  sequence.phi = phi_of(tags, static_cast<int>(sequence.ids.size()));
  sequence.media = 2;
  TextState state = tiny.engine.begin(sequence, std::vector{tiny.medium(0), tiny.medium(1)}), again = state;
  EvaluationSettings s{.max_new_tokens = 6};
  const std::vector<std::string> candidates{"ab", "c"};
  const auto open_scores = model.score(prompt, candidates, s).scores;
  CHECK(opened == std::vector<std::string>{"a", "b"});
  CHECK(open_scores[0] == Approx(score(tiny.engine, state, text.encode("ab", {})).sum));
  set.closes_candidates = true;
  EngineAnswerer closing(tiny.engine, text, set, open);
  CHECK(closing.score(prompt, candidates, s).scores[0] ==
        Approx(score(tiny.engine, state, text.encode("abd.", {})).sum));
  // What was written is cut at the tags.
  const auto best =
      beam_search(tiny.engine, again, {.beams = 3, .max_new_tokens = 6, .length_penalty = 0, .end_ids = {}});
  std::string whole = text.decode(best[0].ids);
  whole.resize(std::min(whole.size(), whole.find("d.")));
  CHECK(model.write(prompt, s).text == trimmed(whole));
  // A tag of one token that is a word too: only its places count.
  set.closes_candidates = false;
  set.image = "@";  // read as a blank, of which there is another in the text
  set.end_of_chunk = ".";
  set.image_is_a_word = true;
  EngineAnswerer words(tiny.engine, text, set, open);
  Sequence spaced;
  spaced.ids = text.encode("@a b", {});
  spaced.phi = {1, 1, 1, 1};
  spaced.media = 1;
  TextState blank = tiny.engine.begin(spaced, std::vector{tiny.medium(0)});
  CHECK(words.score({"@a b", {{"a"}}}, candidates, s).scores[1] ==
        Approx(score(tiny.engine, blank, text.encode("c", {})).sum));
  CHECK(tests::error_of([&] {
          model.score({"(pa)Output:", {}}, candidates, s);
        }) == "[evaluate] a prompt has 1 image tags and 0 media: an item's text has a tag in it");
}

TEST_CASE("a whole evaluation runs over a tiny model", "[eval][engine_answerer]") {
  using P = Cpu<double>;
  Roomy<P> tiny;
  const Letters text;
  const auto open = [&](const TaskMedium& medium) { return tiny.medium(medium.path == blank_medium ? 1 : 0); };
  EngineAnswerer model(tiny.engine, text, open_flamingo_prompts(), open);
  std::vector<TaskItem> support, queries;
  for (int i = 0; i < 5; ++i) {
    support.push_back({.id = "s" + std::to_string(i), .media = {{"a"}}, .label = i % 2});
    queries.push_back({.id = "q" + std::to_string(i), .media = {{"a"}}, .label = i % 2});
  }
  const std::vector<std::string> candidates{"a", "bc"};
  const tests::TemporaryFolder folder;
  EvaluationSettings s{
      .task = "tiny", .kind = TaskKind::classification, .prompts = "open_flamingo", .shots = 2, .permutations = 2};
  std::vector<std::vector<Prediction>> all;
  for (const Control control : {Control::none, Control::blank}) {
    s.control = control;
    RunFile file(folder.path() / (std::string(name_of(control)) + ".jsonl"), s.json());
    const Evaluation run = evaluate(model, s, {.queries = queries, .support = support, .candidates = candidates}, file,
                                    [](const EvaluationProgress&) {});
    REQUIRE(run.predictions.size() == 5);
    CHECK(run.tokens.read < run.tokens.one_by_one);
    for (const Prediction& p : run.predictions)
      for (const double score : p.scores) CHECK(score < 0);
    all.push_back(run.predictions);
  }
  CHECK(all[0][0].scores != all[1][0].scores);  // it looks at the picture
}

TEST_CASE("a hundred candidates after 32 demonstrations cost a twentieth of reading them one by one",
          "[eval][engine_answerer]") {
  using P = Cpu<double>;
  Roomy<P> tiny;
  const Letters text;
  const auto open = [&](const TaskMedium& medium) { return tiny.medium(medium.path.back() - '0'); };
  EngineAnswerer model(tiny.engine, text, open_flamingo_prompts(), open);
  std::vector<TaskItem> support, queries;
  std::vector<std::string> candidates;
  for (int i = 0; i < 100; ++i)  // "ab.b", "cd.a": five letters and a tree that few of them share
    candidates.push_back({"abcd"[i % 4], "abcd"[i / 4 % 4], '.', "abcdp"[i / 16 % 5], "ab"[i / 80]});
  for (int i = 0; i < 40; ++i)
    support.push_back({.id = "s" + std::to_string(i), .media = {{std::to_string(i % 3)}}, .label = i});
  for (int i = 0; i < 5; ++i)
    queries.push_back({.id = "q" + std::to_string(i), .media = {{std::to_string(i % 3)}}, .label = i});
  const tests::TemporaryFolder folder;
  const EvaluationSettings s{.task = "many", .kind = TaskKind::classification, .prompts = "open_flamingo", .shots = 32};
  RunFile file(folder.path() / "many.jsonl", s.json());
  const long before = tiny.engine.tokens_read();
  const Evaluation run = evaluate(model, s, {.queries = queries, .support = support, .candidates = candidates}, file,
                                  [](const EvaluationProgress&) {});
  // What is counted is what the engine read; each query costs the same, so a thousand of them have this ratio too.
  CHECK(tiny.engine.tokens_read() - before == run.tokens.read);
  CHECK(run.tokens.one_by_one >= 20 * run.tokens.read);
  const auto length = static_cast<std::int64_t>(
      text.encode(few_shot_prompt(open_flamingo_prompts(), s.kind, std::vector<const TaskItem*>(32, support.data()),
                                  queries[0], PromptMedia::all, candidates)
                      .text,
                  {.parse_special = true})
          .size());
  CHECK(run.tokens.one_by_one == 5 * 100 * (length + 5 - 1));
}

}  // namespace engine_answerer_test
