/// Texts that repeat themselves: the repetition rules of MassiveText (Rae et al. 2021, table A1).
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/data/web/text_rules.hpp>
#include <flamingo/data/web/words.hpp>

namespace flamingo::web {

/// The largest shares that are kept.
struct RepetitionRules {
  double duplicate_lines = 0.30, duplicate_paragraphs = 0.30;                            ///< of lines, of paragraphs
  double duplicate_line_characters = 0.20, duplicate_paragraph_characters = 0.20;        ///< of the text's characters
  std::array<double, 3> top_ngram_characters{0.20, 0.18, 0.16};                          ///< of 2, 3 and 4 words
  std::array<double, 6> duplicate_ngram_characters{0.15, 0.14, 0.13, 0.12, 0.11, 0.10};  ///< of 5 to 10 words
};

enum class RepetitionFault : std::uint8_t {
  none,
  duplicate_lines,
  duplicate_paragraphs,
  duplicate_line_characters,
  duplicate_paragraph_characters,
  top_2gram,
  top_3gram,
  top_4gram,
  duplicate_5grams,
  duplicate_6grams,
  duplicate_7grams,
  duplicate_8grams,
  duplicate_9grams,
  duplicate_10grams,
};

constexpr std::string_view name_of(RepetitionFault fault) {
  constexpr std::array<std::string_view, 14> names{"none",
                                                   "duplicate_lines",
                                                   "duplicate_paragraphs",
                                                   "duplicate_line_characters",
                                                   "duplicate_paragraph_characters",
                                                   "top_2gram",
                                                   "top_3gram",
                                                   "top_4gram",
                                                   "duplicate_5grams",
                                                   "duplicate_6grams",
                                                   "duplicate_7grams",
                                                   "duplicate_8grams",
                                                   "duplicate_9grams",
                                                   "duplicate_10grams"};
  return names[static_cast<std::size_t>(fault)];
}

/// Looks for repetition in one text after another, in a table that it keeps.
class RepetitionFinder {
 public:
  explicit RepetitionFinder(const RepetitionRules& rules = {}) : rules_(rules) {}

  /// The first rule that a text breaks. `words` are its words.
  RepetitionFault fault(std::string_view text, std::span<const Word> words) {
    const double chars = static_cast<double>(std::max<std::uint32_t>(detail::code_points(text), 1));
    const Repeated lines = repeated_lines(text), paragraphs = repeated_paragraphs(text);
    if (lines.share() > rules_.duplicate_lines) return RepetitionFault::duplicate_lines;
    if (paragraphs.share() > rules_.duplicate_paragraphs) return RepetitionFault::duplicate_paragraphs;
    if (lines.chars > rules_.duplicate_line_characters * chars) return RepetitionFault::duplicate_line_characters;
    if (paragraphs.chars > rules_.duplicate_paragraph_characters * chars)
      return RepetitionFault::duplicate_paragraph_characters;
    const auto at = [](RepetitionFault first, std::size_t i) {
      return static_cast<RepetitionFault>(static_cast<std::size_t>(first) + i);
    };
    for (std::size_t i = 0; i < rules_.top_ngram_characters.size(); ++i)
      if (top_ngram(words, i + 2) > rules_.top_ngram_characters[i] * chars) return at(RepetitionFault::top_2gram, i);
    for (std::size_t i = 0; i < rules_.duplicate_ngram_characters.size(); ++i)
      if (duplicate_ngrams(words, i + 5) > rules_.duplicate_ngram_characters[i] * chars)
        return at(RepetitionFault::duplicate_5grams, i);
    return RepetitionFault::none;
  }

 private:
  struct Repeated {
    double all = 0, again = 0, chars = 0;
    double share() const { return all > 0 ? again / all : 0; }
  };
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t count = 0, round = 0;
  };

  /// Begins a new table for at most `entries`.
  void clear(std::size_t entries) {
    std::size_t size = 64;
    while (size < 2 * entries) size *= 2;
    if (slots_.size() < size || ++round_ == 0) {
      slots_.assign(std::max(size, slots_.size()), {});
      round_ = 1;
    }
    mask_ = size - 1;
  }
  /// How often a hash has come before.
  std::uint32_t seen(std::uint64_t hash) {
    for (std::size_t i = hash & mask_;; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (slot.round != round_) {
        slot = {hash, 1, round_};
        return 0;
      }
      if (slot.hash == hash) return slot.count++;
    }
  }

  Repeated repeated_lines(std::string_view text) {
    clear(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
    Repeated lines;
    detail::each_line(text, [&](std::string_view line) { add(lines, line); });
    return lines;
  }

  Repeated repeated_paragraphs(std::string_view text) {
    clear(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
    Repeated paragraphs;
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = std::min(text.find("\n\n", at), text.size());
      if (end > at) add(paragraphs, text.substr(at, end - at));
      while (end < text.size() && text[end] == '\n') ++end;
      at = end;
    }
    return paragraphs;
  }

  void add(Repeated& repeated, std::string_view piece) {
    repeated.all += 1;
    if (seen(detail::hash_of(piece)) == 0) return;
    repeated.again += 1;
    repeated.chars += detail::code_points(piece);
  }

  static std::uint64_t hash_of(std::span<const Word> words) {
    std::uint64_t hash = 0;
    for (const Word& word : words) hash = detail::mixed(hash * 3 + word.hash);
    return hash;
  }

  /// Characters in all occurrences of the n words that occur most often, spaces between them included.
  double top_ngram(std::span<const Word> words, std::size_t n) {
    if (words.size() < n) return 0;
    clear(words.size());
    std::uint32_t most = 0;
    double chars = 0;
    for (std::size_t i = 0; i + n <= words.size(); ++i) {
      const std::uint32_t count = seen(hash_of(words.subspan(i, n))) + 1;
      if (count <= most) continue;
      most = count;
      double length = static_cast<double>(n - 1);
      for (std::size_t k = i; k < i + n; ++k) length += words[k].length;
      chars = length * count;
    }
    return most > 1 ? chars : 0;
  }

  /// Characters in n words that have come before, each character counted once.
  double duplicate_ngrams(std::span<const Word> words, std::size_t n) {
    if (words.size() < n) return 0;
    clear(words.size());
    double chars = 0;
    for (std::size_t i = 0; i + n <= words.size();) {
      if (seen(hash_of(words.subspan(i, n))) == 0) {
        ++i;
        continue;
      }
      for (std::size_t k = i; k < i + n; ++k) chars += words[k].length;
      i += n;
    }
    return chars;
  }

  RepetitionRules rules_;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::uint32_t round_ = 0;
};

}  // namespace flamingo::web
