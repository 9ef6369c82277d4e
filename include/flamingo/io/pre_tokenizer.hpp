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
/// llama3: the words of
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
///     \s+(?!\S)|\s+
/// qwen2: the same with \p{N} for \p{N}{1,3}.
/// whole: a text is one word.
enum class PreTokenizer { gpt2, smollm, llama3, qwen2, whole };

/// The kind that `tokenizer.ggml.pre` of a GGUF file names, where this library knows it.
constexpr std::optional<PreTokenizer> pre_tokenizer(std::string_view name) {
  if (name == "gpt-2" || name == "gpt2") return PreTokenizer::gpt2;
  if (name == "smollm" || name == "starcoder" || name == "refact") return PreTokenizer::smollm;
  if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") return PreTokenizer::llama3;
  if (name == "qwen2") return PreTokenizer::qwen2;
  return std::nullopt;
}

/// The kind whose words are the matches of a regular expression, told by its exact text.
constexpr std::optional<PreTokenizer> pre_tokenizer_of_expression(std::string_view expression) {
  if (expression == R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)")
    return PreTokenizer::gpt2;
  // Llama 3's and Qwen 2's differ in the numbers alone.
  constexpr std::string_view before = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  constexpr std::string_view after = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  if (!expression.starts_with(before) || !expression.ends_with(after)) return std::nullopt;
  if (expression.size() < before.size() + after.size()) return std::nullopt;
  const std::string_view number = expression.substr(before.size(), expression.size() - before.size() - after.size());
  if (number == R"(\p{N}{1,3})") return PreTokenizer::llama3;
  if (number == R"(\p{N})") return PreTokenizer::qwen2;
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

/// The length of \s+(?!\S)|\s+ in a text that begins with white space: all of it at the end of the text; otherwise its
/// last character is left to the next word, unless it is the only one.
inline std::size_t spaces(std::string_view text) {
  std::size_t end = 0, last = 0;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.kind != CharacterClass::space) return last == 0 ? end : last;
    last = end;
    end += next.length;
  }
  return end;
}

/// The length of the first match of the gpt2 expression in a text that is not empty.
inline std::size_t gpt2_word(std::string_view text) {
  if (text[0] == '\'')
    for (std::string_view suffix : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
      if (text.starts_with(suffix)) return suffix.size();
  const std::size_t start = text[0] == ' ' && text.size() > 1 ? 1 : 0;  // the optional space before a word
  const Character first = character_at(text, start);
  if (first.kind != CharacterClass::space) return run_end(text, start, first.kind);
  return spaces(text);
}

/// The length of a contraction at the beginning of a text, in capitals or not: 's 't 're 've 'm 'll 'd; 0: there is
/// none. U+017F is an s by case folding.
inline std::size_t contraction(std::string_view text) {
  if (!text.starts_with('\'')) return 0;
  if (text.substr(1).starts_with("\xc5\xbf")) return 3;
  const auto lower = [&](std::size_t i) {
    const char c = i < text.size() ? text[i] : '\0';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  const char first = lower(1), second = lower(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const bool two =
      (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
  return two ? 3 : 0;
}

/// The length of the first match of the llama3 expression, with up to `digits` numbers a word, in a text that is not
/// empty.
inline std::size_t llama3_word(std::string_view text, int digits) {
  const auto is_break = [](char c) { return c == '\r' || c == '\n'; };
  if (const std::size_t length = contraction(text); length > 0) return length;
  const Character first = character_at(text, 0);
  if (first.kind == CharacterClass::letter) return run_end(text, 0, CharacterClass::letter);
  if (first.kind == CharacterClass::number) {
    std::size_t end = first.length;
    for (int taken = 1; taken < digits && end < text.size(); ++taken) {
      const Character next = character_at(text, end);
      if (next.kind != CharacterClass::number) break;
      end += next.length;
    }
    return end;
  }
  if (!is_break(text[0]) && first.length < text.size())
    if (const std::size_t end = run_end(text, first.length, CharacterClass::letter); end > first.length) return end;
  const std::size_t start = text[0] == ' ' && text.size() > 1 ? 1 : 0;  // the optional space before punctuation
  if (std::size_t end = run_end(text, start, CharacterClass::other); end > start) {
    while (end < text.size() && is_break(text[end])) ++end;
    return end;
  }
  // White space: up to its last line break where it has one.
  const std::size_t run = run_end(text, 0, CharacterClass::space);
  const std::size_t last_break = text.substr(0, run).find_last_of("\r\n");
  return last_break != std::string_view::npos ? last_break + 1 : spaces(text);
}

}  // namespace detail

/// Calls each(word) for the words of a text, in order; together they are the text.
template <class Each>
void for_each_word(std::string_view text, PreTokenizer kind, Each each) {
  const auto all_of = [&](std::string_view piece, auto first_word) {
    while (!piece.empty()) {
      const std::size_t length = first_word(piece);
      each(piece.substr(0, length));
      piece.remove_prefix(length);
    }
  };
  switch (kind) {
    case PreTokenizer::whole:
      if (!text.empty()) each(text);
      return;
    case PreTokenizer::gpt2:
      return all_of(text, detail::gpt2_word);
    case PreTokenizer::llama3:
      return all_of(text, [](std::string_view piece) { return detail::llama3_word(piece, 3); });
    case PreTokenizer::qwen2:
      return all_of(text, [](std::string_view piece) { return detail::llama3_word(piece, 1); });
    case PreTokenizer::smollm:
      break;
  }
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const detail::Character next = detail::character_at(text, at);
    if (next.kind == detail::CharacterClass::number) {
      all_of(text.substr(start, at - start), detail::gpt2_word);
      each(text.substr(at, next.length));
      start = at + next.length;
    }
    at += next.length;
  }
  all_of(text.substr(start), detail::gpt2_word);
}

}  // namespace flamingo::io
