#include <flamingo/eval/protocol/evaluate.hpp>

#include <catch2/catch.hpp>
#include <set>

#include "io/files.hpp"

namespace evaluate_test {

using namespace flamingo;
using tests::error_of;

/// Answers with what it saw: the number of media, and scores that depend on the prompt.
struct Parrot {
  int asked = 0, breaks_at = -1;
  Answer write(const Prompt& prompt, const EvaluationSettings&) {
    check(asked++ != breaks_at, "parrot", "killed");
    return {std::to_string(prompt.media.size()) + " Output: more", {}, {10, 10}};
  }
  Answer score(const Prompt& prompt, std::span<const std::string> candidates, const EvaluationSettings&) {
    check(asked++ != breaks_at, "parrot", "killed");
    Answer answer{"", {}, {10, 100}};
    for (const std::string& candidate : candidates)
      answer.scores.push_back(static_cast<double>(hash(prompt.text + candidate) % 1000));
    return answer;
  }
};

struct Case {
  std::vector<TaskItem> queries, support;
  EvaluationSettings settings{.task = "made up", .seed = 3};
  Case() {
    for (int i = 0; i < 11; ++i)
      queries.push_back({.id = "q" + std::to_string(i), .media = {{"q" + std::to_string(i)}}});
    for (int i = 0; i < 40; ++i)
      support.push_back(
          {.id = "s" + std::to_string(i), .media = {{"s" + std::to_string(i)}}, .answers = {"a" + std::to_string(i)}});
  }
  EvaluationData data() const { return {.queries = queries, .support = support}; }
};

const auto quiet = [](const EvaluationProgress&) {};

std::vector<io::Json> lines(const std::filesystem::path& path) {
  std::vector<io::Json> all;
  const std::string text = tests::read_bytes(path);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    all.push_back(io::Json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return all;
}

TEST_CASE("each query has demonstrations of its own, recorded with its prompt", "[eval][evaluate]") {
  const tests::TemporaryFolder folder;
  Case c;
  Parrot model;
  const auto path = folder.path() / "run.jsonl";
  RunFile file(path, c.settings.json());
  std::vector<EvaluationProgress> seen;
  const Evaluation run =
      evaluate(model, c.settings, c.data(), file, [&](const EvaluationProgress& p) { seen.push_back(p); });
  REQUIRE(run.predictions.size() == 11);
  CHECK(run.predictions[4] == Prediction{"q4", "5 "});
  CHECK(run.tokens.read == 110);
  CHECK(seen.size() == 11);
  CHECK(seen[10].done == 11);
  CHECK(seen[10].seconds_left == 0);
  const auto records = lines(path);
  REQUIRE(records.size() == 12);
  CHECK(records[0] == c.settings.json());
  std::set<std::string> shots;
  for (const io::Json& shot : records[5].at("shots").as_array()) shots.insert(shot.as_string());
  CHECK(shots.size() == 4);
  CHECK_FALSE(records[5].at("shots") == records[6].at("shots"));
  const std::string prompt = records[5].at("prompts").as_array()[0].as_string();
  CHECK(prompt.starts_with("<BOS><image>Output: a"));
  CHECK(prompt.ends_with("<EOC><image>Output:"));
  CHECK(records[5].at("media").as_array()[4].as_string() == "q4");
  CHECK(records[5].at("written").as_string() == "5 Output: more");
}

TEST_CASE("an interrupted evaluation resumes to the same result", "[eval][evaluate]") {
  const tests::TemporaryFolder folder;
  Case c;
  c.settings.queries = 7;
  c.settings.kind = TaskKind::classification;
  c.settings.permutations = 6;
  const std::vector<std::string> candidates{"x", "y", "z"};
  EvaluationData data = c.data();
  data.candidates = candidates;
  Parrot whole, first{.breaks_at = 20}, second;
  const auto a = folder.path() / "a.jsonl", b = folder.path() / "b.jsonl";
  RunFile file_a(a, c.settings.json());
  const Evaluation expected = evaluate(whole, c.settings, data, file_a, quiet);
  CHECK(whole.asked == 7 * 6);
  CHECK(expected.tokens.one_by_one == 7 * 6 * 100);
  {
    RunFile file(b, c.settings.json());
    CHECK(error_of([&] { evaluate(first, c.settings, data, file, quiet); }) == "[parrot] killed");
  }
  RunFile file(b, c.settings.json());
  const Evaluation resumed = evaluate(second, c.settings, data, file, quiet);
  CHECK(second.asked == (7 - 3) * 6);
  c.settings.best = 5;  // bounds of other candidates in each order do not add up
  RunFile file_c(folder.path() / "c.jsonl", c.settings.json());
  CHECK(error_of([&] { evaluate(whole, c.settings, data, file_c, quiet); }) ==
        "[evaluate] the likeliest 5 alone are scored to their end: expected one order of the demonstrations, and sums");
  CHECK(resumed.predictions == expected.predictions);
  CHECK(resumed.tokens.read == expected.tokens.read);
  CHECK(tests::read_bytes(a) == tests::read_bytes(b));
  CHECK(lines(b)[2].at("prompts").as_array().size() == 6);
  // Averages over orders.
  double sum = 0;
  const io::Json record = lines(a)[1];
  for (const io::Json& prompt : record.at("prompts").as_array())
    sum += static_cast<double>(hash(prompt.as_string() + "y") % 1000);
  CHECK(expected.predictions[0].scores[1] == Approx(sum / 6));
}

TEST_CASE("an answer to another question is not taken for this one's", "[eval][evaluate]") {
  const tests::TemporaryFolder folder;
  Case c;
  const auto path = folder.path() / "a.jsonl";
  const std::vector<std::string> four{"w", "x", "y", "z"}, two{"x", "y"};
  EvaluationData data = c.data();
  data.candidates = four;
  Parrot model;
  {
    RunFile file(path, c.settings.json());
    evaluate(model, c.settings, data, file, quiet);
  }
  const auto error = [&] {
    RunFile file(path, c.settings.json());
    return error_of([&] { evaluate(model, c.settings, data, file, quiet); });
  };
  data.candidates = two;
  CHECK(error() == "[results] item q0 has 4 scores, expected 2");
  data.candidates = {};
  CHECK(error() == "[results] item q0 has 4 scores, expected 0");
  std::filesystem::remove(path);
  CHECK(error().empty());  // written
  data.candidates = two;
  CHECK(error() == "[results] item q0 has 0 scores, expected 2");
}

TEST_CASE("zero shots are two demonstrations as text, and controls change the query's pictures", "[eval][evaluate]") {
  const tests::TemporaryFolder folder;
  Case c;
  int runs = 0;
  const auto media_of = [&](std::size_t query) {
    Parrot model;
    const auto path = folder.path() / (std::to_string(++runs) + ".jsonl");
    RunFile file(path, c.settings.json());
    evaluate(model, c.settings, c.data(), file, quiet);
    return lines(path)[1 + query];
  };
  c.settings.shots = 0;
  const io::Json zero = media_of(2);
  CHECK(zero.at("shots").as_array().size() == 2);
  CHECK(zero.at("media") == io::Json(io::Json::Array{"q2"}));
  CHECK(zero.at("prompts").as_array()[0].as_string().starts_with("<BOS>Output: a"));
  c.settings.text_only_shots = 0;
  CHECK(media_of(2).at("prompts") == io::Json(io::Json::Array{"<BOS><image>Output:"}));
  c.settings.shots = 4;
  c.settings.control = Control::blank;
  CHECK(media_of(2).at("media").as_array()[4].as_string() == blank_medium);
  c.settings.control = Control::text_only;
  CHECK(media_of(2).at("media").as_array().empty());
  c.settings.control = Control::shuffled;
  const io::Json shuffled = media_of(2);
  CHECK(shuffled.at("media").as_array()[4].as_string()[0] == 'q');
  CHECK(shuffled.at("media").as_array()[4].as_string() != "q2");
  c.settings.control = Control::none;
  const io::Json plain = media_of(2);
  CHECK(plain.at("shots") == shuffled.at("shots"));  // the same demonstrations, so that scores compare
  CHECK(plain.at("media").as_array()[4].as_string() == "q2");
}

TEST_CASE("RICES shows the nearest last, and a query never itself", "[eval][evaluate]") {
  const tests::TemporaryFolder folder;
  Case c;
  c.settings.support = Support::rices;
  c.settings.shots = 3;
  FeatureIndex index("angle", 2);
  const auto at = [](int i) {
    const float angle = 0.02f * static_cast<float>(i);
    return std::vector<float>{std::cos(angle), std::sin(angle)};
  };
  for (int i = 0; i < 40; ++i) index.add("s" + std::to_string(i), at(i));
  c.queries[1].id = "s20";
  EvaluationData data = c.data();
  data.index = &index;
  data.features = [&](const TaskItem& item) { return at(std::stoi(item.id.substr(1))); };
  Parrot model;
  const auto path = folder.path() / "r.jsonl";
  RunFile file(path, c.settings.json());
  evaluate(model, c.settings, data, file, quiet);
  CHECK(lines(path)[1].at("shots") == io::Json(io::Json::Array{"s2", "s1", "s0"}));
  io::Json shots = lines(path)[2].at("shots");
  CHECK(shots.as_array()[2] != io::Json("s20"));
  CHECK((shots.as_array()[2] == io::Json("s19") || shots.as_array()[2] == io::Json("s21")));
  data.index = nullptr;
  RunFile other(folder.path() / "o.jsonl", c.settings.json());
  CHECK(error_of([&] { evaluate(model, c.settings, data, other, quiet); }).find("RICES needs an index") !=
        std::string::npos);
}

TEST_CASE("too little support and no queries are refused", "[eval][evaluate]") {
  const tests::TemporaryFolder folder;
  Case c;
  c.settings.shots = 4;
  c.support.resize(4);
  c.support[2].id = "q0";
  Parrot model;
  RunFile file(folder.path() / "a.jsonl", c.settings.json());
  CHECK(error_of([&] { evaluate(model, c.settings, c.data(), file, quiet); }) ==
        "[evaluate] there are too few items of support besides q0");
  c.queries.clear();
  CHECK(error_of([&] { evaluate(model, c.settings, c.data(), file, quiet); }) == "[evaluate] there are no queries");
}

TEST_CASE("answers are dealt out anew, videos lose their frames, and queries bring demonstrations of their own",
          "[eval][evaluate]") {
  const tests::TemporaryFolder folder;
  Case c;
  int runs = 0;
  EvaluationData data = c.data();
  const auto record_of = [&](std::size_t query) {
    Parrot model;
    const auto path = folder.path() / (std::to_string(++runs) + ".jsonl");
    RunFile file(path, c.settings.json());
    evaluate(model, c.settings, data, file, quiet);
    return lines(path)[1 + query];
  };
  const auto prompt_of = [](const io::Json& record) { return record.at("prompts").as_array()[0].as_string(); };
  c.settings.shots = 8;
  const io::Json plain = record_of(1);
  c.settings.control = Control::shuffled_labels;
  const io::Json dealt = record_of(1);
  CHECK(dealt.at("shots") == plain.at("shots"));
  CHECK(dealt.at("media") == plain.at("media"));
  CHECK(prompt_of(dealt) != prompt_of(plain));
  const auto answers = [&](const io::Json& record) {
    std::multiset<std::string> found;
    const std::string text = prompt_of(record);
    for (std::size_t at = text.find(": a"); at != text.npos; at = text.find(": a", at + 1))
      found.insert(text.substr(at, text.find("<EOC>", at) - at));
    return found;
  };
  CHECK(answers(plain).size() == 8);
  CHECK(answers(dealt) == answers(plain));

  for (TaskItem& query : c.queries) query.media[0].video = true;
  data = c.data();
  c.settings.control = Control::single_frame;
  CHECK(record_of(1).at("media").as_array()[8].as_string() == "first frame of:q1");
  c.settings.control = Control::shuffled_frames;
  CHECK(record_of(1).at("media").as_array()[8].as_string() == "shuffled frames of:q1");

  // Pages have pictures of their own number: another's are as many as there are tags.
  for (std::size_t i = 0; i < c.queries.size(); i += 2) c.queries[i].media.push_back({"more " + c.queries[i].id});
  data = c.data();
  c.settings.control = Control::shuffled;
  for (std::size_t i = 0; i < 4; ++i) {
    const io::Json record = record_of(i);
    CHECK(record.at("media").as_array().size() == 8 + c.queries[i].media.size());
    for (const TaskMedium& medium : c.queries[i].media)
      for (const io::Json& shown : record.at("media").as_array()) CHECK(shown.as_string() != medium.path);
  }

  c.settings.control = Control::none;
  PromptSet own = paper_prompts();
  own.caption.shot = "{image}: {answer}{end}";
  data.prompts = &own;
  data.shots = [](const TaskItem& query, const EvaluationSettings& s) {
    return std::vector<TaskItem>(static_cast<std::size_t>(s.shots / 4),
                                 {.id = "own", .media = {{"o"}}, .answers = {"of " + query.id}});
  };
  CHECK(prompt_of(record_of(1)) == "<BOS><image>:  of q1<EOC><image>:  of q1<EOC><image>: ");
}

}  // namespace evaluate_test
