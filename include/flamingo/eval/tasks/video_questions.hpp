/// Questions about videos: MSVD-QA, MSRVTT-QA, iVQA, NExT-QA, STAR.
#pragma once
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/metrics/ranking.hpp>
#include <flamingo/eval/tasks/csv.hpp>
#include <flamingo/eval/tasks/json_reader.hpp>
#include <flamingo/eval/tasks/predictions.hpp>

namespace flamingo {

/// MSVD-QA and MSRVTT-QA: {train,val,test}_qa.json, [{"id", "video_id", "question", "answer"}]. The file of a video is
/// `video_name(video_id)` in videos: msrvtt_video_name, or MSVD's youtube_mapping.txt (MsvdNames).
template <class VideoName>
std::vector<TaskItem> xu_qa_items(const std::filesystem::path& file, const std::filesystem::path& videos,
                                  const VideoName& video_name, std::string_view split) {
  std::vector<TaskItem> items;
  each_element(file, "", [&](const TaskJson& json) {
    TaskItem item{.id = json.at("id").id()};
    item.media.push_back({(videos / video_name(json.at("video_id"))).string(), true});
    item.question = json.at("question").text();
    if (json.has("answer")) item.answers = {json.at("answer").text()};
    item.split = split;
    items.push_back(std::move(item));
  });
  return items;
}

inline std::string msrvtt_video_name(const TaskJson& video_id) { return "video" + video_id.id() + ".mp4"; }

/// youtube_mapping.txt: lines "-4wsuPCjDBc_5_15 vid1", the clip's name and "vid" with its number.
class MsvdNames {
 public:
  explicit MsvdNames(const std::filesystem::path& file, std::string_view extension = ".avi") {
    const io::MappedFile mapped(file);
    std::istringstream words{std::string(mapped.text())};
    for (std::string name, number; words >> name;) {
      check(static_cast<bool>(words >> number) && number.starts_with("vid"), "task", file.string(), ": found '", name,
            ' ', number, "', expected the name of a clip and vid1, vid2, ...");
      names_[number.substr(3)] = name + std::string(extension);
    }
  }
  std::string operator()(const TaskJson& video_id) const {
    const auto found = names_.find(video_id.id());
    check(found != names_.end(), "task", video_id.where(), ": found video ", video_id.id(),
          ", expected one of the mapping's ", names_.size());
    return found->second;
  }

 private:
  std::map<std::string, std::string> names_;
};

/// [{"id", "answer"}]: MSVD-QA and MSRVTT-QA, as their files of annotations name them.
inline void write_xu_qa(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  write_id_text_list(path, "id", "answer", predictions);
}

/// iVQA's {train,val,test}.csv: video_id, question, answer1 to answer5, and where they are there start and end in
/// seconds. Videos lie in videos/video_id.mp4; the id is the row's number from 0.
inline std::vector<TaskItem> ivqa_items(const std::filesystem::path& file, const std::filesystem::path& videos,
                                        std::string_view split) {
  const Csv csv(file);
  const bool timed = csv.has("start") && csv.has("end");
  std::vector<TaskItem> items;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    TaskItem item{.id = std::to_string(row)};
    item.media.push_back({(videos / (csv.text(row, "video_id") + ".mp4")).string(), true});
    if (timed) {
      item.media[0].start = csv.number(row, "start");
      item.media[0].end = csv.number(row, "end");
    }
    item.question = csv.text(row, "question");
    for (const char* column : {"answer1", "answer2", "answer3", "answer4", "answer5"})
      item.answers.push_back(csv.text(row, column));
    item.split = split;
    items.push_back(std::move(item));
  }
  return items;
}

/// NExT-QA's {train,val,test}.csv: video, question, answer, qid, type, and of multiple choice a0 to a4, the answer then
/// being a number. `map` is map_vid_vidorID.json, {"3238737531": "1101/3238737531"}; an empty path: videos/VIDEO.mp4.
/// The id is VIDEO/qid. More reference answers of the open-ended test: add_reference_answer_*.json, {VIDEO: {qid:
/// answer}}.
inline std::vector<TaskItem> next_qa_items(const std::filesystem::path& file, const std::filesystem::path& map,
                                           const std::filesystem::path& videos, std::string_view split,
                                           const std::filesystem::path& more_answers = {}) {
  std::map<std::string, std::string> paths, more;
  if (!map.empty())
    with_json(map, [&](const TaskJson& top) {
      check(top.value().is_object(), "task", top.where(), ": expected an object of videos");
      for (const auto& [video, path] : top.value().as_object()) paths[video] = top.at(video).text();
    });
  if (!more_answers.empty())
    with_json(more_answers, [&](const TaskJson& top) {
      check(top.value().is_object(), "task", top.where(), ": expected an object of videos");
      for (const auto& [video, of_video] : top.value().as_object()) {
        const TaskJson answers = top.at(video);
        check(of_video.is_object(), "task", answers.where(), ": expected an object of answers");
        for (const auto& [question, answer] : of_video.as_object())
          more[video + "/" + question] = answers.at(question).text();
      }
    });
  const Csv csv(file);
  const bool choice = csv.has("a0");
  std::vector<TaskItem> items;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    const std::string& video = csv.text(row, "video");
    const auto path = paths.find(video);
    check(map.empty() || path != paths.end(), "task", csv.where(row), ": ", map.string(), " has no video ", video);
    TaskItem item{.id = video + "/" + csv.text(row, "qid")};
    item.media.push_back({(videos / ((map.empty() ? video : path->second) + ".mp4")).string(), true});
    item.question = csv.text(row, "question");
    if (choice) {
      for (const char* column : {"a0", "a1", "a2", "a3", "a4"}) item.candidates.push_back(csv.text(row, column));
      item.label = csv.integer(row, "answer");
      check(item.label >= 0 && item.label < 5, "task", csv.where(row), ", column answer: found ", item.label,
            ", expected 0 to 4");
      item.answers = {item.candidates[static_cast<std::size_t>(item.label)]};
    } else {
      item.answers = {csv.text(row, "answer")};
      if (const auto other = more.find(item.id); other != more.end()) item.answers.push_back(other->second);
    }
    item.type = csv.text(row, "type");
    item.split = split;
    items.push_back(std::move(item));
  }
  return items;
}

/// {VIDEO: {qid: answer}}, as NExT-OE's scorer takes it.
inline void write_next_qa(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  std::map<std::string, io::Json::Object> videos;
  for (const Prediction& p : predictions) {
    const std::size_t cut = p.id.rfind('/');
    check(cut != p.id.npos, "results", "the item ", p.id, " is none of NExT-QA: expected VIDEO/QUESTION");
    videos[p.id.substr(0, cut)].push_back({p.id.substr(cut + 1), p.text});
  }
  io::Json::Object all;
  for (auto& [video, answers] : videos) all.push_back({video, std::move(answers)});
  write_text(path, io::Json(std::move(all)).dump());
}

/// STAR_{train,val,test}.json: [{"question_id": KIND_T1_13, "video_id", "start", "end", "question", "answer"?,
/// "choices":
/// [{"choice_id", "choice"}]}]. Videos lie in videos/video_id.mp4; the type is the id's kind.
inline std::vector<TaskItem> star_items(const std::filesystem::path& file, const std::filesystem::path& videos,
                                        std::string_view split) {
  std::vector<TaskItem> items;
  each_element(file, "", [&](const TaskJson& json) {
    TaskItem item{.id = json.at("question_id").text()};
    item.media.push_back({(videos / (json.at("video_id").text() + ".mp4")).string(), true, json.at("start").number(),
                          json.at("end").number()});
    item.question = json.at("question").text();
    const std::vector<TaskJson> choices = json.at("choices").list();
    item.candidates.resize(choices.size());
    for (const TaskJson& choice : choices)
      item.candidates[static_cast<std::size_t>(choice.at("choice_id").index(choices.size()))] =
          choice.at("choice").text();
    if (json.has("answer")) {
      item.answers = {json.at("answer").text()};
      for (std::size_t i = 0; i < item.candidates.size(); ++i)
        if (item.candidates[i] == item.answers[0]) item.label = static_cast<int>(i);
      check(item.label >= 0, "task", json.where(), ".answer: found '", item.answers[0], "', expected one of the ",
            choices.size(), " choices");
    }
    item.type = item.id.substr(0, item.id.find('_'));
    item.split = split;
    items.push_back(std::move(item));
  });
  return items;
}

/// {"Interaction": [{"question_id", "answer": number}], "Sequence": ..., "Prediction": ..., "Feasibility": ...}
inline void write_star(const std::filesystem::path& path, std::span<const Prediction> predictions) {
  io::Json::Object all{{"Interaction", io::Json::Array{}},
                       {"Sequence", io::Json::Array{}},
                       {"Prediction", io::Json::Array{}},
                       {"Feasibility", io::Json::Array{}}};
  std::map<std::string, io::Json::Array> kinds;
  for (const Prediction& p : predictions) {
    check(!p.scores.empty(), "results", "item ", p.id, " has no scores");
    kinds[p.id.substr(0, p.id.find('_'))].push_back(io::Json::Object{
        {"question_id", p.id}, {"answer", static_cast<int>(flamingo::detail::best_first(p.scores).front())}});
  }
  for (auto& [kind, answers] : kinds) {
    bool known = false;
    for (io::JsonMember& member : all)
      if (member.name == kind) {
        member.value = std::move(answers);
        known = true;
      }
    check(known, "results", "questions of the kind '", kind, "' are not STAR's");
  }
  write_text(path, io::Json(std::move(all)).dump());
}

}  // namespace flamingo
