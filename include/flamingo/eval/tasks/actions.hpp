/// Actions in videos: RareAct and Kinetics.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/metrics/ranking.hpp>
#include <flamingo/eval/metrics/rare_act.hpp>
#include <flamingo/eval/tasks/csv.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

/// rareact.csv: id, video_id, start, end, class_id, verb, noun, annotation. An item is a clip; every clip has all
/// actions as candidates, so they are the task's (rare_act_actions). Videos lie in videos/video_id.mp4.
struct RareAct {
  std::vector<TaskItem> items;
  std::vector<RareActClip> clips;                            ///< of each item
  std::vector<std::pair<std::string, std::string>> actions;  ///< (verb, noun) of each class_id

  static RareAct of(const std::filesystem::path& file, const std::filesystem::path& videos) {
    const Csv csv(file);
    RareAct task;
    std::map<int, std::pair<std::string, std::string>> actions;
    for (std::size_t row = 0; row < csv.rows(); ++row) {
      const RareActClip clip{csv.text(row, "video_id"), csv.text(row, "verb"), csv.text(row, "noun"),
                             csv.integer(row, "class_id"), csv.integer(row, "annotation")};
      check(clip.annotation >= 0 && clip.annotation <= 4, "task", csv.where(row), ", column annotation: found ",
            clip.annotation, ", expected 0 to 4");
      const auto [known, added] = actions.emplace(clip.action, std::pair(clip.verb, clip.noun));
      check(added || known->second == std::pair(clip.verb, clip.noun), "task", csv.where(row), ": class ", clip.action,
            " is '", clip.verb, ' ', clip.noun, "', and was '", known->second.first, ' ', known->second.second, '\'');
      TaskItem item{.id = csv.text(row, "id")};
      item.media.push_back(
          {(videos / (clip.video + ".mp4")).string(), true, csv.number(row, "start"), csv.number(row, "end")});
      item.fields = {{"verb", clip.verb}, {"noun", clip.noun}};
      if (clip.annotation == 1) item.label = clip.action;
      item.split = "test";
      task.items.push_back(std::move(item));
      task.clips.push_back(clip);
    }
    for (const auto& [number, action] : actions) {
      check(number == static_cast<int>(task.actions.size()), "task", file.string(), ": found the class ", number,
            ", expected ", task.actions.size(), ": classes are numbered from 0");
      task.actions.push_back(action);
    }
    return task;
  }
};

/// The matrix of scores (clips, actions) as a NumPy file of float64, which the task's own script loads.
inline void write_rare_act(const std::filesystem::path& path, std::span<const Prediction> predictions,
                           std::size_t actions) {
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (" + std::to_string(predictions.size()) +
                       ", " + std::to_string(actions) + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ') += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  (bytes += static_cast<char>(header.size() & 255)) += static_cast<char>(header.size() >> 8);
  bytes += header;
  for (const Prediction& p : predictions) {
    check_scores_of(p, actions);
    for (const double score : p.scores) {
      std::uint64_t bits = 0;
      std::memcpy(&bits, &score, sizeof bits);
      for (int byte = 0; byte < 8; ++byte) bytes += static_cast<char>((bits >> (8 * byte)) & 255);
    }
  }
  write_text(path, bytes);
}

/// Kinetics: its classes in alphabetical order, and clips.
struct Kinetics {
  std::vector<TaskItem> items;
  std::vector<std::string> classes;

  /// {train,validate,test}.csv: label (test sets lack it), youtube_id, time_start, time_end, split. Clips are cut
  /// already and lie in videos/[label/]ID_000010_000020.mp4. `classes` are those of the training file where the labels
  /// of this one may not be all; empty: those of this file.
  static Kinetics of(const std::filesystem::path& file, const std::filesystem::path& videos,
                     std::vector<std::string> classes = {}, bool in_folders = true) {
    const Csv csv(file);
    const bool labelled = csv.has("label");
    if (classes.empty() && labelled) {
      std::set<std::string> names;
      for (std::size_t row = 0; row < csv.rows(); ++row) names.insert(csv.text(row, "label"));
      classes.assign(names.begin(), names.end());
    }
    check(std::is_sorted(classes.begin(), classes.end()), "task", "the classes of Kinetics are not in their order");
    Kinetics task{{}, std::move(classes)};
    for (std::size_t row = 0; row < csv.rows(); ++row) {
      char times[64];
      std::snprintf(times, sizeof times, "_%06d_%06d", csv.integer(row, "time_start"), csv.integer(row, "time_end"));
      TaskItem item{.id = csv.text(row, "youtube_id") + times};
      std::filesystem::path place = videos;
      if (labelled) {
        const std::string& label = csv.text(row, "label");
        const auto found = std::lower_bound(task.classes.begin(), task.classes.end(), label);
        check(found != task.classes.end() && *found == label, "task", csv.where(row), ": found the class '", label,
              "', expected one of ", task.classes.size());
        item.label = static_cast<int>(found - task.classes.begin());
        item.answers = {label};
        if (in_folders) place /= label;
      }
      item.media.push_back({(place / (item.id + ".mp4")).string(), true});
      item.split = csv.text(row, "split");
      task.items.push_back(std::move(item));
    }
    return task;
  }
};

/// {"version", "results": {youtube_id: [{"label", "score"}, five of them]}, "external_data"}, as the challenge takes
/// it.
inline void write_kinetics(const std::filesystem::path& path, std::span<const std::string> classes,
                           std::span<const Prediction> predictions) {
  io::Json::Object results;
  for (const Prediction& p : predictions) {
    check_scores_of(p, classes.size());
    const std::vector<std::size_t> best = flamingo::detail::best_first(p.scores);
    io::Json::Array five;
    for (std::size_t i = 0; i < std::min<std::size_t>(5, best.size()); ++i)
      five.push_back(io::Json::Object{{"label", classes[best[i]]}, {"score", p.scores[best[i]]}});
    check(p.id.size() > 14, "results", "the item ", p.id, " is none of Kinetics: expected ID_000010_000020");
    results.push_back({p.id.substr(0, p.id.size() - 14), std::move(five)});
  }
  write_text(path, io::Json(io::Json::Object{{"version", "KINETICS VERSION 1.0"},
                                             {"results", std::move(results)},
                                             {"external_data", io::Json::Object{{"used", false}}}})
                       .dump());
}

}  // namespace flamingo
