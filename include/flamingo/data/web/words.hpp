/// The words of a text, once for all rules that count them: where they are, how long, and a hash of each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace flamingo::web {

/// A run of bytes without white space.
struct Word {
  std::string_view text;
  std::uint32_t length = 0;  ///< code points
  std::uint64_t hash = 0;    ///< of its bytes
};

namespace detail {

/// The finalizer of SplitMix64: a permutation that mixes all bits.
constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

constexpr bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

constexpr std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed = 0) {
  std::uint64_t h = 0xcbf29ce484222325u ^ mixed(seed);
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mixed(h);
}

constexpr std::uint32_t code_points(std::string_view text) {
  std::uint32_t count = 0;
  for (const char c : text) count += (c & 0xc0) != 0x80;
  return count;
}

}  // namespace detail

/// Replaces `words` by those of a text.
inline void split_words(std::string_view text, std::vector<Word>& words) {
  words.clear();
  for (std::size_t at = 0;;) {
    while (at < text.size() && detail::is_white(text[at])) ++at;
    if (at == text.size()) return;
    const std::size_t begin = at;
    while (at < text.size() && !detail::is_white(text[at])) ++at;
    const std::string_view word = text.substr(begin, at - begin);
    words.push_back({word, detail::code_points(word), detail::hash_of(word)});
  }
}

}  // namespace flamingo::web
