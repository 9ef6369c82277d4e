/// Visual dialogue (VisDial 1.0): rank a hundred answers to a question, after a caption and rounds before it.
#pragma once
#include <cstddef>
#include <filesystem>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/eval/metrics/ranking.hpp>
#include <flamingo/eval/tasks/json_reader.hpp>
#include <flamingo/eval/tasks/predictions.hpp>
#include <flamingo/eval/tasks/questions.hpp>

namespace flamingo {

/// visdial_1.0_*.json: {"split", "data": {"questions": [...], "answers": [...], "dialogs": [{"image_id", "caption",
/// "dialog": [{"question", "answer"?, "answer_options"?, "gt_index"?}]}]}}; and, where it is not an empty path, a file
/// of dense annotations [{"image_id", "round_id", "gt_relevance" or "relevance": [...]}].
///
/// An item is a round that has options, its id IMAGE/ROUND from 1; with dense annotations those rounds alone. Pictures
/// are images/VisualDialog_val2018_*.jpg (of val and test), or of train images/COCO_SUBTYPE_*.jpg as `image_name` says.
template <class ImageName>
std::vector<TaskItem> visdial_items(const std::filesystem::path& file, const std::filesystem::path& dense,
                                    const std::filesystem::path& images, const ImageName& image_name) {
  std::map<std::string, std::vector<double>> relevance;
  if (!dense.empty())
    each_element(dense, "", [&](const TaskJson& json) {
      std::vector<double> found;
      for (const TaskJson& r : json.at(json.has("relevance") ? "relevance" : "gt_relevance").list())
        found.push_back(r.number());
      relevance[json.at("image_id").id() + "/" + json.at("round_id").id()] = std::move(found);
    });
  std::vector<TaskItem> items;
  with_json(file, [&](const TaskJson& top) {
    const TaskJson data = top.at("data");
    const std::vector<std::string> questions = data.at("questions").texts(), answers = data.at("answers").texts();
    const std::string split = top.at("split").text();
    for (const TaskJson& dialog : data.at("dialogs").list()) {
      const std::int64_t image = dialog.at("image_id").integer();
      std::vector<TaskTurn> history;
      int round = 0;
      for (const TaskJson& turn : dialog.at("dialog").list()) {
        ++round;
        const std::string question = questions[static_cast<std::size_t>(turn.at("question").index(questions.size()))];
        TaskItem item{.id = std::to_string(image) + "/" + std::to_string(round)};
        const auto known = relevance.find(item.id);
        if (turn.has("answer_options") && (dense.empty() || known != relevance.end())) {
          item.media.push_back({(images / image_name(split, image)).string()});
          item.question = question;
          item.fields = {{"caption", dialog.at("caption").text()}};
          item.history = history;
          for (const TaskJson& option : turn.at("answer_options").list())
            item.candidates.push_back(answers[static_cast<std::size_t>(option.index(answers.size()))]);
          if (turn.has("gt_index")) {
            item.label = turn.at("gt_index").index(item.candidates.size());
            item.answers = {item.candidates[static_cast<std::size_t>(item.label)]};
          }
          if (known != relevance.end()) {
            check(known->second.size() == item.candidates.size(), "task", dense.string(), ": round ", item.id, " has ",
                  known->second.size(), " relevances, expected ", item.candidates.size());
            item.relevance = known->second;
          }
          item.split = split;
          items.push_back(std::move(item));
        }
        if (turn.has("answer"))
          history.push_back({question, answers[static_cast<std::size_t>(turn.at("answer").index(answers.size()))]});
      }
    }
  });
  return items;
}

/// The names of VisDial's own pictures; of COCO's those of train2014.
inline std::string visdial_file_name(std::string_view split, std::int64_t image) {
  const std::string coco = coco_file_name("train2014", image);
  if (split == "train") return coco;
  return "VisualDialog_" + std::string(split) + "2018" + coco.substr(coco.rfind('_'));
}

/// [{"image_id", "round_id", "ranks": [of each option, from 1]}]
inline void write_visdial(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  io::Json::Array all;
  for (const Prediction& p : predictions) {
    const std::vector<std::size_t> best = flamingo::detail::best_first(p.scores);
    io::Json::Array ranks(best.size());
    for (std::size_t place = 0; place < best.size(); ++place) ranks[best[place]] = static_cast<int>(place) + 1;
    const std::size_t cut = p.id.find('/');
    check(cut != p.id.npos, "results", "the item ", p.id, " is no round of a dialogue: expected IMAGE/ROUND");
    all.push_back(io::Json::Object{{"image_id", json_id(p.id.substr(0, cut))},
                                   {"round_id", json_id(p.id.substr(cut + 1))},
                                   {"ranks", std::move(ranks)}});
  }
  write_text(path, io::Json(std::move(all)).dump());
}

}  // namespace flamingo
