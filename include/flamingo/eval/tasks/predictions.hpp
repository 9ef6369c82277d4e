/// What a model answered, and the file that a scorer of others takes.
#pragma once
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/tasks/item.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// Open-ended tasks have a text, closed-ended ones a score of each candidate.
struct Prediction {
  std::string id{}, text{};
  std::vector<double> scores{};

  friend bool operator==(const Prediction&, const Prediction&) = default;
};

/// An id as JSON: an integer where it is written as one, else a string.
inline io::Json json_id(std::string_view id) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  const bool integer = error == std::errc() && end == id.data() + id.size() && std::to_string(number) == id;
  return integer ? io::Json(number) : io::Json(id);
}

/// Throws unless the predictions are those of the items, in their order.
inline void check_predictions(std::span<const TaskItem> items, std::span<const Prediction> predictions) {
  check(items.size() == predictions.size(), "results", "there are ", predictions.size(), " predictions of ",
        items.size(), " items");
  for (std::size_t i = 0; i < items.size(); ++i)
    check(items[i].id == predictions[i].id, "results", "prediction ", i, " is of item ", predictions[i].id,
          ", expected ", items[i].id);
}

/// Throws unless each has one finite score a candidate.
inline void check_scores_of(const Prediction& prediction, std::size_t candidates) {
  check(prediction.scores.size() == candidates, "results", "item ", prediction.id, " has ", prediction.scores.size(),
        " scores, expected ", candidates);
}

/// Writes a text under a name, whole or not at all.
inline void write_text(const std::filesystem::path& path, std::string_view text) {
  io::AtomicFile file(path);
  file.write(text);
  file.commit();
}

/// [{ID: id, TEXT: text}, ...]: COCO's captions, answers of VQA.
inline void write_id_text_list(const std::filesystem::path& path, std::string_view id, std::string_view text,
                               std::span<const Prediction> predictions) {
  io::Json::Array all;
  for (const Prediction& p : predictions)
    all.push_back(io::Json::Object{{std::string(id), json_id(p.id)}, {std::string(text), p.text}});
  write_text(path, io::Json(std::move(all)).dump());
}

}  // namespace flamingo
