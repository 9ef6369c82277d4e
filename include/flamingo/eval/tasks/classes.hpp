/// Pictures with a class each: HatefulMemes and ImageNet.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/eval/metrics/ranking.hpp>
#include <flamingo/eval/tasks/csv.hpp>
#include <flamingo/eval/tasks/json_reader.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

/// The candidates of HatefulMemes, in the order of its labels.
inline const std::vector<std::string>& hateful_memes_candidates() {
  static const std::vector<std::string> names{"no", "yes"};
  return names;
}

/// train.jsonl, dev_seen.jsonl, test_seen.jsonl ...: lines {"id", "img": "img/42953.png", "text", "label"?: 0 or 1}.
inline std::vector<TaskItem> hateful_memes_items(const std::filesystem::path& file,
                                                 const std::filesystem::path& folder) {
  std::vector<TaskItem> items;
  each_line(file, [&](const TaskJson& json) {
    TaskItem item{.id = json.at("id").id()};
    item.media.push_back({(folder / json.at("img").text()).string()});
    item.fields.push_back({"text", json.at("text").text()});
    if (json.has("label")) {
      item.label = json.at("label").index(2);
      item.answers = {hateful_memes_candidates()[static_cast<std::size_t>(item.label)]};
    }
    item.split = file.stem().string();
    items.push_back(std::move(item));
  });
  return items;
}

/// id,proba,label as the challenge takes it: the probability of "yes" between the two candidates' scores.
inline void write_hateful_memes(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  std::string text = "id,proba,label\n";
  for (const Prediction& p : predictions) {
    check_scores_of(p, 2);
    const double probability = 1 / (1 + std::exp(p.scores[0] - p.scores[1]));
    char line[96];
    std::snprintf(line, sizeof line, ",%.9g,%d\n", probability, p.scores[1] > p.scores[0]);
    text += csv_field(p.id) + line;
  }
  write_text(path, text);
}

/// The classes of ImageNet: WordNet ids, ascending, and names.
struct ImageNetClasses {
  std::vector<std::string> ids, names;

  /// LOC_synset_mapping.txt (lines "n01440764 tench, Tinca tinca"; the first name counts) or imagenet_class_index.json
  /// ({"0": ["n01440764", "tench"]}, underscores for spaces).
  static ImageNetClasses of(const std::filesystem::path& file) {
    std::vector<std::pair<std::string, std::string>> all;
    if (file.extension() == ".json") {
      with_json(file, [&](const TaskJson& top) {
        for (std::size_t i = 0; top.has(std::to_string(i)); ++i) {
          const std::vector<TaskJson> pair = top.at(std::to_string(i)).list();
          check(pair.size() == 2, "task", top.where(), ".", i, ": expected [id, name]");
          std::string name = pair[1].text();
          std::replace(name.begin(), name.end(), '_', ' ');
          all.emplace_back(pair[0].text(), std::move(name));
        }
      });
    } else {
      const io::MappedFile mapped(file);
      const std::string_view text = mapped.text();
      for (std::size_t at = 0, number = 1; at < text.size(); ++number) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (line.empty()) continue;
        const std::size_t space = line.find(' ');
        check(space != line.npos && space + 1 < line.size(), "task", file.string(), ", line ", number, ": found '",
              line, "', expected an id, a space and names");
        const std::string_view names = line.substr(space + 1);
        all.emplace_back(line.substr(0, space), names.substr(0, names.find(',')));
      }
    }
    check(!all.empty(), "task", file.string(), ": found no classes");
    std::sort(all.begin(), all.end());
    ImageNetClasses classes;
    for (auto& [id, name] : all) {
      check(classes.ids.empty() || classes.ids.back() != id, "task", file.string(), ": the class ", id,
            " is there twice");
      classes.ids.push_back(std::move(id));
      classes.names.push_back(std::move(name));
    }
    return classes;
  }
  /// The place of a WordNet id. Throws where there is none.
  int label(std::string_view id, const std::string& where) const {
    const auto found = std::lower_bound(ids.begin(), ids.end(), id);
    check(found != ids.end() && *found == id, "task", where, ": found the class '", id, "', expected one of ",
          ids.size(), " known ones");
    return static_cast<int>(found - ids.begin());
  }
};

/// Pictures in folder/WNID/*, in the order of their names, as train/ and sorted val/ lie; the id is WNID/name.
inline std::vector<TaskItem> image_net_items(const std::filesystem::path& folder, const ImageNetClasses& classes,
                                             std::string_view split) {
  check(std::filesystem::is_directory(folder), "task", folder.string(), ": expected a folder of classes");
  std::vector<TaskItem> items;
  for (const auto& group : std::filesystem::directory_iterator(folder)) {
    if (!group.is_directory()) continue;
    const std::string wnid = group.path().filename().string();
    const int label = classes.label(wnid, group.path().string());
    for (const auto& file : std::filesystem::directory_iterator(group))
      items.push_back({.id = wnid + "/" + file.path().filename().string(),
                       .media = {{file.path().string()}},
                       .question = {},
                       .answers = {classes.names[static_cast<std::size_t>(label)]},
                       .label = label,
                       .split = std::string(split)});
  }
  std::sort(items.begin(), items.end(), [](const TaskItem& a, const TaskItem& b) { return a.id < b.id; });
  check(!items.empty(), "task", folder.string(), ": found no pictures in folders of classes");
  return items;
}

/// The validation set as it is packed, one folder of pictures, with LOC_val_solution.csv: ImageId,PredictionString
/// ("n03995372 85 1 499 272", the class first).
inline std::vector<TaskItem> image_net_val_items(const std::filesystem::path& solution,
                                                 const std::filesystem::path& folder, const ImageNetClasses& classes) {
  const Csv csv(solution);
  std::vector<TaskItem> items;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    const std::string& boxes = csv.text(row, "PredictionString");
    TaskItem item{.id = csv.text(row, "ImageId")};
    item.media.push_back({(folder / (item.id + ".JPEG")).string()});
    item.label = classes.label(boxes.substr(0, boxes.find(' ')), csv.where(row));
    item.answers = {classes.names[static_cast<std::size_t>(item.label)]};
    item.split = "val";
    items.push_back(std::move(item));
  }
  return items;
}

/// A line a picture: its five best classes, numbered from 1, as the challenge of ILSVRC takes them.
inline void write_image_net(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  std::string text;
  for (const Prediction& p : predictions) {
    const std::vector<std::size_t> best = flamingo::detail::best_first(p.scores);
    check(best.size() >= 5, "results", "item ", p.id, " has ", best.size(), " scores, expected at least 5");
    for (std::size_t i = 0; i < 5; ++i) (text += std::to_string(best[i] + 1)) += i < 4 ? ' ' : '\n';
  }
  write_text(path, text);
}

}  // namespace flamingo
