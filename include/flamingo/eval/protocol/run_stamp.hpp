/// What kept files depend on, as a short text: a run's answers besides its settings, and features of pictures.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/eval/prompts.hpp>
#include <flamingo/eval/protocol/task_plan.hpp>
#include <flamingo/eval/tasks/item.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// A hash of parts that are told apart: "ab", "c" is another one than "a", "bc".
class Stamp {
 public:
  Stamp& add(std::string_view part) {
    text_ += std::to_string(part.size()) + ":";
    text_ += std::to_string(hash(part)) + ";";
    return *this;
  }
  Stamp& add(std::int64_t number) { return add(std::to_string(number)); }
  std::uint64_t key() const { return hash(text_); }

 private:
  std::string text_;
};

/// All words of a set, whatever its name.
inline void add_prompts(Stamp& stamp, const PromptSet& set) {
  for (const std::string& tag : {set.begin, set.image, set.end_of_chunk, set.lead, set.turn, set.around})
    stamp.add(tag);
  stamp.add(set.image_is_a_word).add(set.closes_candidates);
  for (const TaskKind kind : {TaskKind::caption, TaskKind::question, TaskKind::dialogue, TaskKind::classification,
                              TaskKind::meme, TaskKind::action, TaskKind::page}) {
    const PromptPattern& pattern = set.of(kind);
    stamp.add(pattern.shot).add(pattern.between).add(pattern.first_of_list).add(pattern.no_quotes);
    stamp.add(static_cast<std::int64_t>(pattern.keywords.size()));
    for (const std::string& keyword : pattern.keywords) stamp.add(keyword);
  }
}

/// The bytes of a medium: of a picture, or of a folder of frames, with their names. What is not there adds nothing.
inline void add_medium(Stamp& stamp, const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  if (fs::is_regular_file(path)) files.push_back(path);
  if (fs::is_directory(path))
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) stamp.add(file.filename().string()).add(io::MappedFile(file).text());
}

/// Hashes of media, each of which is read once.
class MediaHashes {
 public:
  std::uint64_t of(const std::string& path) {
    const auto [known, added] = known_.try_emplace(path, 0);
    if (added) {
      Stamp stamp;
      add_medium(stamp, path);
      known->second = stamp.key();
    }
    return known->second;
  }
  /// Of the bytes of all media that items name, in the order of the items.
  std::uint64_t of(std::span<const TaskItem> items) {
    Stamp stamp;
    for (const TaskItem& item : items)
      for (const TaskMedium& medium : item.media) stamp.add(std::to_string(of(medium.path)));
    return stamp.key();
  }

 private:
  std::map<std::string, std::uint64_t> known_;
};

/// Of a task's files in a folder and of the pictures and frames that their items name (`media`: MediaHashes of all of
/// them), of how its questions are made of them, and of the prompts: "data 123". A task of more episodes has the same,
/// since it begins with the same ones.
inline std::string run_stamp(const PlannedTask& task, const std::filesystem::path& folder, const PromptSet& set,
                             std::span<const std::uint64_t> media) {
  Stamp stamp;
  for (const std::string& file : {task.items, task.support})
    if (file.empty())
      stamp.add("");
    else
      stamp.add(io::MappedFile(folder / file).text());
  for (const std::uint64_t each : media) stamp.add(std::to_string(each));
  stamp.add(name_of(task.asking)).add(task.ways).add(task.made_up_names);
  // Episodes are drawn from the classes that have pictures for the most shots.
  if (task.ways > 0) stamp.add(*std::max_element(task.shots.begin(), task.shots.end()));
  add_prompts(stamp, set);
  return "data " + std::to_string(stamp.key());
}

/// Of the pictures that features are made of, and of what makes them: the bytes of each picture (of a folder, of its
/// frames), its item and its place. Throws where an item has no picture.
inline std::string features_key(std::span<const TaskItem> items, std::string_view encoder,
                                std::string_view checkpoint) {
  Stamp stamp;
  stamp.add(encoder).add(checkpoint);
  for (const TaskItem& item : items) {
    check(!item.media.empty(), "plan", "item ", item.id, " has no picture to be compared by");
    stamp.add(item.id).add(item.media[0].path);
    add_medium(stamp, item.media[0].path);
  }
  return std::to_string(stamp.key());
}

}  // namespace flamingo
