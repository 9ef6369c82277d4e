/// A task of one's own: a JSON object a line.
#pragma once
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <flamingo/eval/tasks/json_reader.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

namespace detail {

inline TaskItem json_lines_item(const TaskJson& json, const std::filesystem::path& folder) {
  constexpr std::string_view names[] = {"id",         "media", "question",  "fields", "history", "answers",
                                        "candidates", "label", "relevance", "split",  "type"};
  TaskItem item{.id = json.at("id").id()};
  for (const auto& [name, ignored] : json.value().as_object())
    check(std::find(std::begin(names), std::end(names), name) != std::end(names), "task", json.where(),
          ": found the member '", name, "', which an item does not have");
  for (const TaskJson& medium : json.at("media").list()) {
    if (medium.value().is_string()) {
      item.media.push_back({(folder / medium.text()).string()});
      continue;
    }
    const bool video = medium.has("video");
    TaskMedium m{(folder / medium.at(video ? "video" : "image").text()).string(), video};
    if (medium.has("start")) m.start = medium.at("start").number();
    if (medium.has("end")) m.end = medium.at("end").number();
    check(m.end == 0 || m.start < m.end, "task", medium.where(), ": found the times ", m.start, " to ", m.end);
    item.media.push_back(std::move(m));
  }
  if (json.has("question")) item.question = json.at("question").text();
  if (json.has("fields")) {
    const TaskJson fields = json.at("fields");
    check(fields.value().is_object(), "task", fields.where(), ": expected an object of texts");
    for (const auto& [name, ignored] : fields.value().as_object())
      item.fields.push_back({name, fields.at(name).text()});
  }
  if (json.has("history"))
    for (const TaskJson& turn : json.at("history").list())
      item.history.push_back({turn.at("question").text(), turn.at("answer").text()});
  if (json.has("answers")) item.answers = json.at("answers").texts();
  if (json.has("candidates")) item.candidates = json.at("candidates").texts();
  if (json.has("label"))
    item.label = item.candidates.empty() ? static_cast<int>(json.at("label").integer())
                                         : json.at("label").index(item.candidates.size());
  if (json.has("relevance")) {
    for (const TaskJson& r : json.at("relevance").list()) item.relevance.push_back(r.number());
    check(item.relevance.size() == item.candidates.size(), "task", json.where(), ".relevance: found ",
          item.relevance.size(), " numbers, expected one for each of ", item.candidates.size(), " candidates");
  }
  if (json.has("split")) item.split = json.at("split").text();
  if (json.has("type")) item.type = json.at("type").text();
  return item;
}

}  // namespace detail

/// Lines {"id", "media": ["a.jpg" or {"image" or "video": path, "start", "end"}], "question", "fields": {name: text},
/// "history": [{"question", "answer"}], "answers": [...], "candidates": [...], "label", "relevance": [...], "split",
/// "type"}; all but id and media may be missing, others are refused. Paths are relative to `folder`.
inline std::vector<TaskItem> json_lines_items(const std::filesystem::path& file, const std::filesystem::path& folder) {
  std::vector<TaskItem> items;
  std::set<std::string> ids;
  each_line(file, [&](const TaskJson& json) {
    items.push_back(detail::json_lines_item(json, folder));
    check(ids.insert(items.back().id).second, "task", json.where(), ": the id ", items.back().id, " is there twice");
  });
  return items;
}

/// Lines {"id", "text"?, "scores"?}
inline void write_json_lines(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  std::string lines;
  for (const Prediction& p : predictions) {
    io::Json::Object line{{"id", p.id}};
    if (p.scores.empty()) {
      line.push_back({"text", p.text});
    } else {
      line.push_back({"scores", io::Json::Array(p.scores.begin(), p.scores.end())});
    }
    (lines += io::Json(std::move(line)).dump()) += '\n';
  }
  write_text(path, lines);
}

}  // namespace flamingo
