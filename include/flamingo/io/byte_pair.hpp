/// Byte-pair encoding: the symbols of a word are joined pair by pair, the best-ranked pair first.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/pieces.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

/// The merges of a vocabulary, over bytes (GPT-2's kind) or characters (LLaMA's kind).
class BytePairs {
 public:
  BytePairs() = default;
  /// Throws Error for a merge whose parts or result are no tokens of the model, and for missing byte tokens.
  BytePairs(const Vocabulary& vocabulary, const Pieces& pieces)
      : unknown_(vocabulary.unknown),
        byte_level_(vocabulary.byte_level),
        fuse_unknown_(vocabulary.fuse_unknown),
        ignore_merges_(vocabulary.ignore_merges) {
    const std::string where = vocabulary.source.empty() ? "" : vocabulary.source + ": ";
    const auto characters = detail::byte_characters();
    for (std::size_t byte = 0; byte < 256; ++byte) {
      append_utf8(byte_texts_[byte], characters[byte]);
      byte_ids_[byte] = pieces.find_in_model(byte_texts_[byte]).value_or(-1);
      check(byte_ids_[byte] >= 0 || !(byte_level_ && vocabulary.byte_fallback), "tokenizer", where,
            "byte_fallback is true but the byte ", byte, " is no token");
      if (!byte_level_ && vocabulary.byte_fallback)
        fallback_ids_[byte] = pieces.find_in_model(detail::byte_token(static_cast<unsigned char>(byte))).value_or(-1);
      else
        fallback_ids_[byte] = -1;
    }
    merges_.reserve(vocabulary.merges.size());
    for (std::size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
      const auto& [left, right] = vocabulary.merges[rank];
      const auto token = [&](const std::string& text) {
        const auto found = pieces.find_in_model(text);
        check(found.has_value(), "tokenizer", where, "merge ", rank, " needs '", text, "', which is no token");
        return *found;
      };
      const std::int32_t first = token(left), second = token(right);
      merges_.insert_or_assign(pair_key(first, second), Merge{rank, token(left + right)});
    }
  }

  /// Appends the ids of a word.
  void encode(std::string_view word, const Pieces& pieces, std::vector<std::int32_t>& ids) const {
    if (ignore_merges_) {
      std::string written;
      if (byte_level_)
        for (const char c : word) written += byte_texts_[static_cast<unsigned char>(c)];
      else
        written = word;
      if (const auto id = pieces.find_in_model(written)) {
        ids.push_back(*id);
        return;
      }
    }
    merge(symbols_of(word, pieces), ids);
  }

 private:
  struct Merge {
    std::size_t rank;
    std::int32_t result;
  };

  static std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  }

  std::vector<std::int32_t> symbols_of(std::string_view word, const Pieces& pieces) const {
    std::vector<std::int32_t> symbols;
    symbols.reserve(word.size());
    bool after_unknown = false;
    const auto put_unknown = [&] {
      if (unknown_ && !(after_unknown && fuse_unknown_)) symbols.push_back(*unknown_);
      after_unknown = true;
    };
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t length = byte_level_ ? 1 : decode_utf8(word, at).length;
      const std::string_view text = word.substr(at, length);
      at += length;
      const auto byte = static_cast<unsigned char>(text[0]);
      const std::int32_t id = byte_level_ ? byte_ids_[byte] : pieces.find_in_model(std::string(text)).value_or(-1);
      if (id >= 0)
        symbols.push_back(id);
      else if (has_fallback(text))
        for (const char c : text) symbols.push_back(fallback_ids_[static_cast<unsigned char>(c)]);
      else {
        put_unknown();
        continue;
      }
      after_unknown = false;
    }
    return symbols;
  }
  bool has_fallback(std::string_view text) const {
    for (const char c : text)
      if (fallback_ids_[static_cast<unsigned char>(c)] < 0) return false;
    return true;
  }

  /// Joins the best-ranked pair of neighbours, the leftmost of equals, until none is left. Symbols are a linked list;
  /// the queue may hold pairs that are gone, told by their ids having changed. O(n log n).
  void merge(const std::vector<std::int32_t>& word, std::vector<std::int32_t>& ids) const {
    struct Symbol {
      std::int32_t id;
      std::size_t previous, next;
    };
    struct Candidate {
      std::size_t rank, at;
      std::int32_t left, right, result;
      bool operator>(const Candidate& other) const { return std::pair(rank, at) > std::pair(other.rank, other.at); }
    };
    const std::size_t none = word.size();
    if (none == 0) return;
    std::vector<Symbol> symbols;
    symbols.reserve(none);
    for (const std::int32_t id : word) symbols.push_back({id, symbols.size() - 1, symbols.size() + 1});
    symbols.front().previous = none;
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto offer = [&](std::size_t at) {
      const std::size_t next = symbols[at].next;
      if (next == none) return;
      const auto found = merges_.find(pair_key(symbols[at].id, symbols[next].id));
      if (found != merges_.end())
        queue.push({found->second.rank, at, symbols[at].id, symbols[next].id, found->second.result});
    };
    for (std::size_t i = 0; i < none; ++i) offer(i);
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      Symbol& left = symbols[best.at];
      if (left.id != best.left || left.next == none || symbols[left.next].id != best.right) continue;
      Symbol& right = symbols[left.next];
      left.id = best.result;
      left.next = right.next;
      right.id = -1;  // no candidate names it any more
      if (left.next != none) symbols[left.next].previous = best.at;
      offer(best.at);
      if (left.previous != none) offer(left.previous);
    }
    for (std::size_t at = 0; at != none; at = symbols[at].next) ids.push_back(symbols[at].id);
  }

  std::array<std::string, 256> byte_texts_{};
  std::array<std::int32_t, 256> byte_ids_{}, fallback_ids_{};
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::optional<std::int32_t> unknown_;
  bool byte_level_ = true, fuse_unknown_ = false, ignore_merges_ = false;
};

}  // namespace flamingo::io
