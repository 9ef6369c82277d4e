/// How text is cut into words before byte-pair encoding: no merge crosses a cut.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

#include <flamingo/io/unicode.hpp>

namespace flamingo::io {

/// gpt2: the words of
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// smollm: every number character (\p{N}) is a word of its own, the pieces between them are cut as by gpt2.
enum class PreTokenizer { gpt2, smollm };

/// The kind that `tokenizer.ggml.pre` of a GGUF file names, where this library knows it.
constexpr std::optional<PreTokenizer> pre_tokenizer(std::string_view name) {
  if (name == "gpt-2" || name == "gpt2") return PreTokenizer::gpt2;
  if (name == "smollm" || name == "starcoder" || name == "refact") return PreTokenizer::smollm;
  return std::nullopt;
}

namespace detail {

/// What the expressions tell apart. A byte that is no UTF-8 counts as `other`.
enum class CharacterClass { letter, number, space, other };

struct Character {
  CharacterClass kind;
  std::size_t length;
};

inline Character character_at(std::string_view text, std::size_t at) {
  const CodePoint point = decode_utf8(text, at);
  const CharacterClass kind = !point.valid             ? CharacterClass::other
                              : is_letter(point.value) ? CharacterClass::letter
                              : is_number(point.value) ? CharacterClass::number
                              : is_space(point.value)  ? CharacterClass::space
                                                       : CharacterClass::other;
  return {kind, point.length};
}

/// The end of the run of characters of one kind that begins at `at`.
inline std::size_t run_end(std::string_view text, std::size_t at, CharacterClass kind) {
  while (at < text.size()) {
    const Character next = character_at(text, at);
    if (next.kind != kind) break;
    at += next.length;
  }
  return at;
}

/// The length of the first match of the gpt2 expression in a text that is not empty.
inline std::size_t gpt2_word(std::string_view text) {
  if (text[0] == '\'')
    for (std::string_view suffix : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
      if (text.starts_with(suffix)) return suffix.size();
  const std::size_t start = text[0] == ' ' && text.size() > 1 ? 1 : 0;  // the optional space before a word
  const Character first = character_at(text, start);
  if (first.kind != CharacterClass::space) return run_end(text, start, first.kind);
  // White space: all of it at the end of the text; otherwise its last character is left to the next word, unless it is
  // the only one.
  std::size_t end = 0, last = 0;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.kind != CharacterClass::space) return last == 0 ? end : last;
    last = end;
    end += next.length;
  }
  return end;
}

}  // namespace detail

/// Calls each(word) for the words of a text, in order; together they are the text.
template <class Each>
void for_each_word(std::string_view text, PreTokenizer kind, Each each) {
  const auto gpt2 = [&](std::string_view piece) {
    while (!piece.empty()) {
      const std::size_t length = detail::gpt2_word(piece);
      each(piece.substr(0, length));
      piece.remove_prefix(length);
    }
  };
  if (kind == PreTokenizer::gpt2) return gpt2(text);
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const detail::Character next = detail::character_at(text, at);
    if (next.kind == detail::CharacterClass::number) {
      gpt2(text.substr(start, at - start));
      each(text.substr(at, next.length));
      start = at + next.length;
    }
    at += next.length;
  }
  gpt2(text.substr(start));
}

}  // namespace flamingo::io
