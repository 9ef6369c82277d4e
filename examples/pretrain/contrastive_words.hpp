/// Word pieces of a small vocabulary: whole words as far as it goes, else their longest known pieces, at last letters.
#pragma once
#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <flamingo/core/check.hpp>

namespace contrastive {

/// Lower-case runs of letters and digits.
inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isalnum(letter) && letter < 128)
      words.back() += static_cast<char>(std::tolower(letter));
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Whether two captions have a word in common.
inline bool share_a_word(std::string_view a, std::string_view b) {
  const std::vector<std::string> words = words_of(b);
  const auto in_both = [&](const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const std::vector<std::string> all = words_of(a);
  return std::any_of(all.begin(), all.end(), in_both);
}

/// WordPiece's reading (Wu et al. 2016): greedily the longest piece from the left, pieces inside a word marked by "##".
class WordPieces {
 public:
  /// Letters and digits, then the most frequent words of the texts, each as a word and as a piece, up to `size`.
  WordPieces(const std::vector<std::string>& texts, int size) {
    for (const char* marks : {"", "##"})
      for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyz0123456789")) add(marks + std::string(1, c));
    std::map<std::string, int> counts;
    for (const std::string& text : texts)
      for (const std::string& word : words_of(text)) ++counts[word];
    std::vector<std::pair<int, std::string>> order;
    for (const auto& [word, count] : counts) order.emplace_back(-count, word);
    std::sort(order.begin(), order.end());
    for (const auto& [count, word] : order)
      for (const std::string& piece : {word, "##" + word})
        if (pieces() < size && (piece == word || word.size() > 2)) add(piece);
  }

  int pieces() const { return static_cast<int>(ids_.size()); }

  /// At most `most` ids; a text without letters is refused.
  std::vector<int> encode(std::string_view text, int most) const {
    std::vector<int> ids;
    for (const std::string& word : words_of(text)) {
      std::size_t at = 0;
      while (at < word.size()) {
        std::size_t length = word.size() - at;
        const std::string mark = at ? "##" : "";
        while (!ids_.contains(mark + word.substr(at, length))) --length;  // every letter is a piece
        ids.push_back(ids_.at(mark + word.substr(at, length)));
        at += length;
      }
    }
    flamingo::check(!ids.empty(), "words", "'", text, "' has no letters");
    if (ids.size() > static_cast<std::size_t>(most)) ids.resize(static_cast<std::size_t>(most));
    return ids;
  }

 private:
  void add(const std::string& piece) { ids_.try_emplace(piece, pieces()); }

  std::unordered_map<std::string, int> ids_;
};

}  // namespace contrastive
