/// A plan of many runs in a JSON file: tasks × shots × kinds of support × controls × seeds.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/protocol/plan.hpp>
#include <flamingo/eval/protocol/task_score.hpp>
#include <flamingo/eval/tasks/json_reader.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// How an answer is got: written by beam search, chosen among candidates, or how likely the known one is.
enum class Asking : std::uint8_t { write, choose, likelihood };

/// What others scored, to be set beside ours.
struct Reference {
  std::string name;
  int shots = -1;  ///< -1: however many
  double score = 0;
};

struct PlannedTask {
  std::string name, title{}, about{};
  TaskKind kind = TaskKind::classification;
  Asking asking = Asking::choose;
  std::string items{}, support{};     ///< files of JSON lines; no support: no demonstrations, or episodes' own
  std::vector<TaskMetric> metrics{};  ///< the first is the one that is drawn
  std::vector<int> shots{0};          ///< of episodes: of each class
  int text_only_shots = 0;            ///< of a prompt of no shots
  std::vector<Support> supports{Support::random};
  std::vector<Control> controls{};   ///< besides none
  std::vector<int> control_shots{};  ///< empty: the most shots
  std::vector<std::uint64_t> seeds{0};
  std::size_t queries = 0;  ///< 0: all; of episodes how many
  int ways = 0;             ///< classes of an episode; 0: no episodes
  bool made_up_names = false;
  int max_new_tokens = 20;
  int best = 0;  ///< so many of the likeliest candidates get their whole score; 0: all (EvaluationSettings)
  std::vector<Reference> references{};
  std::string published{};  ///< the task's name in the papers' tables

  /// One run of the task.
  EvaluationSettings settings(int s, Support support_kind, Control control, std::uint64_t seed) const {
    return {.task = name,
            .kind = kind,
            .prompts = "",
            .shots = s,
            .text_only_shots = text_only_shots,
            .support = support_kind,
            .control = control,
            .queries = ways > 0 ? 0 : queries,
            .seed = seed,
            .max_new_tokens = max_new_tokens,
            .normalise_length = asking == Asking::likelihood,
            .best = static_cast<std::size_t>(best)};
  }
  /// All runs of a seed: shots × support, then controls with the first kind of support.
  std::vector<EvaluationSettings> runs(std::uint64_t seed) const {
    std::vector<EvaluationSettings> all;
    for (const Support kind_of_support : supports)
      for (const int s : shots)
        if (s > 0 || kind_of_support == supports[0]) all.push_back(settings(s, kind_of_support, Control::none, seed));
    std::vector<int> under = control_shots;
    if (under.empty()) under = {*std::max_element(shots.begin(), shots.end())};
    for (const Control control : controls)
      for (const int s : under)
        if (s > 0 || control != Control::shuffled_labels) all.push_back(settings(s, supports[0], control, seed));
    return all;
  }
  /// Whether a run's seed changes any of its prompts: it draws episodes, a subset of the items, random demonstrations,
  /// orders of them, and what is dealt out anew. All items without demonstrations, or with the most similar ones, are
  /// the same questions for every seed.
  bool depends_on_seed(const EvaluationSettings& s) const {
    if (ways > 0 || s.queries > 0) return true;
    if (s.control == Control::shuffled || s.control == Control::shuffled_labels) return true;
    return s.shown() > 0 && (s.support == Support::random || s.permutations > 1);
  }
  /// Those of all seeds. What does not depend on the seed is run once: asked again it would be the same answers, and no
  /// trial more.
  std::vector<EvaluationSettings> runs() const {
    std::vector<EvaluationSettings> all;
    for (const std::uint64_t seed : seeds)
      for (const EvaluationSettings& s : runs(seed))
        if (seed == seeds[0] || depends_on_seed(s)) all.push_back(s);
    return all;
  }
};

struct TaskPlan {
  std::string title;
  std::vector<PlannedTask> tasks;
};

namespace detail {

/// The value of a list of named ones. Throws with the names.
template <class T>
T named_value(const TaskJson& json, std::span<const T> values) {
  std::string names;
  for (const T value : values) {
    if (json.text() == name_of(value)) return value;
    (names += names.empty() ? "" : ", ") += name_of(value);
  }
  fail("plan", json.where(), ": found '", json.text(), "', expected one of ", names);
}

inline std::vector<int> planned_shots(const TaskJson& json) {
  std::vector<int> all;
  for (const TaskJson& shots : json.list()) all.push_back(shots.index(100000));
  check(!all.empty(), "plan", json.where(), ": found no number of shots, expected at least one");
  return all;
}

inline PlannedTask planned_task(const TaskJson& json) {
  using enum Control;
  constexpr std::string_view known[] = {
      "name",    "title", "about",           "kind",           "asking",   "items",         "support",
      "metrics", "shots", "text_only_shots", "supports",       "controls", "control_shots", "seeds",
      "queries", "ways",  "made_up_names",   "max_new_tokens", "best",     "references",    "published"};
  constexpr Control controls[] = {none, blank, shuffled, text_only, shuffled_labels, single_frame, shuffled_frames};
  constexpr Support supports[] = {Support::random, Support::rices};
  constexpr Asking askings[] = {Asking::write, Asking::choose, Asking::likelihood};
  constexpr TaskKind kinds[] = {TaskKind::caption, TaskKind::question, TaskKind::dialogue, TaskKind::classification,
                                TaskKind::meme,    TaskKind::action,   TaskKind::page};
  PlannedTask t{.name = json.at("name").text()};
  for (const auto& [name, ignored] : json.value().as_object())
    check(std::find(std::begin(known), std::end(known), name) != std::end(known), "plan", json.where(),
          ": found the member '", name, "', which a task does not have");
  check(!t.name.empty() && t.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == t.name.npos, "plan",
        json.where(), ".name: found '", t.name, "', expected small letters, digits, _ and -: files are named by it");
  t.title = json.has("title") ? json.at("title").text() : t.name;
  if (json.has("about")) t.about = json.at("about").text();
  t.kind = named_value<TaskKind>(json.at("kind"), kinds);
  t.asking = named_value<Asking>(json.at("asking"), askings);
  t.items = json.at("items").text();
  if (json.has("support")) t.support = json.at("support").text();
  for (const TaskJson& metric : json.at("metrics").list())
    t.metrics.push_back(named_value<TaskMetric>(metric, task_metrics));
  check(!t.metrics.empty(), "plan", json.where(), ".metrics: found none, expected at least one");
  if (json.has("shots")) t.shots = planned_shots(json.at("shots"));
  if (json.has("best")) {
    t.best = json.at("best").index(1 << 20);
    // Accuracy and top-5 look at no more than five.
    check(t.asking == Asking::choose && (t.best == 0 || t.best >= 5), "plan", json.where(), ".best: found ", t.best,
          ", expected 0, or 5 or more, of a task whose answers are chosen");
  }
  if (json.has("control_shots")) t.control_shots = planned_shots(json.at("control_shots"));
  if (json.has("text_only_shots")) t.text_only_shots = json.at("text_only_shots").index(1000);
  if (json.has("supports")) {
    t.supports.clear();
    for (const TaskJson& s : json.at("supports").list()) t.supports.push_back(named_value<Support>(s, supports));
    check(!t.supports.empty(), "plan", json.where(), ".supports: found none, expected at least one");
  }
  if (json.has("controls"))
    for (const TaskJson& c : json.at("controls").list()) t.controls.push_back(named_value<Control>(c, controls));
  if (json.has("seeds")) {
    t.seeds.clear();
    for (const TaskJson& s : json.at("seeds").list()) t.seeds.push_back(static_cast<std::uint64_t>(s.integer()));
    check(!t.seeds.empty(), "plan", json.where(), ".seeds: found none, expected at least one");
  }
  if (json.has("queries")) t.queries = static_cast<std::size_t>(json.at("queries").index(1 << 30));
  if (json.has("ways")) t.ways = json.at("ways").index(1000);
  if (json.has("made_up_names")) t.made_up_names = json.at("made_up_names").value().as_bool();
  if (json.has("max_new_tokens")) t.max_new_tokens = json.at("max_new_tokens").index(1 << 20);
  if (json.has("published")) t.published = json.at("published").text();
  if (json.has("references"))
    for (const TaskJson& r : json.at("references").list())
      t.references.push_back(
          {r.at("name").text(), r.has("shots") ? r.at("shots").index(100000) : -1, r.at("score").number()});
  check(t.ways == 0 || (t.queries > 0 && t.asking == Asking::choose), "plan", json.where(),
        ": episodes are a number of queries (more than 0) whose answers are chosen");
  return t;
}

}  // namespace detail

constexpr std::string_view name_of(Asking a) {
  return a == Asking::write ? "write" : a == Asking::choose ? "choose" : "likelihood";
}

/// {"title", "tasks": [{"name", "kind", "asking", "items", "metrics", ...}]}; a member of a name that is none of
/// PlannedTask's is refused.
inline TaskPlan read_task_plan(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  const io::Json parsed = io::Json::parse(file.text(), path.string());
  const TaskJson json(parsed, path.string() + ": plan");
  TaskPlan plan{json.at("title").text(), {}};
  for (const TaskJson& task : json.at("tasks").list()) {
    plan.tasks.push_back(detail::planned_task(task));
    for (std::size_t i = 0; i + 1 < plan.tasks.size(); ++i)
      check(plan.tasks[i].name != plan.tasks.back().name, "plan", task.where(), ".name: found ", plan.tasks.back().name,
            " a second time");
  }
  check(!plan.tasks.empty(), "plan", path.string(), ": found no task, expected at least one");
  return plan;
}

}  // namespace flamingo
