/// One thing to be evaluated, whatever data set it comes from: media, what is asked about them, what counts as right.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// A picture, or a video and the part of it that is meant. Loaders name files; whether they are there shows when they
/// are read.
struct TaskMedium {
  std::string path{};
  bool video = false;
  double start = 0, end = 0;  ///< seconds; end 0: all of it

  friend bool operator==(const TaskMedium&, const TaskMedium&) = default;
};

/// What a prompt may mention besides the question: {"text", what a meme says}.
struct TaskField {
  std::string name, text;

  friend bool operator==(const TaskField&, const TaskField&) = default;
};

/// A question of a dialogue that has its answer.
struct TaskTurn {
  std::string question, answer;

  friend bool operator==(const TaskTurn&, const TaskTurn&) = default;
};

struct TaskItem {
  std::string id;  ///< as results name it; unique within a split
  std::vector<TaskMedium> media{};
  std::string question{};                 ///< of questions and dialogues
  std::vector<TaskField> fields{};        ///< whatever else a prompt or a result needs
  std::vector<TaskTurn> history{};        ///< of a dialogue, what was said before
  std::vector<std::string> answers{};     ///< captions, or what annotators answered, in their order; empty: withheld
  std::vector<std::string> candidates{};  ///< of closed-ended tasks, where they differ from item to item
  int label = -1;                   ///< the right candidate, of the item's or the task's; -1: unknown, or open-ended
  std::vector<double> relevance{};  ///< of each candidate, where several are right to a degree
  std::string split{}, type{};      ///< type: of question or answer, for scores by type

  friend bool operator==(const TaskItem&, const TaskItem&) = default;

  /// The text of a field. Throws where there is none.
  const std::string& field(std::string_view name) const {
    for (const TaskField& f : fields)
      if (f.name == name) return f.text;
    fail("task", "item ", id, " has no field '", name, '\'');
  }
};

/// How a task is answered and what a prompt of it looks like.
/// A page is whatever stands before the text that is asked for, in the field "page" with <image> at its pictures.
enum class TaskKind : std::uint8_t { caption, question, dialogue, classification, meme, action, page };

/// The items of one split that a name asks for; throws where there are none.
inline std::vector<TaskItem> of_split(const std::vector<TaskItem>& items, std::string_view split) {
  std::vector<TaskItem> found;
  for (const TaskItem& item : items)
    if (item.split == split) found.push_back(item);
  check(!found.empty(), "task", "none of ", items.size(), " items is of the split '", split, '\'');
  return found;
}

}  // namespace flamingo
