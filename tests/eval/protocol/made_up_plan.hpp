/// A folder of made-up items, a plan over them, and a model that knows their pictures' names to a degree.
#pragma once
#include <string>
#include <vector>

#include <flamingo/eval/protocol/run_plan.hpp>

#include "io/files.hpp"

namespace flamingo::tests {

/// Six classes of six "pictures" each: "c2p4.png" shows class 2.
struct MadeUpPlan {
  TemporaryFolder folder;
  std::filesystem::path data = folder.path() / "data", out = folder.path() / "out";
  TaskPlan plan;

  MadeUpPlan() {
    std::filesystem::create_directories(data);
    std::string items, support, pages;
    for (int c = 0; c < 6; ++c)
      for (int p = 0; p < 6; ++p) {
        const std::string name = "c" + std::to_string(c) + "p" + std::to_string(p), classes = std::to_string(c);
        (p < 3 ? support : items) += "{\"id\": \"" + name + "\", \"media\": [\"" + name +
                                     ".png\"], \"answers\": [\"thing " + classes + "\"], \"type\": \"class " + classes +
                                     "\"}\n";
        if (p == 0)
          pages += "{\"id\": \"" + name + "\", \"media\": [\"" + name + ".png\"], \"answers\": [\" it is thing " +
                   classes + "\"], \"fields\": {\"page\": \"See <image> here:\"}}\n";
      }
    folder.write("data/items.jsonl", items);
    folder.write("data/support.jsonl", support);
    folder.write("data/all.jsonl", support + items);
    folder.write("data/pages.jsonl", pages);
    plan = read_task_plan(folder.write("plan.json", R"({"title": "Made up", "tasks": [
      {"name": "names", "title": "Names of things", "about": "Which thing is it?", "kind": "classification",
       "asking": "choose", "items": "items.jsonl", "support": "support.jsonl", "metrics": ["accuracy", "top-5"],
       "shots": [0, 2], "supports": ["random", "rices"], "controls": ["blank", "shuffled", "text_only"],
       "seeds": [0, 1], "references": [{"name": "others", "score": 40.5}]},
      {"name": "captions", "kind": "caption", "asking": "write", "items": "items.jsonl", "support": "support.jsonl",
       "metrics": ["keyword F1", "accuracy", "CIDEr-D"], "shots": [0, 4], "text_only_shots": 2, "queries": 9,
       "published": "coco"},
      {"name": "episodes", "kind": "classification", "asking": "choose", "items": "all.jsonl",
       "metrics": ["accuracy"], "shots": [0, 1, 2, 4, 8], "controls": ["shuffled_labels"], "ways": 5, "queries": 12},
      {"name": "pages", "kind": "page", "asking": "likelihood", "items": "pages.jsonl",
       "metrics": ["nats a token"], "controls": ["blank"]},
      {"name": "gone", "kind": "page", "asking": "likelihood", "items": "gone.jsonl",
       "metrics": ["nats a token"]}]})"));
  }
};

/// Knows the class of a picture unless it is blank, and is wrong about "p4" without demonstrations.
struct KnowingModel {
  PromptSet set = paper_prompts();
  int asked = 0, breaks_at = -1, features_made = 0, looked = 0;

  const PromptSet& prompts() const { return set; }
  std::string encoder() const { return "names"; }
  io::Json facts() const {
    return io::Json::Object{
        {"name", "knowing"},
        {"gates", io::Json::Array{io::Json::Object{{"layer", 2}, {"attention", 0.25}, {"dense", -0.5}}}}};
  }
  static int class_of(const TaskMedium& medium) {
    const auto at = medium.path.rfind("/c");
    return at == std::string::npos ? -1 : medium.path[at + 2] - '0';
  }
  int guess(const Prompt& prompt) const {
    if (prompt.media.empty()) return -1;
    const TaskMedium& query = prompt.media.back();
    const bool hard = query.path.ends_with("p4.png") && prompt.media.size() == 1;
    return hard ? -1 : class_of(query);
  }
  Answer write(const Prompt& prompt, const EvaluationSettings&) {
    check(asked++ != breaks_at, "model", "killed");
    return {"thing " + std::to_string(guess(prompt)), {}, {10, 10}};
  }
  Answer score(const Prompt& prompt, std::span<const std::string> candidates, const EvaluationSettings&) {
    check(asked++ != breaks_at, "model", "killed");
    Answer answer{"", {}, {10, 50}};
    const std::string right = "thing " + std::to_string(guess(prompt));
    for (const std::string& candidate : candidates) answer.scores.push_back(candidate.ends_with(right) ? -1 : -2.5);
    return answer;
  }
  std::vector<float> features(const TaskMedium& medium) {
    ++features_made;
    std::vector<float> features(7, 0.1f);
    features[static_cast<std::size_t>(class_of(medium) + 1)] = 1;
    return features;
  }
  std::vector<LookedWord> look(const Prompt&, std::string_view text) {
    ++looked;
    return {{std::string(text), {0.5, 0.25, 0.25, 0}, 2, 2}};
  }
};

}  // namespace flamingo::tests
