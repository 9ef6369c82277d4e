/// Which texts are worth training on: the quality rules of MassiveText (Rae et al. 2021, table A1). The Flamingo paper
/// says "similar" and gives no list.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <flamingo/data/web/words.hpp>

namespace flamingo::web {

/// The limits, each inclusive.
struct TextRules {
  std::size_t least_words = 50, most_words = 100'000;
  double least_word_length = 3, most_word_length = 10;  ///< mean, in code points
  double most_hashes = 0.1, most_ellipses = 0.1;        ///< signs a word
  double most_bullet_lines = 0.9, most_ellipsis_lines = 0.3;
  double least_alphabetic_words = 0.8;  ///< share of words with a letter
  std::size_t least_stop_words = 2;     ///< different ones of {the, be, to, of, and, that, have, with}
};

/// Why a text is dropped; `none`: it is kept.
enum class TextFault : std::uint8_t {
  none,
  too_few_words,
  too_many_words,
  word_length,
  hashes,
  ellipses,
  bullet_lines,
  ellipsis_lines,
  alphabetic_words,
  stop_words,
};

constexpr std::string_view name_of(TextFault fault) {
  constexpr std::array<std::string_view, 10> names{
      "none",     "too_few_words", "too_many_words", "word_length",      "hashes",
      "ellipses", "bullet_lines",  "ellipsis_lines", "alphabetic_words", "stop_words"};
  return names[static_cast<std::size_t>(fault)];
}

namespace detail {

constexpr std::string_view ellipsis = "\xe2\x80\xa6";

constexpr std::size_t count_of(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; at += what.size()) ++count;
  return count;
}

constexpr bool begins_with_bullet(std::string_view line) {
  while (!line.empty() && is_white(line.front())) line.remove_prefix(1);
  if (line.starts_with("- ") || line.starts_with("* ")) return true;
  for (const std::string_view bullet : {"\xe2\x80\xa2", "\xe2\x80\xa3", "\xe2\x97\x8f", "\xe2\x97\xa6", "\xe2\x96\xaa"})
    if (line.starts_with(bullet)) return true;
  return false;
}

/// A letter of any script: whatever is beyond ASCII counts as one but for its punctuation and symbols (U+2000 to
/// U+2BFF, and U+0080 to U+00BF).
constexpr bool has_letter(std::string_view word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    if (byte < 0x80
            ? ((byte | 32u) >= 'a' && (byte | 32u) <= 'z')
            : byte >= 0xc3 && (byte != 0xe2 || i + 1 >= word.size() || static_cast<unsigned char>(word[i + 1]) >= 0xb0))
      return true;
  }
  return false;
}

/// Calls f for each line that is not blank, without white space at its ends.
template <class F>
void each_line(std::string_view text, const F& f) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    while (!line.empty() && is_white(line.front())) line.remove_prefix(1);
    while (!line.empty() && is_white(line.back())) line.remove_suffix(1);
    if (!line.empty()) f(line);
    at = end + 1;
  }
}

}  // namespace detail

/// The first rule that a text breaks. `words` are its words.
inline TextFault text_fault(std::string_view text, std::span<const Word> words, const TextRules& rules = {}) {
  if (words.size() < rules.least_words) return TextFault::too_few_words;
  if (words.size() > rules.most_words) return TextFault::too_many_words;
  constexpr std::array<std::string_view, 8> stops{"the", "be", "to", "of", "and", "that", "have", "with"};
  std::uint64_t chars = 0;
  std::size_t alphabetic = 0;
  unsigned seen = 0;
  for (const Word& word : words) {
    chars += word.length;
    alphabetic += detail::has_letter(word.text);
    if (word.length > 4) continue;
    std::array<char, 4> low{};
    for (std::size_t i = 0; i < word.text.size() && i < low.size(); ++i)
      low[i] = static_cast<char>(word.text[i] >= 'A' && word.text[i] <= 'Z' ? word.text[i] | 32 : word.text[i]);
    for (std::size_t s = 0; s < stops.size(); ++s)
      if (std::string_view(low.data(), word.text.size() <= 4 ? word.text.size() : 0) == stops[s]) seen |= 1u << s;
  }
  const auto count = static_cast<double>(words.size());
  const double mean = static_cast<double>(chars) / count;
  if (mean < rules.least_word_length || mean > rules.most_word_length) return TextFault::word_length;
  const auto hashes = static_cast<double>(std::count(text.begin(), text.end(), '#'));
  if (hashes > rules.most_hashes * count) return TextFault::hashes;
  const auto ellipses = static_cast<double>(detail::count_of(text, "...") + detail::count_of(text, detail::ellipsis));
  if (ellipses > rules.most_ellipses * count) return TextFault::ellipses;
  std::size_t lines = 0, bullets = 0, ending = 0;
  detail::each_line(text, [&](std::string_view line) {
    ++lines;
    bullets += detail::begins_with_bullet(line);
    ending += line.ends_with("...") || line.ends_with(detail::ellipsis);
  });
  if (static_cast<double>(bullets) > rules.most_bullet_lines * static_cast<double>(lines))
    return TextFault::bullet_lines;
  if (static_cast<double>(ending) > rules.most_ellipsis_lines * static_cast<double>(lines))
    return TextFault::ellipsis_lines;
  if (static_cast<double>(alphabetic) < rules.least_alphabetic_words * count) return TextFault::alphabetic_words;
  if (static_cast<std::size_t>(std::popcount(seen)) < rules.least_stop_words) return TextFault::stop_words;
  return TextFault::none;
}

}  // namespace flamingo::web
