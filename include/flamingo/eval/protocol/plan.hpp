/// What is run: a task's settings, all that a result must tell to be repeated. And the paper's DEV protocol.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/prompts.hpp>
#include <flamingo/eval/protocol/draws.hpp>
#include <flamingo/eval/tasks/item.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

enum class Support : std::uint8_t { random, rices };
/// What is taken away, to show whether it is used. A query's own pictures are replaced by blank ones or another
/// query's; nobody has any (text_only); the demonstrations' answers are dealt out anew among them (shuffled_labels); of
/// a video the first frame is shown alone, or its frames in another order. Demonstrations keep their pictures
/// otherwise.
enum class Control : std::uint8_t { none, blank, shuffled, text_only, shuffled_labels, single_frame, shuffled_frames };

constexpr std::string_view name_of(Support s) { return s == Support::random ? "random" : "rices"; }
constexpr std::string_view name_of(Control c) {
  constexpr std::string_view names[] = {"none",         "blank",          "shuffled", "text_only", "shuffled_labels",
                                        "single_frame", "shuffled_frames"};
  return names[static_cast<std::size_t>(c)];
}
constexpr std::string_view name_of(TaskKind k) {
  constexpr std::string_view names[] = {"caption", "question", "dialogue", "classification", "meme", "action", "page"};
  return names[static_cast<std::size_t>(k)];
}

struct EvaluationSettings {
  std::string task{};
  TaskKind kind = TaskKind::caption;
  std::string prompts = "paper";  ///< the set's name
  int shots = 4;
  int text_only_shots = 2;  ///< demonstrations without pictures that a prompt of no shots has; closed-ended: may be 0
  Support support = Support::random;
  Control control = Control::none;
  std::size_t queries = 0;  ///< as many are drawn; 0: all, in their order
  std::uint64_t seed = 0;   ///< of all draws; trials differ by it
  int beams = 3;
  double length_penalty = 0;
  int max_new_tokens = 20;
  std::size_t permutations = 1;   ///< of demonstrations, over which closed-ended scores are averaged
  bool normalise_length = false;  ///< closed-ended: the mean log-probability of a token instead of the sum
  std::size_t best = 0;  ///< closed-ended: so many of the likeliest candidates get their whole score, the others a
                         ///< bound below it (infer/score.hpp); 0: all
  std::string checkpoint{}, version{};  ///< a hash of the weights, and of the program

  /// Of a prompt: its own demonstrations, or those without pictures.
  int shown() const { return shots > 0 ? shots : text_only_shots; }

  io::Json json() const {
    return io::Json::Object{{"task", task},
                            {"kind", name_of(kind)},
                            {"prompts", prompts},
                            {"shots", shots},
                            {"text_only_shots", text_only_shots},
                            {"support", name_of(support)},
                            {"control", name_of(control)},
                            {"queries", static_cast<std::int64_t>(queries)},
                            {"seed", std::to_string(seed)},
                            {"beams", beams},
                            {"length_penalty", length_penalty},
                            {"max_new_tokens", max_new_tokens},
                            {"permutations", static_cast<std::int64_t>(permutations)},
                            {"normalise_length", normalise_length},
                            {"best", static_cast<std::int64_t>(best)},
                            {"checkpoint", checkpoint},
                            {"version", version}};
  }
};

/// The shots of the paper's tables.
inline const std::vector<int>& published_shots() {
  static const std::vector<int> shots{0, 4, 8, 16, 32};
  return shots;
}

/// A benchmark of the paper (table 6): what it is scored by, whether choices were made on it.
struct Benchmark {
  std::string_view name;
  TaskKind kind;
  std::string_view metric;
  bool dev, generative;
  std::string_view split;
};
inline constexpr Benchmark benchmarks[] = {
    {"imagenet", TaskKind::classification, "top-1", true, false, "val"},
    {"coco", TaskKind::caption, "CIDEr", true, true, "test"},
    {"vqav2", TaskKind::question, "VQA accuracy", true, true, "test-dev"},
    {"okvqa", TaskKind::question, "VQA accuracy", true, true, "val"},
    {"flickr30k", TaskKind::caption, "CIDEr", false, true, "test"},
    {"vizwiz", TaskKind::question, "VQA accuracy", false, true, "test-dev"},
    {"textvqa", TaskKind::question, "VQA accuracy", false, true, "val"},
    {"visdial", TaskKind::dialogue, "NDCG", false, false, "val"},
    {"hatefulmemes", TaskKind::meme, "ROC AUC", false, false, "seen test"},
    {"kinetics", TaskKind::classification, "mean of top-1 and top-5", true, false, "val"},
    {"vatex", TaskKind::caption, "CIDEr", true, true, "test"},
    {"msvdqa", TaskKind::question, "top-1", true, true, "test"},
    {"youcook2", TaskKind::caption, "CIDEr", false, true, "val"},
    {"msrvttqa", TaskKind::question, "top-1", false, true, "test"},
    {"ivqa", TaskKind::question, "iVQA accuracy", false, true, "test"},
    {"rareact", TaskKind::action, "mWAP", false, false, "test"},
    {"nextqa", TaskKind::question, "WUPS", false, true, "test"},
    {"star", TaskKind::question, "top-1", false, false, "test"}};

/// Throws where the paper has no such benchmark.
inline const Benchmark& benchmark(std::string_view name) {
  for (const Benchmark& b : benchmarks)
    if (b.name == name) return b;
  fail("plan", "the paper has no benchmark '", name, '\'');
}

/// Items of one task, in four disjoint parts: choices are made by validation, the test is run once.
struct DevSplit {
  std::vector<TaskItem> validation_support, validation_query, test_support, test_query;
};

/// The paper's DEV protocol: both validation parts and the test's support come from the training split, disjoint; the
/// test's queries are the official ones. 2,048 support samples; 5,000 queries of COCO, 1,024 of VATEX and of questions;
/// of classification 32 supports and 10 queries a class. Refuses tasks of the other eleven benchmarks, on which no
/// choice may be made, and training splits that are too few.
inline DevSplit dev_split(std::string_view task, std::span<const TaskItem> training, std::vector<TaskItem> test,
                          std::uint64_t seed) {
  const Benchmark& b = benchmark(task);
  check(b.dev, "plan", "no choice may be made on ", task, ": it is none of the paper's DEV benchmarks");
  DevSplit split;
  split.test_query = std::move(test);
  std::vector<std::size_t> order =
      drawn(draw_for(seed, "dev split of " + std::string(task)), training.size(), training.size());
  if (b.kind == TaskKind::classification) {
    std::vector<std::size_t> taken;
    for (const std::size_t i : order) {
      check(training[i].label >= 0, "plan", "item ", training[i].id, " of ", task, " has no label");
      const auto label = static_cast<std::size_t>(training[i].label);
      if (taken.size() <= label) taken.resize(label + 1, 0);
      const std::size_t n = taken[label]++;
      if (n < 32)
        split.validation_support.push_back(training[i]);
      else if (n < 42)
        split.validation_query.push_back(training[i]);
      else if (n < 74)
        split.test_support.push_back(training[i]);
    }
    for (std::size_t label = 0; label < taken.size(); ++label)
      check(taken[label] >= 74, "plan", "class ", label, " of ", task, " has ", taken[label],
            " training items, expected at least 74");
    return split;
  }
  const std::size_t support = 2048, query = task == "coco" ? 5000 : 1024;
  check(order.size() >= 2 * support + query, "plan", task, " has ", order.size(), " training items, expected at least ",
        2 * support + query);
  for (std::size_t n = 0; n < 2 * support + query; ++n)
    (n < support           ? split.validation_support
     : n < support + query ? split.validation_query
                           : split.test_support)
        .push_back(training[order[n]]);
  return split;
}

}  // namespace flamingo
