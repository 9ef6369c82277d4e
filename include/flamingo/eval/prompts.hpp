/// Few-shot prompts: demonstrations and a query as text with image tags, in the words of the paper or of OpenFlamingo.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/metrics/words.hpp>
#include <flamingo/eval/tasks/item.hpp>

namespace flamingo {

/// What a demonstration of one kind of task looks like: "{image}Question:{question} Short answer:{answer}{end}". A
/// query is the same up to {answer}. Other names are fields of the item; {history} is the rounds of a dialogue before.
struct PromptPattern {
  std::string shot;
  std::string between{};                ///< after each demonstration
  std::vector<std::string> keywords{};  ///< an answer ends where the first of them begins
  bool first_of_list = false;           ///< ... or at ", "
  bool no_quotes = false;               ///< double quotes are taken out of an answer
};

/// A named set of patterns and the tags in them.
struct PromptSet {
  std::string name;
  std::string begin, image, end_of_chunk;  ///< tags as texts, as a tokenizer with special tokens reads them
  std::string lead;                        ///< between the words before {answer} and an answer, not part of a query
  std::string turn;                        ///< a round of {history}
  PromptPattern caption, question, dialogue, classification, meme, action;
  PromptPattern page{.shot = "{page}{answer}{end}"};
  std::string around{};            ///< before and after each image tag; tags side by side share one (Idefics)
  bool image_is_a_word = false;    ///< texts may have it too: tags are told by their places, not by their token
  bool closes_candidates = false;  ///< the end of a chunk is scored with each candidate

  const PromptPattern& of(TaskKind kind) const {
    switch (kind) {
      case TaskKind::caption:
        return caption;
      case TaskKind::question:
        return question;
      case TaskKind::dialogue:
        return dialogue;
      case TaskKind::classification:
        return classification;
      case TaskKind::meme:
        return meme;
      case TaskKind::action:
        return action;
      case TaskKind::page:
        return page;
    }
    return caption;
  }
};

/// The paper's: figure 8, and appendix B for HatefulMemes, VisDial and RareAct. Its white space is not told; a space
/// follows each colon, which candidates and what a model writes begin with.
inline PromptSet paper_prompts() {
  const std::vector<std::string> keywords{"Output:", "Question:", "Answer:"};
  const PromptPattern output{.shot = "{image}Output:{answer}{end}", .keywords = keywords};
  return {
      .name = "paper",
      .begin = "<BOS>",
      .image = "<image>",
      .end_of_chunk = "<EOC>",
      .lead = " ",
      .turn = " Question: {question} Answer: {answer}",
      .caption = output,
      .question = {.shot = "{image}Question: {question} Answer:{answer}{end}", .keywords = keywords},
      .dialogue = {.shot = "{image}{caption}{history} Question: {question} Answer:{answer}{end}", .keywords = keywords},
      .classification = output,
      .meme = {.shot = "{image}is an image with written: \"{text}\" on it. Is it hateful? Answer:{answer}{end}",
               .keywords = keywords},
      .action = {.shot = "{image}Caption:{answer}{end}", .keywords = {"Caption:"}}};
}

/// OpenFlamingo's: the same bytes as its evaluation code makes. It has no dialogues; they are asked as questions here.
inline PromptSet open_flamingo_prompts() {
  const PromptPattern question{.shot = "{image}Question:{question} Short answer:{answer}{end}",
                               .between = "\n",
                               .keywords = {"Question", "Answer", "Short"},
                               .first_of_list = true};
  const PromptPattern output{.shot = "{image}Output:{answer}{end}"};
  return {.name = "open_flamingo",
          .begin = "",
          .image = "<image>",
          .end_of_chunk = "<|endofchunk|>",
          .lead = "",
          .turn = " Question:{question} Short answer:{answer}",
          .caption = {.shot = output.shot, .between = "\n", .keywords = {"Output"}, .no_quotes = true},
          .question = question,
          .dialogue = {.shot = "{image}{caption}{history} Question:{question} Short answer:{answer}{end}",
                       .keywords = question.keywords},
          .classification = output,
          .meme = {.shot = "{image}is an image with: '{text}' written on it. Is it hateful? Answer:{answer}{end}"},
          .action = output};
}

/// The paper's patterns in the tags of Idefics, whose tokenizer has two of them for a picture.
inline PromptSet idefics_prompts() {
  PromptSet set = paper_prompts();
  set.name = "idefics";
  set.begin = "<s>";
  set.image = "<image>";
  set.around = "<fake_token_around_image>";
  set.end_of_chunk = "\n";
  return set;
}

/// The set of a name. Throws where there is none.
inline PromptSet prompts_named(std::string_view name) {
  if (name == "paper") return paper_prompts();
  if (name == "open_flamingo") return open_flamingo_prompts();
  if (name == "idefics") return idefics_prompts();
  fail("prompts", "there is no set '", name, "', expected paper, open_flamingo or idefics");
}

/// A text with one image tag for each of its media, in their order.
struct Prompt {
  std::string text;
  std::vector<TaskMedium> media;

  friend bool operator==(const Prompt&, const Prompt&) = default;
};

/// Which pictures a prompt keeps. Zero-shot prompts show two demonstrations as text alone.
enum class PromptMedia : std::uint8_t { all, query_only, none };

namespace detail {

/// The pattern with its names replaced; what is put in is not looked at again.
template <class ValueOf>
std::string filled(std::string_view pattern, const ValueOf& value_of) {
  std::string text;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t open = std::min(pattern.find('{', at), pattern.size());
    text += pattern.substr(at, open - at);
    if (open == pattern.size()) break;
    const std::size_t close = pattern.find('}', open);
    check(close != pattern.npos, "prompts", "the pattern '", pattern, "' has a { without }");
    text += value_of(pattern.substr(open + 1, close - open - 1));
    at = close + 1;
  }
  return text;
}

inline std::string history_of(const PromptSet& set, const TaskItem& item) {
  std::string text;
  for (const TaskTurn& turn : item.history)
    text += filled(set.turn, [&](std::string_view name) -> std::string {
      return name == "question" ? turn.question : turn.answer;
    });
  return text;
}

/// As many image tags side by side.
inline std::string image_tags(const PromptSet& set, std::size_t count) {
  std::string tags = count > 0 ? set.around : "";
  for (std::size_t i = 0; i < count; ++i) tags += set.image + set.around;
  return tags;
}

/// The field "page": each run of <image> becomes tags, or nothing.
inline std::string page_of(const PromptSet& set, const TaskItem& item, bool pictures) {
  constexpr std::string_view mark = "<image>";
  const std::string& page = item.field("page");
  std::string text;
  for (std::size_t at = 0; at < page.size();) {
    std::size_t run = 0;
    while (page.compare(at, mark.size(), mark) == 0) {
      at += mark.size();
      ++run;
    }
    if (pictures) text += image_tags(set, run);
    const std::size_t next = std::min(page.find(mark, at), page.size());
    text += page.substr(at, next - at);
    at = next;
  }
  return text;
}

inline std::string example(const PromptSet& set, std::string_view pattern, const TaskItem& item,
                           std::string_view answer, bool pictures) {
  return filled(pattern, [&](std::string_view name) -> std::string {
    if (name == "image") return pictures ? image_tags(set, item.media.size()) : "";
    if (name == "page") return page_of(set, item, pictures);
    if (name == "question") return item.question;
    if (name == "answer") return set.lead + std::string(answer);
    if (name == "end") return set.end_of_chunk;
    if (name == "history") return history_of(set, item);
    return item.field(name);
  });
}

}  // namespace detail

/// The answer that a demonstration shows: the right candidate of the task or the item, or the first that annotators
/// gave.
inline std::string shown_answer(TaskKind kind, const TaskItem& item, std::span<const std::string> candidates = {}) {
  if (item.label >= 0 && !item.candidates.empty()) return item.candidates.at(static_cast<std::size_t>(item.label));
  if (item.label >= 0 && static_cast<std::size_t>(item.label) < candidates.size())
    return candidates[static_cast<std::size_t>(item.label)];
  check(!item.answers.empty(), "prompts", "item ", item.id, " has no answer: it cannot be a demonstration");
  return kind == TaskKind::caption ? std::string(trimmed(item.answers[0])) : item.answers[0];
}

/// Demonstrations, then the query without its answer.
inline Prompt few_shot_prompt(const PromptSet& set, TaskKind kind, std::span<const TaskItem* const> shots,
                              const TaskItem& query, PromptMedia media = PromptMedia::all,
                              std::span<const std::string> candidates = {}) {
  const PromptPattern& pattern = set.of(kind);
  Prompt prompt{set.begin, {}};
  const bool pictures = media == PromptMedia::all;
  for (const TaskItem* shot : shots) {
    (prompt.text += detail::example(set, pattern.shot, *shot, shown_answer(kind, *shot, candidates), pictures)) +=
        pattern.between;
    if (pictures) prompt.media.insert(prompt.media.end(), shot->media.begin(), shot->media.end());
  }
  const std::string_view asked = std::string_view(pattern.shot).substr(0, pattern.shot.find("{answer}"));
  prompt.text += detail::example(set, asked, query, "", media != PromptMedia::none);
  if (media != PromptMedia::none) prompt.media.insert(prompt.media.end(), query.media.begin(), query.media.end());
  return prompt;
}

/// What a model wrote, as it is scored: cut at the first keyword, at ", " where a task asks for one answer.
inline std::string trimmed_answer(const PromptPattern& pattern, std::string_view written) {
  std::size_t end = written.size();
  for (const std::string& keyword : pattern.keywords) end = std::min(end, written.find(keyword));
  std::string answer(written.substr(0, end));
  if (pattern.first_of_list) answer.resize(std::min(answer.find(", "), answer.size()));
  if (pattern.no_quotes) std::erase(answer, '"');
  return answer;
}

/// RareAct's candidates: "a person cuts a laptop". Verbs in the third person, an article before nouns.
inline std::string rare_act_sentence(std::string_view verb, std::string_view noun) {
  const std::size_t space = std::min(verb.find(' '), verb.size());
  std::string word(verb.substr(0, space));
  check(!word.empty() && !noun.empty(), "prompts", "an action has the verb '", verb, "' and the noun '", noun, '\'');
  const auto is_one_of = [](char c, std::string_view of) { return of.find(c) != of.npos; };
  const char last = word.back(), before = word.size() > 1 ? word[word.size() - 2] : 'a';
  if (last == 'y' && !is_one_of(before, "aeiou")) {
    word.back() = 'i';
    word += "es";
  } else if (is_one_of(last, "sxzo") || (last == 'h' && is_one_of(before, "cs"))) {
    word += "es";
  } else {
    word += 's';
  }
  return "a person " + word + std::string(verb.substr(space)) + (is_one_of(noun[0], "aeiou") ? " an " : " a ") +
         std::string(noun);
}

}  // namespace flamingo
