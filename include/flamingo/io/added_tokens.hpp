/// Tokens that are found in text as they stand, by the rules of Hugging Face's `tokenizers`.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/io/unicode.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

/// Cuts text at added tokens.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// Texts must not be empty.
  explicit AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      by_first_byte_[static_cast<unsigned char>(tokens_[i].text[0])].push_back(i);
    for (auto& list : by_first_byte_)
      std::sort(list.begin(), list.end(), [&](std::size_t a, std::size_t b) {
        const std::size_t of_a = tokens_[a].text.size(), of_b = tokens_[b].text.size();
        return of_a != of_b ? of_a > of_b : a < b;
      });
  }

  /// Calls plain(begin, end) for the stretches of the text between tokens (never empty) and token(id) for these, in
  /// order. At each place the longest counts. A special token that is not asked for, and one that may not stand inside
  /// a word but does, is plain text, and so is what lies in it.
  template <class Plain, class Token>
  void split(std::string_view text, bool special, const Plain& plain, const Token& token) const {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size();) {
      const AddedToken* found = longest_at(text, at);
      if (found == nullptr) {
        ++at;
        continue;
      }
      std::size_t start = at, stop = at + found->text.size();
      at = stop;
      if (found->special && !special) continue;
      if (found->single_word && (word_before(text, start) || word_at(text, stop))) continue;
      if (found->left_strip) start = std::max(done, before_spaces(text, start));
      if (found->right_strip) stop = after_spaces(text, stop);
      if (done < start) plain(done, start);
      token(found->id);
      done = stop;
    }
    if (done < text.size()) plain(done, text.size());
  }

 private:
  const AddedToken* longest_at(std::string_view text, std::size_t at) const {
    for (const std::size_t i : by_first_byte_[static_cast<unsigned char>(text[at])])
      if (text.substr(at).starts_with(tokens_[i].text)) return &tokens_[i];
    return nullptr;
  }
  /// The place where the character that ends at `end` begins.
  static std::size_t previous(std::string_view text, std::size_t end) {
    std::size_t at = end - 1;
    while (at > 0 && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80) --at;
    return decode_utf8(text, at).length == end - at ? at : end - 1;
  }
  static bool word_at(std::string_view text, std::size_t at) {
    if (at >= text.size()) return false;
    const CodePoint point = decode_utf8(text, at);
    return point.valid && is_word(point.value);
  }
  static bool word_before(std::string_view text, std::size_t end) {
    return end > 0 && word_at(text, previous(text, end));
  }
  static std::size_t before_spaces(std::string_view text, std::size_t end) {
    while (end > 0) {
      const std::size_t at = previous(text, end);
      const CodePoint point = decode_utf8(text, at);
      if (!point.valid || !is_space(point.value)) break;
      end = at;
    }
    return end;
  }
  static std::size_t after_spaces(std::string_view text, std::size_t at) {
    while (at < text.size()) {
      const CodePoint point = decode_utf8(text, at);
      if (!point.valid || !is_space(point.value)) break;
      at += point.length;
    }
    return at;
  }

  std::vector<AddedToken> tokens_;
  std::array<std::vector<std::size_t>, 256> by_first_byte_{};  ///< longest first
};

}  // namespace flamingo::io
