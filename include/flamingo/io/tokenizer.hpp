/// Text to ids and back: byte-pair encoding, or another model, between what a tokenizer's file puts around it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/added_tokens.hpp>
#include <flamingo/io/byte_pair.hpp>
#include <flamingo/io/gguf.hpp>
#include <flamingo/io/normal_form.hpp>
#include <flamingo/io/pieces.hpp>
#include <flamingo/io/pre_tokenizer.hpp>
#include <flamingo/io/text_joiner.hpp>
#include <flamingo/io/tokenizer_folder.hpp>
#include <flamingo/io/tokenizer_json.hpp>
#include <flamingo/io/unicode.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

/// How text becomes ids. Text of users is encoded without parse_special, or it could end a turn or insert an image.
struct EncodeOptions {
  /// Special tokens written in the text become their ids (the longest where several begin at one place).
  bool parse_special = false;
  /// What the tokenizer's file puts around a text (its template: often a begin token) is put there.
  bool add_special = false;
  /// The text begins a document; where it goes on, tokenizers that put a space before the first word leave it out.
  bool begins = true;
};

struct DecodeOptions {
  /// Special tokens are left out.
  bool skip_special = false;
};

/// Text to ids and back. Immutable, so it may be shared between threads.
class Tokenizer {
 public:
  /// Throws Error for a repeated token, a merge whose parts or result are no tokens, and ids out of range.
  explicit Tokenizer(Vocabulary vocabulary);

  /// Reads `tokenizer.ggml.*`. Throws Error when the model is not "gpt2" or its pre-tokenizer is not known.
  static Tokenizer from_gguf(const Gguf& file);
  /// Reads a `tokenizer.json` (Hugging Face's `tokenizers`) whose model is BPE. Throws Error, with the file and the
  /// name, for each part that this library does not know.
  static Tokenizer from_json(const std::filesystem::path& path) { return Tokenizer(read_tokenizer_json(path)); }
  /// Opens the tokenizer of a checkpoint's folder: `tokenizer.json`, else `tokenizer.model`, else `vocab.json` and
  /// `merges.txt`, with what `tokenizer_config.json` says. `model` reads a `tokenizer.model`: pass
  /// io::read_sentencepiece of <flamingo/io/sentencepiece.hpp> (component `text`).
  static Tokenizer from_folder(const std::filesystem::path& folder, VocabularyReader model = nullptr) {
    return Tokenizer(read_tokenizer_folder(folder, model));
  }

  /// Ids of a text. A byte or character that is no token becomes the unknown token, and is left out where the
  /// vocabulary has none or is a GGUF file's: its `unknown` is often the end-of-text token, which no text of a user may
  /// bring in.
  std::vector<std::int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The text of ids: valid UTF-8, with U+FFFD for what is not. Throws Error for an id that is out of range; one that
  /// no token has gives nothing.
  std::string decode(std::span<const std::int32_t> ids, DecodeOptions options = {}) const;

  /// The bytes that an id stands for: perhaps a part of a character, and with the space that decoding may take from
  /// the first word. TextStream makes text of them.
  std::string_view bytes(std::int32_t id) const { return pieces_.bytes(id); }
  /// The token of an id as in the vocabulary ("<|im_end|>", "Ġthe"); empty where no token has the id.
  const std::string& token(std::int32_t id) const { return pieces_.token(id); }
  /// The id of a token, written as in the vocabulary.
  std::optional<std::int32_t> find(std::string_view token) const { return pieces_.find(std::string(token)); }
  PieceKind kind(std::int32_t id) const { return pieces_.kind(id); }
  bool special(std::int32_t id) const { return pieces_.special(id); }
  /// Whether decoding looks at an id at all.
  bool shown(std::int32_t id, DecodeOptions options) const {
    return !token(id).empty() && !(options.skip_special && special(id));
  }

  /// One more than the highest id.
  std::int32_t size() const { return pieces_.size(); }
  std::optional<std::int32_t> bos() const { return vocabulary_.bos; }
  std::optional<std::int32_t> eos() const { return vocabulary_.eos; }
  std::optional<std::int32_t> padding() const { return vocabulary_.padding; }
  std::optional<std::int32_t> unknown() const { return vocabulary_.unknown; }
  const Decoding& decoding() const { return vocabulary_.decoding; }

 private:
  std::string normal(std::string_view text) const;
  void encode_segment(std::string_view text, bool first, std::vector<std::int32_t>& ids) const;
  void encode_words(std::string_view text, std::vector<std::int32_t>& ids) const;

  Vocabulary vocabulary_;  ///< without tokens, merges and added tokens, which the following hold
  Pieces pieces_;
  BytePairs pairs_;
  AddedTokens raw_, normalized_;  ///< looked for before normalisation and after it
};

inline Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)), pieces_(vocabulary_) {
  const std::string where = vocabulary_.source.empty() ? "" : vocabulary_.source + ": ";
  std::size_t growth = 1;
  for (const Normalizer& step : vocabulary_.normalizers)
    if (step.kind == Normalizer::Kind::replace)
      growth = detail::growth_of(growth, step.pattern, step.content, 256, where);
  if (!vocabulary_.model) pairs_ = BytePairs(vocabulary_, pieces_);
  std::vector<AddedToken> raw, normalized;
  for (AddedToken& token : vocabulary_.added) {
    if (token.normalized) token.text = normal(token.text);
    if (!token.text.empty()) (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  raw_ = AddedTokens(std::move(raw));
  normalized_ = AddedTokens(std::move(normalized));
  vocabulary_.tokens = {};
  vocabulary_.merges = {};
  vocabulary_.added = {};
}

inline Tokenizer Tokenizer::from_gguf(const Gguf& file) {
  const std::string where = file.path().string() + ": ";
  const std::string_view model = file.text("tokenizer.ggml.model");
  check(model == "gpt2", "tokenizer", where, "tokenizer.ggml.model is '", model, "', expected 'gpt2' (byte-level BPE)");
  const std::string_view pre = file.text("tokenizer.ggml.pre");
  const auto kind = pre_tokenizer(pre);
  check(kind.has_value(), "tokenizer", where, "tokenizer.ggml.pre is '", pre,
        "', expected one of gpt-2, smollm, starcoder, refact, llama-bpe, qwen2");
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
  Vocabulary vocabulary;
  vocabulary.source = file.path().string();
  vocabulary.tokens = strings("tokenizer.ggml.tokens");
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i)
    check(!vocabulary.tokens[i].empty(), "tokenizer", where, "token ", i, " is empty");
  for (const std::string& merge : strings("tokenizer.ggml.merges"))
    vocabulary.merges.push_back(merge_of(merge, vocabulary.merges.size(), where));
  vocabulary.pre_tokenizer = *kind;
  vocabulary.ignore_merges = *kind == PreTokenizer::llama3;
  vocabulary.bos = id("tokenizer.ggml.bos_token_id");
  vocabulary.eos = id("tokenizer.ggml.eos_token_id");
  vocabulary.padding = id("tokenizer.ggml.padding_token_id");
  const auto unknown = id("tokenizer.ggml.unknown_token_id");
  if (file.value("tokenizer.ggml.token_type") != nullptr) {
    const auto types = file.array("tokenizer.ggml.token_type");
    check(types.size() == vocabulary.tokens.size(), "tokenizer", where, "tokenizer.ggml.token_type has ", types.size(),
          " entries, expected one for each of ", vocabulary.tokens.size(), " tokens");
    for (std::size_t i = 0; i < types.size(); ++i) {
      const auto type = types[i].integer();
      check(type && *type >= 1 && *type <= 6, "tokenizer", where, "the type of token ", i, " is ", type.value_or(-1),
            ", expected 1 to 6");
      if (*type == 3 || *type == 4)
        vocabulary.added.push_back(
            {.id = static_cast<std::int32_t>(i), .text = vocabulary.tokens[i], .special = *type == 3});
    }
  }
  Tokenizer tokenizer(std::move(vocabulary));
  if (unknown) tokenizer.pieces_.bytes(*unknown);  // in range
  tokenizer.vocabulary_.unknown = unknown;
  return tokenizer;
}

inline std::string Tokenizer::normal(std::string_view text) const {
  std::string result(text);
  for (const Normalizer& step : vocabulary_.normalizers) switch (step.kind) {
      case Normalizer::Kind::nfc:
        result = nfc(result);
        break;
      case Normalizer::Kind::prepend:
        if (!result.empty()) result.insert(0, step.content);
        break;
      case Normalizer::Kind::replace:
        result = detail::replaced(result, step.pattern, step.content);
    }
  return result;
}

inline std::vector<std::int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<std::int32_t> ids;
  if (options.add_special) ids = vocabulary_.before;
  const auto token = [&](std::int32_t id) { ids.push_back(id); };
  raw_.split(
      text, options.parse_special,
      [&](std::size_t begin, std::size_t end) {
        const std::string segment = normal(text.substr(begin, end - begin));
        normalized_.split(
            segment, options.parse_special,
            [&](std::size_t from, std::size_t to) {
              encode_segment(std::string_view(segment).substr(from, to - from),
                             options.begins && begin == 0 && from == 0, ids);
            },
            token);
      },
      token);
  if (options.add_special) ids.insert(ids.end(), vocabulary_.after.begin(), vocabulary_.after.end());
  return ids;
}

inline void Tokenizer::encode_segment(std::string_view text, bool first, std::vector<std::int32_t>& ids) const {
  const auto wants_prefix = [&](Metaspace::Prepend when) {
    return when == Metaspace::Prepend::always || (when == Metaspace::Prepend::first && first);
  };
  if (vocabulary_.model) {
    const bool prefix = wants_prefix(vocabulary_.model_prefix) &&
                        (vocabulary_.model_prefix == Metaspace::Prepend::always ||
                         !(text.starts_with(' ') || text.starts_with(Metaspace{}.replacement)));
    const std::vector<std::int32_t> own = vocabulary_.model(text, prefix);
    ids.insert(ids.end(), own.begin(), own.end());
    return;
  }
  if (vocabulary_.prefix_space && !text.starts_with(' ')) return encode_words(' ' + std::string(text), ids);
  if (!vocabulary_.metaspace) return encode_words(text, ids);
  const Metaspace& space = *vocabulary_.metaspace;
  std::string spaced = detail::replaced(text, " ", space.replacement);
  if (wants_prefix(space.prepend) && !spaced.starts_with(space.replacement)) spaced.insert(0, space.replacement);
  if (!space.split) return encode_words(spaced, ids);
  for (std::size_t start = 0; start < spaced.size();) {
    const std::size_t end = std::min(spaced.find(space.replacement, start + 1), spaced.size());
    encode_words(std::string_view(spaced).substr(start, end - start), ids);
    start = end;
  }
}

inline void Tokenizer::encode_words(std::string_view text, std::vector<std::int32_t>& ids) const {
  std::unordered_map<std::string_view, std::vector<std::int32_t>> known;
  for_each_word(text, vocabulary_.pre_tokenizer, [&](std::string_view word) {
    const auto [entry, fresh] = known.try_emplace(word);
    if (fresh) pairs_.encode(word, pieces_, entry->second);
    ids.insert(ids.end(), entry->second.begin(), entry->second.end());
  });
}

inline std::string Tokenizer::decode(std::span<const std::int32_t> ids, DecodeOptions options) const {
  std::string text;
  TextJoiner joiner(vocabulary_.decoding, true);
  for (const std::int32_t id : ids)
    if (shown(id, options)) joiner.push(bytes(id), kind(id), text);
  joiner.finish(text);
  return text;
}

}  // namespace flamingo::io
