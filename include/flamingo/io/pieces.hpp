/// The table of a vocabulary: how each id is written and what it gives when it becomes text.
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/unicode.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

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

/// The byte that a token such as "<0x0A>" stands for.
inline std::optional<unsigned char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  return error == std::errc() && end == token.data() + 5 ? std::optional(byte) : std::nullopt;
}
inline std::string byte_token(unsigned char byte) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

/// How much longer a text may become where `content` replaces each `pattern`, times `growth`, that of earlier steps.
/// Throws Error for an empty pattern, and beyond `most`: a few steps that double a text each would ask for any memory.
inline std::size_t growth_of(std::size_t growth, std::string_view pattern, std::string_view content, std::size_t most,
                             const std::string& where) {
  check(!pattern.empty(), "tokenizer", where, "a normalizer or decoder replaces an empty pattern");
  growth *= content.size() / pattern.size() + 1;
  check(growth <= most, "tokenizer", where, "replacements make a text more than ", most, " times longer");
  return growth;
}

/// Puts `content` for every `pattern`.
inline std::string replaced(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string result;
  for (std::size_t at = 0;;) {
    const std::size_t next = text.find(pattern, at);
    result += text.substr(at, next - at);
    if (next == std::string_view::npos) return result;
    result += content;
    at = next + pattern.size();
  }
}

}  // namespace detail

/// What an id is when it becomes text.
enum class PieceKind : std::uint8_t {
  text,
  byte,      ///< one byte of a character
  verbatim,  ///< text whose leading space stays
};

/// Ids, how they are written, and their bytes.
class Pieces {
 public:
  /// Throws Error for a repeated token, for ids out of range or far beyond the others, for an added token that
  /// contradicts the list, and for replacements that make tokens more than 16 times longer.
  explicit Pieces(const Vocabulary& vocabulary) {
    const std::string where = vocabulary.source.empty() ? "" : vocabulary.source + ": ";
    std::size_t count = vocabulary.tokens.size();
    // Ids index tables: a file of a few bytes may not ask for gigabytes.
    const std::size_t limit = (std::size_t{1} << 20) + 16 * (count + vocabulary.added.size());
    for (const AddedToken& token : vocabulary.added) {
      check(token.id >= 0 && static_cast<std::size_t>(token.id) < limit, "tokenizer", where, "the added token '",
            token.text, "' has the id ", token.id, ", expected 0 to ", limit - 1);
      check(!token.text.empty(), "tokenizer", where, "the added token with the id ", token.id, " is empty");
      count = std::max(count, static_cast<std::size_t>(token.id) + 1);
    }
    check(count > 0, "tokenizer", where, "it has no tokens");
    check(count < (std::size_t{1} << 31), "tokenizer", where, "it has ", count, " tokens, expected at most 2147483647");
    tokens_ = vocabulary.tokens;
    tokens_.resize(count);
    flags_.resize(count);
    for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
      if (!tokens_[id].empty()) {
        name(id, where);
        flags_[id].model = true;
      }
    for (const AddedToken& token : vocabulary.added) {
      const auto id = static_cast<std::size_t>(token.id);
      check(tokens_[id].empty() || tokens_[id] == token.text, "tokenizer", where, "the added token '", token.text,
            "' has the id ", token.id, ", which is '", tokens_[id], "'");
      if (tokens_[id].empty()) {
        tokens_[id] = token.text;
        name(id, where);
      }
      flags_[id].added = true;
      flags_[id].special = flags_[id].special || token.special;
    }
    for (const auto* ids : {&vocabulary.before, &vocabulary.after, &vocabulary.decoding.silent})
      for (const std::int32_t id : *ids) check_id(id, where);
    for (const auto& id : {vocabulary.bos, vocabulary.eos, vocabulary.padding, vocabulary.unknown})
      if (id) check_id(*id, where);
    make_bytes(vocabulary, where);
  }

  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  /// As in the vocabulary; empty where no token has the id.
  const std::string& token(std::int32_t id) const { return tokens_[index(id)]; }
  std::string_view bytes(std::int32_t id) const { return bytes_[index(id)]; }
  PieceKind kind(std::int32_t id) const { return flags_[index(id)].kind; }
  bool special(std::int32_t id) const { return flags_[index(id)].special; }
  std::optional<std::int32_t> find(const std::string& token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  /// Only tokens that the model itself makes, not those found before it.
  std::optional<std::int32_t> find_in_model(const std::string& token) const {
    const auto id = find(token);
    return id && flags_[static_cast<std::size_t>(*id)].model ? id : std::nullopt;
  }

 private:
  struct Flags {
    PieceKind kind = PieceKind::text;
    bool model = false, added = false, special = false;
  };

  std::size_t index(std::int32_t id) const {
    check(id >= 0 && id < size(), "tokenizer", "got the id ", id, ", expected 0 to ", size() - 1);
    return static_cast<std::size_t>(id);
  }
  void check_id(std::int32_t id, const std::string& where) const {
    check(id >= 0 && id < size() && !tokens_[static_cast<std::size_t>(id)].empty(), "tokenizer", where,
          "a special token has the id ", id, ", expected one of a token, 0 to ", size() - 1);
  }
  void name(std::size_t id, const std::string& where) {
    const auto [at, fresh] = ids_.emplace(tokens_[id], static_cast<std::int32_t>(id));
    check(fresh, "tokenizer", where, "tokens ", at->second, " and ", id, " are both '", at->first,
          "', expected each once");
  }
  void make_bytes(const Vocabulary& vocabulary, const std::string& where) {
    const Decoding& decoding = vocabulary.decoding;
    std::size_t growth = 1;
    for (const auto& [from, to] : decoding.replace) growth = detail::growth_of(growth, from, to, 16, where);
    std::unordered_map<char32_t, char> bytes;
    const auto characters = detail::byte_characters();
    for (std::size_t byte = 0; byte < 256; ++byte)
      bytes.emplace(characters[byte], static_cast<char>(static_cast<unsigned char>(byte)));
    bytes_.resize(tokens_.size());
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      std::string text = tokens_[id];
      for (const auto& [from, to] : decoding.replace) text = detail::replaced(text, from, to);
      const auto byte = decoding.byte_tokens ? detail::byte_of_token(text) : std::nullopt;
      if (byte) {
        text.assign(1, static_cast<char>(*byte));
        flags_[id].kind = PieceKind::byte;
      } else if (decoding.byte_level && !flags_[id].added) {
        text = detail::token_bytes(text, bytes);
      }
      bytes_[id] = std::move(text);
    }
    for (const std::int32_t id : decoding.silent) bytes_[index(id)].clear();
    if (decoding.unknown_text && vocabulary.unknown) {
      bytes_[index(*vocabulary.unknown)] = *decoding.unknown_text;
      flags_[index(*vocabulary.unknown)].kind = PieceKind::verbatim;
    }
  }

  std::vector<std::string> tokens_, bytes_;
  std::vector<Flags> flags_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

}  // namespace flamingo::io
