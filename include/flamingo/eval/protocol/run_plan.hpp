/// A whole plan with one model: every run of every task, resumed where it was interrupted, and all numbers as JSON.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/eval/protocol/evaluate.hpp>
#include <flamingo/eval/protocol/gallery.hpp>
#include <flamingo/eval/protocol/planned_data.hpp>
#include <flamingo/eval/protocol/prototypes.hpp>
#include <flamingo/eval/protocol/published.hpp>
#include <flamingo/eval/protocol/run_file.hpp>
#include <flamingo/eval/protocol/run_stamp.hpp>
#include <flamingo/eval/protocol/task_plan.hpp>
#include <flamingo/eval/protocol/task_score.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

struct EvaluationOptions {
  std::filesystem::path data, out;  ///< the folder of the items, and of the runs' files
  std::size_t queries = 0;          ///< at most so many of each task; 0: as planned
  std::vector<std::string> only{};  ///< names of tasks; empty: all
  std::size_t gallery = 6;          ///< right answers that are shown of each task, and as many wrong ones
  std::size_t looked_at = 2;        ///< of each, those with the attention of their words
  std::string checkpoint{};         ///< a hash of the weights
};

/// How far a plan is, in queries times prompts' pictures, which is what takes time.
struct PlanProgress {
  std::int64_t done = 0, all = 0, resumed = 0;
  std::string what;
};

namespace detail {

inline io::Json json_of(const Interval& i) {
  return io::Json::Object{{"mean", i.mean}, {"low", i.low}, {"high", i.high}};
}

/// "naming_4_random_none_0.jsonl"
inline std::string run_name(const EvaluationSettings& s) {
  return s.task + "_" + std::to_string(s.shots) + "_" + std::string(name_of(s.support)) + "_" +
         std::string(name_of(s.control)) + "_" + std::to_string(s.seed) + ".jsonl";
}

}  // namespace detail

/// Runs plans with a model.
///
/// The model answers as evaluate() asks (write, score), and has
/// - prompts(): its PromptSet, recorded with every run,
/// - encoder(), features(TaskMedium): a name and a vector for RICES and for nearest prototypes,
/// - look(prompt, text): LookedWords of the query's medium, or none,
/// - facts(): JSON about it for the report (its gates).
template <class Model>
class PlanRunner {
 public:
  PlanRunner(Model& model, EvaluationOptions options, Function<void(const PlanProgress&)> progress)
      : model_(model), options_(std::move(options)), progress_(std::move(progress)) {
    std::filesystem::create_directories(options_.out / "runs");
  }

  /// All numbers: {"title", "checkpoint", "model", "tasks": [...]}. Tasks whose files are missing are told as such.
  io::Json run(const TaskPlan& plan) {
    std::vector<std::pair<const PlannedTask*, std::unique_ptr<PlannedData>>> tasks;
    for (const std::string& name : options_.only)
      check(std::any_of(plan.tasks.begin(), plan.tasks.end(), [&](const PlannedTask& t) { return t.name == name; }),
            "plan", "there is no task ", name);
    at_ = {};
    for (const PlannedTask& task : plan.tasks) {
      if (!options_.only.empty() &&
          std::find(options_.only.begin(), options_.only.end(), task.name) == options_.only.end())
        continue;
      auto& data = tasks.emplace_back(&task, nullptr).second;
      if (!missing(task).empty()) continue;
      data = std::make_unique<PlannedData>(task, options_.data, options_.queries);
      for (const EvaluationSettings& s : data->task().runs())
        at_.all += static_cast<std::int64_t>(data->queries()) * cost_of(data->task(), s);
    }
    io::Json::Array all;
    for (auto& [task, data] : tasks)
      all.push_back(
          data ? run_task(*data)
               : io::Json(io::Json::Object{{"name", task->name}, {"title", task->title}, {"missing", missing(*task)}}));
    return io::Json::Object{{"title", plan.title},
                            {"checkpoint", options_.checkpoint},
                            {"model", model_.facts()},
                            {"tasks", std::move(all)}};
  }

 private:
  using Places = std::pair<std::vector<std::size_t>, std::vector<std::size_t>>;
  /// One (shots, support, control) over all seeds on which it depends.
  struct Cell {
    EvaluationSettings settings;
    std::map<TaskMetric, TaskScores> scores{};
    std::vector<double> trials{};
    std::map<std::string, TaskScores> by_type{};
    TokenCount tokens{};
    std::size_t queries = 0;
  };

  /// The most shots whose pictures a reader can still look over: ten.
  static int shots_of_gallery(const PlannedTask& task) {
    int best = *std::min_element(task.shots.begin(), task.shots.end());
    for (const int s : task.shots)
      if (s > best && s * std::max(1, task.ways) <= 10) best = s;
    return best;
  }
  static std::int64_t cost_of(const PlannedTask& task, const EvaluationSettings& s) {
    return 1 + std::int64_t{s.shown()} * std::max(1, task.ways);
  }
  std::string missing(const PlannedTask& task) const {
    for (const std::string& file : {task.items, task.support})
      if (!file.empty() && !std::filesystem::exists(options_.data / file)) return file;
    return {};
  }

  io::Json run_task(PlannedData& data) {
    const PlannedTask& task = data.task();
    std::vector<Cell> cells;
    io::Json::Array examples;
    // The items, and what else demonstrations are taken from.
    const std::array shown{media_.of(data.items()), media_.of(data.searched())};
    const std::string stamp = run_stamp(task, options_.data, model_.prompts(), shown);
    const bool retrieves = std::find(task.supports.begin(), task.supports.end(), Support::rices) != task.supports.end();
    std::optional<FeatureIndex> index;
    check(!retrieves || !data.searched().empty(), "plan", task.name, " asks for rices and names no support to search");
    if (retrieves || has_prototypes(data)) index = index_of(data);
    for (EvaluationSettings s : task.runs()) {
      s.checkpoint = options_.checkpoint;
      s.version = stamp;
      s.prompts = model_.prompts().name;
      EvaluationData given = data.of(s, index ? &*index : nullptr);
      given.prompts = &model_.prompts();
      given.features = [this](const TaskItem& item) { return features_of(item); };
      const auto path = options_.out / "runs" / detail::run_name(s);
      RunFile file(path, s.json());
      const std::int64_t cost = cost_of(task, s), before = at_.done;
      const Evaluation run = evaluate(model_, s, given, file, [&](const EvaluationProgress& p) {
        at_.done = before + static_cast<std::int64_t>(p.done) * cost;
        if (p.done == p.all) at_.resumed += static_cast<std::int64_t>(p.resumed) * cost;
        at_.what = task.name + ", " + std::to_string(s.shots) + " shots, " + std::string(name_of(s.support)) +
                   (s.control == Control::none ? "" : ", control " + std::string(name_of(s.control)));
        PlanProgress now = at_;
        if (p.done < p.all) now.resumed += static_cast<std::int64_t>(p.resumed) * cost;
        progress_(now);
      });
      add(cells, task, s, run);
      if (s.control == Control::none && s.seed == task.seeds[0] && s.support == task.supports[0] &&
          s.shots == shots_of_gallery(task))
        examples = gallery(task, given, run, file);
    }
    io::Json::Object found{{"name", task.name},
                           {"title", task.title},
                           {"about", task.about},
                           {"metric", name_of(task.metrics[0])},
                           {"more_is_better", more_is_better(task.metrics[0])},
                           {"asking", name_of(task.asking)},
                           {"ways", task.ways},
                           {"items", static_cast<std::int64_t>(data.items().size())},
                           {"candidates", static_cast<std::int64_t>(task.ways > 0 ? static_cast<std::size_t>(task.ways)
                                                                                  : data.candidates().size())}};
    if (task.ways > 0) found.push_back({"classes", static_cast<std::int64_t>(data.episodes(task.seeds[0]).classes())});
    if (const auto chance = data.chance()) found.push_back({"chance", *chance});
    found.push_back({"references", references(task)});
    if (has_prototypes(data)) found.push_back({"prototypes", prototypes(data, *index)});
    io::Json::Array runs;
    for (Cell& cell : cells) runs.push_back(json_of(task, cell));
    found.push_back({"runs", std::move(runs)});
    found.push_back({"examples", std::move(examples)});
    return io::Json(std::move(found));
  }

  static void add(std::vector<Cell>& cells, const PlannedTask& task, const EvaluationSettings& s,
                  const Evaluation& run) {
    auto cell = std::find_if(cells.begin(), cells.end(), [&](const Cell& c) {
      return c.settings.shots == s.shots && c.settings.support == s.support && c.settings.control == s.control;
    });
    if (cell == cells.end()) cell = cells.insert(cells.end(), Cell{.settings = s});
    for (const TaskMetric metric : task.metrics) {
      TaskScores scores = task_scores(metric, run.queries, run.predictions);
      // Each seed draws episodes of its own, whose numbers begin anew.
      if (task.ways > 0)
        for (std::string& id : scores.ids) id += " of seed " + std::to_string(s.seed);
      cell->scores[metric].add(scores);
      if (metric != task.metrics[0]) continue;
      std::vector<std::size_t> places(scores.items.size());
      for (std::size_t i = 0; i < places.size(); ++i) places[i] = i;
      cell->trials.push_back(scores.of(places));
      if (!scores.groups.empty()) continue;
      for (std::size_t i = 0; i < places.size(); ++i)
        if (!run.queries[i].type.empty()) cell->by_type[run.queries[i].type].items.push_back(scores.items[i]);
    }
    cell->tokens += run.tokens;
    cell->queries += run.queries.size();
  }

  static io::Json json_of(const PlannedTask& task, const Cell& cell) {
    io::Json::Object scores, types;
    for (const TaskMetric metric : task.metrics)
      scores.push_back({std::string(name_of(metric)), detail::json_of(cell.scores.at(metric).interval())});
    if (cell.by_type.size() > 1 && cell.by_type.size() <= 12)
      for (const auto& [type, of_type] : cell.by_type) types.push_back({type, mean(of_type.items)});
    io::Json::Array trials(cell.trials.begin(), cell.trials.end());
    io::Json::Object json{{"shots", cell.settings.shots},
                          {"support", name_of(cell.settings.support)},
                          {"control", name_of(cell.settings.control)},
                          {"queries", static_cast<std::int64_t>(cell.queries)},
                          {"scores", std::move(scores)},
                          {"trials", std::move(trials)}};
    if (cell.trials.size() > 1) json.push_back({"over_trials", detail::json_of(trials_interval(cell.trials))});
    if (!types.empty()) json.push_back({"by_type", std::move(types)});
    json.push_back({"tokens_read", cell.tokens.read});
    json.push_back({"tokens_one_by_one", cell.tokens.one_by_one});
    return io::Json(std::move(json));
  }

  /// What others scored: the plan's numbers, and rows of the papers.
  static io::Json references(const PlannedTask& task) {
    io::Json::Array all;
    const auto put = [&](std::string_view name, int shots, double score) {
      all.push_back(io::Json::Object{{"name", name}, {"shots", shots}, {"score", score}});
    };
    for (const Reference& r : task.references) put(r.name, r.shots, r.score);
    if (!task.published.empty())
      for (const auto rows :
           {std::span<const PublishedRow>(flamingo_rows), std::span<const PublishedRow>(open_flamingo_rows)})
        for (const PublishedRow& row : rows)
          if (const double score = published(rows, row.model, row.shots, task.published); score != not_published)
            put(row.model, row.shots, score);
    return io::Json(std::move(all));
  }

  /// What the features score by themselves: {"shots" (-1: the whole support), "score"}.
  io::Json prototypes(PlannedData& data, const FeatureIndex& index) {
    io::Json::Array all;
    for (const PrototypeScore& p :
         prototype_scores(data, index, [this](const TaskItem& item) { return features_of(item); }))
      all.push_back(io::Json::Object{{"shots", p.shots}, {"score", detail::json_of(p.scores.interval())}});
    return io::Json(std::move(all));
  }

  // Features, for RICES and for prototypes.

  std::vector<float> features_of(const TaskItem& item) {
    check(!item.media.empty(), "plan", "item ", item.id, " has no picture to be compared by");
    std::vector<float>& known = features_[item.media[0].path];
    if (known.empty()) known = model_.features(item.media[0]);
    return known;
  }
  /// The index of what is searched, from its file if the same pictures and the same checkpoint made it.
  FeatureIndex index_of(const PlannedData& data) {
    const auto path =
        options_.out /
        ("features_" + features_key(data.searched(), model_.encoder(), options_.checkpoint) + ".safetensors");
    if (std::filesystem::exists(path)) {
      FeatureIndex index = FeatureIndex::load(path, model_.encoder());
      for (std::size_t i = 0; i < index.ids().size(); ++i) {
        const auto features = index.features_of(i);
        features_[data.searched()[i].media[0].path].assign(features.begin(), features.end());
      }
      return index;
    }
    std::optional<FeatureIndex> index;
    for (const TaskItem& item : data.searched()) {
      const std::vector<float> features = features_of(item);
      if (!index) index.emplace(model_.encoder(), static_cast<int>(features.size()));
      index->add(item.id, features);
      PlanProgress now = at_;
      now.what = "features of " + data.task().name + " " + std::to_string(index->ids().size()) + "/" +
                 std::to_string(data.searched().size());
      progress_(now);
    }
    index->save(path);
    return *std::move(index);
  }

  // What a reader looks at.

  io::Json::Array gallery(const PlannedTask& task, const EvaluationData& given, const Evaluation& run,
                          const RunFile& file) {
    const TaskScores scores = task_scores(task.metrics[0], run.queries, run.predictions);
    const auto [right, wrong] = detail::gallery_places(task.metrics[0], scores, options_.gallery);
    io::Json::Array all;
    for (const bool is_right : {true, false}) {
      std::size_t looked = 0;
      for (const std::size_t i : is_right ? right : wrong)
        all.push_back(
            gallery_example(model_, given, run, file, {i, is_right, scores.items[i], looked++ < options_.looked_at}));
    }
    return all;
  }
  Model& model_;
  EvaluationOptions options_;
  Function<void(const PlanProgress&)> progress_;
  PlanProgress at_;
  std::map<std::string, std::vector<float>> features_;
  MediaHashes media_;
};

}  // namespace flamingo
