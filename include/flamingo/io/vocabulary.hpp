/// What a tokenizer is made of, as plain values: what its file says, whichever kind of file it is.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/io/pre_tokenizer.hpp>

namespace flamingo::io {

/// A token that is found in text as it stands, before anything else looks at the text.
struct AddedToken {
  std::int32_t id = 0;
  std::string text{};
  bool special = false;      ///< stands for something: looked for on request only, left out of decoded text on request
  bool normalized = false;   ///< looked for after normalisation, in a normalised writing of its own
  bool left_strip = false;   ///< takes the white space before it
  bool right_strip = false;  ///< takes the white space after it
  bool single_word = false;  ///< not found inside a word
};

/// A change of the text before it is cut into words.
struct Normalizer {
  enum class Kind : std::uint8_t {
    nfc,      ///< Unicode's normal form C
    prepend,  ///< puts `content` before a text that is not empty
    replace,  ///< puts `content` for every `pattern`
  };
  Kind kind = Kind::nfc;
  std::string pattern{}, content{};
};

/// Spaces as a character that is part of words (▁).
struct Metaspace {
  enum class Prepend : std::uint8_t { never, first, always };
  std::string replacement = "\xe2\x96\x81";
  Prepend prepend = Prepend::always;  ///< where one is put before a text without: nowhere, its beginning, each segment
  bool split = true;                  ///< a word ends before each
};

/// How ids become text.
struct Decoding {
  /// What becomes of bytes that are no UTF-8.
  enum class Broken : std::uint8_t {
    sequence,  ///< U+FFFD for each longest beginning of a character (byte-level tokenizers)
    byte,      ///< U+FFFD for each byte (SentencePiece)
    run,       ///< U+FFFD for each byte of a run of byte tokens that is not UTF-8 as a whole (`ByteFallback`)
  };
  /// What becomes of the space before the first word.
  enum class Leading : std::uint8_t {
    kept,
    spaces,       ///< up to `spaces` spaces of the text go
    first_piece,  ///< one space of the first piece that gives text goes (SentencePiece's dummy prefix)
    each_piece,   ///< one space of each piece goes until there is text (SentencePiece, extra white space removed)
    first_token,  ///< all spaces of the first token go (`Metaspace`)
  };
  bool byte_level = true;    ///< tokens are bytes, written in GPT-2's characters
  bool byte_tokens = false;  ///< "<0x41>" stands for a byte
  Broken broken = Broken::sequence;
  Leading leading = Leading::kept;
  int spaces = 1;
  std::vector<std::pair<std::string, std::string>> replace{};  ///< in each token, in this order
  std::vector<std::int32_t> silent{};                          ///< ids that give no text
  std::optional<std::string> unknown_text{};                   ///< instead of the unknown token's own
};

/// A segment's ids by a model of its own, such as SentencePiece's; `prefix`: as if a space stood before.
using TextModel = std::function<std::vector<std::int32_t>(std::string_view segment, bool prefix)>;

/// A tokenizer in its parts. The default is GPT-2's kind: tokens and merges written in its printable characters for
/// bytes (a space is "Ġ").
struct Vocabulary {
  std::vector<std::string> tokens{};  ///< its place is a token's id; empty: there is no token of this id
  std::vector<std::pair<std::string, std::string>> merges{};  ///< best first; of a pair named twice the last counts
  std::vector<AddedToken> added{};                            ///< tokens of the list above, or beyond it
  std::vector<Normalizer> normalizers{};
  PreTokenizer pre_tokenizer = PreTokenizer::gpt2;
  bool prefix_space = false;  ///< a space is put before a segment that has none
  std::optional<Metaspace> metaspace{};
  bool byte_level = true;      ///< symbols are bytes; otherwise characters
  bool byte_fallback = false;  ///< a character that is no token becomes its bytes ("<0xE2>")
  bool fuse_unknown = false;   ///< unknown characters in a row are one unknown token
  bool ignore_merges = false;  ///< a word that is a token is that token, whatever the merges
  TextModel model{};           ///< instead of merges
  Metaspace::Prepend model_prefix = Metaspace::Prepend::always;  ///< which segments are given to it with a prefix
  std::vector<std::int32_t> before{}, after{};                   ///< what the file puts around a text
  Decoding decoding{};
  std::optional<std::int32_t> bos{}, eos{}, padding{};
  std::optional<std::int32_t> unknown{};  ///< for what is no token; without one that is left out
  std::string source{};                   ///< the file, for errors
};

}  // namespace flamingo::io
