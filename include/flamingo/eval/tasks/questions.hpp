/// Questions about pictures: VQAv2, OK-VQA, TextVQA, VizWiz.
#pragma once
#include <cstdio>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/eval/tasks/json_reader.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

/// COCO_SUBTYPE_000000000042.jpg
inline std::string coco_file_name(std::string_view subtype, std::int64_t image) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%012lld", static_cast<long long>(image));
  return "COCO_" + std::string(subtype) + "_" + digits + ".jpg";
}

/// VQAv2 and OK-VQA: a file of questions {"questions": [{"question_id", "image_id", "question"}]} and one of
/// annotations
/// {"annotations": [{"question_id", "question_type", "answer_type", "answers": [{"answer"}]}]}, which test sets lack
/// (an empty path). Pictures are images/COCO_SUBTYPE_*.jpg, the subtype being train2014, val2014 or test2015.
inline std::vector<TaskItem> vqa_items(const std::filesystem::path& questions, const std::filesystem::path& annotations,
                                       const std::filesystem::path& images, std::string_view subtype) {
  struct Answers {
    std::vector<std::string> texts;
    std::string type;
  };
  std::map<std::string, Answers> answers;
  if (!annotations.empty())
    each_element(annotations, "annotations", [&](const TaskJson& json) {
      Answers found;
      for (const TaskJson& answer : json.at("answers").list()) found.texts.push_back(answer.at("answer").text());
      if (json.has("answer_type")) found.type = json.at("answer_type").text();
      const std::string id = json.at("question_id").id();
      check(answers.emplace(id, std::move(found)).second, "task", json.where(), ": question ", id, " is there twice");
    });
  std::vector<TaskItem> items;
  each_element(questions, "questions", [&](const TaskJson& json) {
    TaskItem item{.id = json.at("question_id").id()};
    item.media.push_back({(images / coco_file_name(subtype, json.at("image_id").integer())).string()});
    item.question = json.at("question").text();
    item.split = subtype;
    if (!annotations.empty()) {
      const auto found = answers.find(item.id);
      check(found != answers.end(), "task", json.where(), ": ", annotations.string(), " has no annotation of question ",
            item.id);
      item.answers = std::move(found->second.texts);
      item.type = std::move(found->second.type);
    }
    items.push_back(std::move(item));
  });
  return items;
}

/// [{"question_id", "answer"}]: VQAv2, OK-VQA, TextVQA.
inline void write_answers(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  write_id_text_list(path, "question_id", "answer", predictions);
}

/// TextVQA_0.5.1_*.json: {"data": [{"question_id", "image_id", "question", "set_name", "answers"?: [...]}]}; pictures
/// are images/image_id.jpg. What its OCR read is not part of an item: the paper does not use it.
inline std::vector<TaskItem> text_vqa_items(const std::filesystem::path& file, const std::filesystem::path& images) {
  std::vector<TaskItem> items;
  each_element(file, "data", [&](const TaskJson& json) {
    TaskItem item{.id = json.at("question_id").id()};
    item.media.push_back({(images / (json.at("image_id").text() + ".jpg")).string()});
    item.question = json.at("question").text();
    if (json.has("answers")) item.answers = json.at("answers").texts();
    item.split = json.at("set_name").text();
    items.push_back(std::move(item));
  });
  return items;
}

/// train.json, val.json or test.json of VizWiz: [{"image", "question", "answers"?: [{"answer"}], "answer_type"?}]; the
/// id is the picture's name.
inline std::vector<TaskItem> vizwiz_items(const std::filesystem::path& file, const std::filesystem::path& images) {
  std::vector<TaskItem> items;
  each_element(file, "", [&](const TaskJson& json) {
    TaskItem item{.id = json.at("image").text()};
    item.media.push_back({(images / item.id).string()});
    item.question = json.at("question").text();
    if (json.has("answers"))
      for (const TaskJson& answer : json.at("answers").list()) item.answers.push_back(answer.at("answer").text());
    if (json.has("answer_type")) item.type = json.at("answer_type").text();
    item.split = file.stem().string();
    items.push_back(std::move(item));
  });
  return items;
}

/// [{"image", "answer"}]
inline void write_vizwiz(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  io::Json::Array all;
  for (const Prediction& p : predictions) all.push_back(io::Json::Object{{"image", p.id}, {"answer", p.text}});
  write_text(path, io::Json(std::move(all)).dump());
}

}  // namespace flamingo
