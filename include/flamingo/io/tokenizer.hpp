/// Byte-level byte-pair encoding (GPT-2's kind), from a GGUF file or from vectors.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/gguf.hpp>
#include <flamingo/io/pre_tokenizer.hpp>
#include <flamingo/io/unicode.hpp>

namespace flamingo::io {

/// What a tokenizer is made of. Tokens and merges are written as GPT-2's files write them: every byte is a printable
/// character (a space is "Ġ"), a merge is its two parts with a space between. The id of a token is its place.
struct Vocabulary {
  std::vector<std::string> tokens;
  /// Best first.
  std::vector<std::string> merges;
  PreTokenizer pre_tokenizer = PreTokenizer::gpt2;
  /// Ids of tokens that are plain text, not bytes, and stand for something: found in text on request only.
  std::vector<std::int32_t> special;
  /// Ids of tokens that are plain text and are always found in text.
  std::vector<std::int32_t> added;
  std::optional<std::int32_t> bos, eos, padding, unknown;
};

/// How text becomes ids. Text of users is encoded without parse_special, or it could end a turn or insert an image.
struct EncodeOptions {
  /// Special tokens written in the text become their ids (the longest where several begin at one place).
  bool parse_special = false;
};

/// Text to ids and back. Immutable, so it may be shared between threads.
class Tokenizer {
 public:
  /// Throws Error for an empty or repeated token, a merge whose parts or result are no tokens, and ids out of range.
  explicit Tokenizer(Vocabulary vocabulary);

  /// Reads `tokenizer.ggml.*`. Throws Error when the model is not "gpt2" or its pre-tokenizer is not known.
  static Tokenizer from_gguf(const Gguf& file);

  /// Ids of a text. Nothing is put before or after it. A byte that is no token of the vocabulary is left out, as the
  /// published tokenizers do: vocabularies may lack control characters and bytes that UTF-8 never uses, and their
  /// `unknown` is often the end-of-text token, which no text of a user may bring in.
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The text of ids, special tokens included: encode's inverse. Ids in arbitrary order may give bytes that are no
  /// UTF-8.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// The bytes that an id stands for.
  std::string_view bytes(std::int32_t id) const {
    check(id >= 0 && id < size(), "tokenizer", "got the id ", id, ", expected 0 to ", size() - 1);
    return bytes_[static_cast<std::size_t>(id)];
  }
  /// The id of a token, written as in the vocabulary ("<|im_end|>", "Ġthe").
  std::optional<std::int32_t> find(std::string_view token) const {
    const auto found = ids_.find(std::string(token));
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  std::int32_t size() const { return static_cast<std::int32_t>(bytes_.size()); }
  std::optional<std::int32_t> bos() const { return bos_; }
  std::optional<std::int32_t> eos() const { return eos_; }
  std::optional<std::int32_t> padding() const { return padding_; }
  std::optional<std::int32_t> unknown() const { return unknown_; }

 private:
  struct Merge {
    std::size_t rank;
    std::int32_t result;
  };
  /// A token that is found in text as it stands.
  struct Literal {
    std::int32_t id;
    bool special;
  };
  using WordCache = std::unordered_map<std::string_view, std::vector<std::int32_t>>;

  static std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  }
  std::int32_t token(const std::string& text, std::size_t merge) const;
  void add_merges(const std::vector<std::string>& merges);
  void add_literals(std::span<const std::int32_t> ids, bool special);
  const Literal* literal_at(std::string_view text, std::size_t at, bool special) const;
  void encode_plain(std::string_view text, std::vector<std::int32_t>& ids, WordCache& cache) const;
  std::vector<std::int32_t> merge_word(std::string_view word) const;

  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<std::string> bytes_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::unordered_map<std::uint64_t, Merge> merges_;
  /// By first byte; longest first.
  std::array<std::vector<Literal>, 256> literals_;
  PreTokenizer pre_tokenizer_;
  std::optional<std::int32_t> bos_, eos_, padding_, unknown_;
};

/// Turns ids that arrive one by one into text, holding back bytes until their character is complete.
class Decoder {
 public:
  /// `tokenizer` must live longer than this.
  explicit Decoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  /// The characters that `id` completes: valid UTF-8, perhaps empty. Bytes that cannot be UTF-8 become U+FFFD.
  std::string push(std::int32_t id) {
    pending_ += tokenizer_->bytes(id);
    return take(false);
  }
  /// The rest: an incomplete character becomes U+FFFD.
  std::string finish() { return take(true); }

 private:
  std::string take(bool all) {
    std::string text;
    std::size_t at = 0;
    while (at < pending_.size()) {
      const CodePoint point = decode_utf8(pending_, at);
      if (point.incomplete && !all) break;
      if (point.valid) {
        text.append(pending_, at, point.length);
        at += point.length;
      } else {
        append_utf8(text, 0xfffd);
        at = point.incomplete ? pending_.size() : at + 1;
      }
    }
    pending_.erase(0, at);
    return text;
  }

  const Tokenizer* tokenizer_;
  std::string pending_;
};

namespace detail {

/// GPT-2's printable character for each byte: itself where it is printable in Latin-1, else U+0100 upwards in order.
inline std::array<char32_t, 256> byte_characters() {
  std::array<char32_t, 256> characters{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

/// The bytes of a token written in these characters; the text itself when it has any other character.
inline std::string token_bytes(std::string_view token, const std::unordered_map<char32_t, char>& bytes) {
  std::string result;
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint point = decode_utf8(token, at);
    const auto found = bytes.find(point.value);
    if (!point.valid || found == bytes.end()) return std::string(token);
    result += found->second;
    at += point.length;
  }
  return result;
}

}  // namespace detail

inline Tokenizer::Tokenizer(Vocabulary vocabulary)
    : pre_tokenizer_(vocabulary.pre_tokenizer),
      bos_(vocabulary.bos),
      eos_(vocabulary.eos),
      padding_(vocabulary.padding),
      unknown_(vocabulary.unknown) {
  const std::size_t count = vocabulary.tokens.size();
  check(count > 0 && count < (std::size_t{1} << 31), "tokenizer", "got ", count, " tokens, expected 1 to 2147483647");
  for (std::size_t i = 0; i < count; ++i) {
    check(!vocabulary.tokens[i].empty(), "tokenizer", "token ", i, " is empty");
    const auto [at, fresh] = ids_.emplace(vocabulary.tokens[i], static_cast<std::int32_t>(i));
    check(fresh, "tokenizer", "tokens ", at->second, " and ", i, " are both '", at->first, "', expected each once");
  }
  const auto in_range = [&](std::int32_t id) { return id >= 0 && static_cast<std::size_t>(id) < count; };
  for (const auto& id : {bos_, eos_, padding_, unknown_})
    check(!id || in_range(*id), "tokenizer", "a special token has the id ", id.value_or(0), ", expected 0 to ",
          count - 1);

  const std::array<char32_t, 256> characters = detail::byte_characters();
  std::unordered_map<char32_t, char> bytes;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    bytes.emplace(characters[byte], static_cast<char>(static_cast<unsigned char>(byte)));
    std::string text;
    append_utf8(text, characters[byte]);
    byte_ids_[byte] = find(text).value_or(-1);
  }
  for (const std::string& text : vocabulary.tokens) bytes_.push_back(detail::token_bytes(text, bytes));
  for (const auto* list : {&vocabulary.special, &vocabulary.added})
    for (const std::int32_t id : *list) {
      check(in_range(id), "tokenizer", "a special token has the id ", id, ", expected 0 to ", count - 1);
      bytes_[static_cast<std::size_t>(id)] = vocabulary.tokens[static_cast<std::size_t>(id)];
    }
  add_merges(vocabulary.merges);
  add_literals(vocabulary.special, true);
  add_literals(vocabulary.added, false);
}

inline std::int32_t Tokenizer::token(const std::string& text, std::size_t merge) const {
  const auto found = find(text);
  check(found.has_value(), "tokenizer", "merge ", merge, " needs '", text, "', which is no token");
  return *found;
}

inline void Tokenizer::add_merges(const std::vector<std::string>& merges) {
  merges_.reserve(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& merge = merges[rank];
    const std::size_t space = merge.find(' ');
    check(space != std::string::npos && space > 0 && space + 1 < merge.size() && merge.rfind(' ') == space, "tokenizer",
          "merge ", rank, " is '", merge, "', expected two parts with one space between");
    const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
    merges_.emplace(pair_key(token(left, rank), token(right, rank)), Merge{rank, token(left + right, rank)});
  }
}

inline void Tokenizer::add_literals(std::span<const std::int32_t> ids, bool special) {
  for (const std::int32_t id : ids) literals_[static_cast<unsigned char>(bytes(id)[0])].push_back({id, special});
  for (auto& list : literals_)
    std::stable_sort(list.begin(), list.end(),
                     [&](Literal a, Literal b) { return bytes(a.id).size() > bytes(b.id).size(); });
}

inline Tokenizer Tokenizer::from_gguf(const Gguf& file) {
  const std::string where = file.path().string() + ": ";
  const std::string_view model = file.text("tokenizer.ggml.model");
  check(model == "gpt2", "tokenizer", where, "tokenizer.ggml.model is '", model, "', expected 'gpt2' (byte-level BPE)");
  const std::string_view pre = file.text("tokenizer.ggml.pre");
  const auto kind = pre_tokenizer(pre);
  check(kind.has_value(), "tokenizer", where, "tokenizer.ggml.pre is '", pre,
        "', expected one of gpt-2, smollm, starcoder, refact");
  const auto strings = [&](std::string_view key) {
    std::vector<std::string> result;
    for (const GgufValue& item : file.array(key)) {
      const auto* text = std::get_if<std::string_view>(&item.value);
      check(text != nullptr, "tokenizer", where, key, " holds ", item.type_name(), ", expected strings");
      result.emplace_back(*text);
    }
    return result;
  };
  const auto id = [&](std::string_view key) -> std::optional<std::int32_t> {
    if (file.value(key) == nullptr) return std::nullopt;
    const std::int64_t value = file.integer(key);
    check(value >= 0 && value < (std::int64_t{1} << 31), "tokenizer", where, key, " is ", value,
          ", expected a token id");
    return static_cast<std::int32_t>(value);
  };
  Vocabulary vocabulary{.tokens = strings("tokenizer.ggml.tokens"),
                        .merges = strings("tokenizer.ggml.merges"),
                        .pre_tokenizer = *kind,
                        .special = {},
                        .added = {},
                        .bos = id("tokenizer.ggml.bos_token_id"),
                        .eos = id("tokenizer.ggml.eos_token_id"),
                        .padding = id("tokenizer.ggml.padding_token_id"),
                        .unknown = id("tokenizer.ggml.unknown_token_id")};
  if (file.value("tokenizer.ggml.token_type") != nullptr) {
    const auto types = file.array("tokenizer.ggml.token_type");
    check(types.size() == vocabulary.tokens.size(), "tokenizer", where, "tokenizer.ggml.token_type has ", types.size(),
          " entries, expected one for each of ", vocabulary.tokens.size(), " tokens");
    for (std::size_t i = 0; i < types.size(); ++i) {
      const auto type = types[i].integer();
      check(type && *type >= 1 && *type <= 6, "tokenizer", where, "the type of token ", i, " is ", type.value_or(-1),
            ", expected 1 to 6");
      if (*type == 3) vocabulary.special.push_back(static_cast<std::int32_t>(i));
      if (*type == 4) vocabulary.added.push_back(static_cast<std::int32_t>(i));
    }
  }
  return Tokenizer(std::move(vocabulary));
}

inline const Tokenizer::Literal* Tokenizer::literal_at(std::string_view text, std::size_t at, bool special) const {
  for (const Literal& literal : literals_[static_cast<unsigned char>(text[at])])
    if ((special || !literal.special) && text.substr(at).starts_with(bytes(literal.id))) return &literal;
  return nullptr;
}

inline std::vector<std::int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<std::int32_t> ids;
  WordCache cache;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Literal* literal = literal_at(text, at, options.parse_special);
    if (literal == nullptr) {
      ++at;
      continue;
    }
    encode_plain(text.substr(start, at - start), ids, cache);
    ids.push_back(literal->id);
    at += bytes(literal->id).size();
    start = at;
  }
  encode_plain(text.substr(start), ids, cache);
  return ids;
}

inline std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  for (const std::int32_t id : ids) text += bytes(id);
  return text;
}

inline void Tokenizer::encode_plain(std::string_view text, std::vector<std::int32_t>& ids, WordCache& cache) const {
  for_each_word(text, pre_tokenizer_, [&](std::string_view word) {
    const auto [entry, fresh] = cache.try_emplace(word);
    if (fresh) entry->second = merge_word(word);
    ids.insert(ids.end(), entry->second.begin(), entry->second.end());
  });
}

/// Joins the best-ranked pair of neighbours, the leftmost of equals, until none is left. Symbols are a linked list over
/// the bytes of the word; the queue may hold pairs that are gone, told by their ids having changed. O(n log n).
inline std::vector<std::int32_t> Tokenizer::merge_word(std::string_view word) const {
  struct Symbol {
    std::int32_t id;
    std::size_t previous, next;
  };
  struct Candidate {
    std::size_t rank, at;
    std::int32_t left, right, result;
    bool operator>(const Candidate& other) const { return std::pair(rank, at) > std::pair(other.rank, other.at); }
  };
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char c : word) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0) symbols.push_back({id, symbols.size() - 1, symbols.size() + 1});
  }
  const std::size_t none = symbols.size();
  if (none == 0) return {};
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
  std::vector<std::int32_t> ids;
  for (std::size_t at = 0; at != none; at = symbols[at].next) ids.push_back(symbols[at].id);
  return ids;
}

}  // namespace flamingo::io
