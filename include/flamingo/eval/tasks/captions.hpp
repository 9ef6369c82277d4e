/// Captions of pictures and videos: COCO and Flickr30k in Karpathy's splits, VATEX, YouCook2.
#pragma once
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/tasks/json_reader.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

/// dataset_coco.json or dataset_flickr30k.json: {"images": [{"filepath"?, "filename", "cocoid"?, "split", "sentences":
/// [{"raw"}]}]}. Pictures lie in images/[filepath/]filename. COCO's "restval" counts as train, as everybody trains on
/// it. Ids are COCO's, or of Flickr30k the names without their extension.
inline std::vector<TaskItem> karpathy_items(const std::filesystem::path& file, const std::filesystem::path& images) {
  std::vector<TaskItem> items;
  each_element(file, "images", [&](const TaskJson& json) {
    const std::string name = json.at("filename").text();
    TaskItem item{.id = json.has("cocoid") ? json.at("cocoid").id() : std::filesystem::path(name).stem().string()};
    const auto folder = json.has("filepath") ? images / json.at("filepath").text() : images;
    item.media.push_back({(folder / name).string()});
    for (const TaskJson& sentence : json.at("sentences").list()) item.answers.push_back(sentence.at("raw").text());
    item.split = json.at("split").text();
    if (item.split == "restval") item.split = "train";
    items.push_back(std::move(item));
  });
  return items;
}

/// [{"image_id", "caption"}], for pycocoevalcap. Ids of Flickr30k are texts there.
inline void write_captions(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  write_id_text_list(path, "image_id", "caption", predictions);
}

/// vatex_*_v1.0.json: [{"videoID": NAME_start_end, "enCap"?: [...]}]; clips lie in videos/videoID.mp4, cut already.
inline std::vector<TaskItem> vatex_items(const std::filesystem::path& file, const std::filesystem::path& videos,
                                         std::string_view split) {
  std::vector<TaskItem> items;
  each_element(file, "", [&](const TaskJson& json) {
    TaskItem item{.id = json.at("videoID").text()};
    item.media.push_back({(videos / (item.id + ".mp4")).string(), true});
    if (json.has("enCap")) item.answers = json.at("enCap").texts();
    item.split = split;
    items.push_back(std::move(item));
  });
  return items;
}

/// {"videoID": "caption", ...}
inline void write_vatex(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  io::Json::Object all;
  for (const Prediction& p : predictions) all.push_back({p.id, p.text});
  write_text(path, io::Json(std::move(all)).dump());
}

/// youcookii_annotations_trainval.json: {"database": {VIDEO: {"subset", "annotations": [{"id", "segment": [start, end],
/// "sentence"}]}}}. An item is a segment, its id VIDEO/id; subsets are training and validation. Videos lie in
/// videos/VIDEO.mp4.
inline std::vector<TaskItem> youcook2_items(const std::filesystem::path& file, const std::filesystem::path& videos) {
  std::vector<TaskItem> items;
  with_json(file, [&](const TaskJson& top) {
    const TaskJson database = top.at("database");
    check(database.value().is_object(), "task", database.where(), ": expected an object of videos");
    for (const auto& [name, ignored] : database.value().as_object()) {
      const TaskJson video = database.at(name);
      for (const TaskJson& json : video.at("annotations").list()) {
        const std::vector<TaskJson> segment = json.at("segment").list();
        check(segment.size() == 2 && segment[0].number() < segment[1].number(), "task", json.where(),
              ".segment: expected [start, end] in seconds");
        TaskItem item{.id = name + "/" + json.at("id").id()};
        item.media.push_back({(videos / (name + ".mp4")).string(), true, segment[0].number(), segment[1].number()});
        item.answers = {json.at("sentence").text()};
        item.split = video.at("subset").text();
        items.push_back(std::move(item));
      }
    }
  });
  return items;
}

/// ActivityNet's layout: {"version", "results": {VIDEO: [{"sentence", "timestamp": [start, end]}]}, "external_data"}.
inline void write_youcook2(const std::filesystem::path& path, std::span<const TaskItem> items,
                           std::span<const Prediction> predictions) {
  check_predictions(items, predictions);
  std::map<std::string, io::Json::Array> videos;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const TaskMedium& medium = items[i].media.at(0);
    videos[items[i].id.substr(0, items[i].id.rfind('/'))].push_back(
        io::Json::Object{{"sentence", predictions[i].text}, {"timestamp", io::Json::Array{medium.start, medium.end}}});
  }
  io::Json::Object results;
  for (auto& [name, sentences] : videos) results.push_back({name, std::move(sentences)});
  write_text(path, io::Json(io::Json::Object{{"version", "VERSION 1.0"},
                                             {"results", std::move(results)},
                                             {"external_data", io::Json::Object{{"used", false}}}})
                       .dump());
}

}  // namespace flamingo
