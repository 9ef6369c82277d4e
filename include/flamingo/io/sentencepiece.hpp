/// SentencePiece models (unigram and BPE) by the SentencePiece library: the component `text`.
#pragma once
#include <sentencepiece_processor.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

namespace detail {

/// What of a `.model` file (a protobuf message, sentencepiece_model.proto) is looked at before the library sees it.
struct SentencePieceModel {
  std::vector<std::string> pieces;
  bool dummy_prefix = true, removes_spaces = true;
  std::string unknown_text = " \xe2\x81\x87 ";
};

/// Walks over the fields of a protobuf message.
class ProtobufReader {
 public:
  ProtobufReader(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(&where) {}

  /// Calls each(number, type, value, bytes) for the fields in their order: a value of type 0, 1 or 5, bytes of type 2.
  template <class Each>
  void fields(const Each& each) {
    while (at_ < bytes_.size()) {
      const std::uint64_t tag = varint();
      const std::uint64_t number = tag >> 3, type = tag & 7;
      check(number > 0, "sentencepiece", *where_, "a field has the number 0");
      switch (type) {
        case 0:
          each(number, type, varint(), std::string_view());
          break;
        case 1:
        case 5: {
          std::uint64_t value = 0;
          const std::string_view raw = take(type == 1 ? 8 : 4);
          for (std::size_t i = raw.size(); i-- > 0;) value = (value << 8) | static_cast<unsigned char>(raw[i]);
          each(number, type, value, std::string_view());
          break;
        }
        case 2:
          each(number, type, std::uint64_t{0}, take(varint()));
          break;
        default:
          fail("sentencepiece", *where_, "field ", number, " has the type ", type, ", expected 0, 1, 2 or 5");
      }
    }
  }

 private:
  std::string_view take(std::uint64_t count) {
    check(count <= bytes_.size() - at_, "sentencepiece", *where_, "a field of ", count,
          " bytes ends beyond its message");
    const std::string_view result = bytes_.substr(at_, static_cast<std::size_t>(count));
    at_ += result.size();
    return result;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    fail("sentencepiece", *where_, "a number has more than 64 bits");
  }

  std::string_view bytes_;
  const std::string* where_;
  std::size_t at_ = 0;
};

/// The compiled normalisation rules: a size, a double-array trie of that many bytes, and the texts that it points to.
/// The library follows the trie without looking at its bounds, so each step that it may take is looked at here.
inline void check_normalizer(std::string_view rules, const std::string& where) {
  if (rules.empty()) return;
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(rules[at + i]);
    return value;
  };
  check(rules.size() > 4, "sentencepiece", where, "the normalisation rules are cut short");
  const std::size_t bytes = word(0);
  check(bytes >= 4 && bytes % 4 == 0 && bytes < rules.size() - 4, "sentencepiece", where,
        "the trie of the normalisation rules has ", bytes, " bytes, expected less than ", rules.size() - 4);
  const std::size_t units = bytes / 4, texts = rules.size() - 4 - bytes;
  check(rules.back() == '\0', "sentencepiece", where, "the texts of the normalisation rules do not end");
  for (std::size_t i = 0; i < units; ++i) {
    const std::uint32_t unit = word(4 + 4 * i);
    if (unit >> 31) {
      check((unit & 0x7fffffffu) < texts, "sentencepiece", where, "a normalisation rule points beyond its texts");
      continue;
    }
    const std::size_t offset = std::size_t{unit >> 10} << ((unit & (1u << 9)) >> 6);
    check(((i ^ offset) | 0xffu) < units, "sentencepiece", where, "the trie of the normalisation rules leaves itself");
  }
}

/// Throws Error where the file is no message that the library can take.
inline SentencePieceModel check_sentencepiece(std::string_view file, const std::string& where) {
  SentencePieceModel model;
  std::unordered_set<std::string_view> seen;
  std::uint64_t algorithm = 1;
  const auto text_only = [&](std::uint64_t type, std::string_view what) {
    check(type == 2, "sentencepiece", where, what, " has the field type ", type, ", expected 2");
  };
  const auto piece = [&](std::string_view bytes) {
    std::string_view text;
    float score = 0;
    ProtobufReader(bytes, where).fields([&](auto number, auto type, auto value, auto own) {
      if (number == 1) {
        text_only(type, "a piece's text");
        text = own;
      }
      if (number == 2) score = std::bit_cast<float>(static_cast<std::uint32_t>(value));
    });
    check(!text.empty(), "sentencepiece", where, "piece ", model.pieces.size(), " is empty");
    check(text.find('\0') == std::string_view::npos, "sentencepiece", where, "piece ", model.pieces.size(),
          " has a zero byte");
    check(std::isfinite(score), "sentencepiece", where, "piece ", model.pieces.size(), " has the score ", score);
    check(seen.insert(text).second, "sentencepiece", where, "piece ", model.pieces.size(), " is '", text,
          "', which was there before");
    model.pieces.emplace_back(text);
  };
  ProtobufReader(file, where).fields([&](auto number, auto type, auto, auto bytes) {
    if (number == 1) {
      text_only(type, "a piece");
      piece(bytes);
    } else if (number == 2) {
      text_only(type, "trainer_spec");
      ProtobufReader(bytes, where).fields([&](auto field, auto, auto value, auto own) {
        if (field == 3) algorithm = value;
        if (field == 44) model.unknown_text = own;
      });
    } else if (number == 3) {
      text_only(type, "normalizer_spec");
      ProtobufReader(bytes, where).fields([&](auto field, auto kind, auto value, auto own) {
        if (field == 2) {
          text_only(kind, "precompiled_charsmap");
          check_normalizer(own, where);
        }
        if (field == 3) model.dummy_prefix = value != 0;
        if (field == 4) model.removes_spaces = value != 0;
      });
    } else if (number == 5) {
      text_only(type, "denormalizer_spec");
      ProtobufReader(bytes, where).fields([&](auto field, auto, auto, auto own) {
        check(field != 2 || own.empty(), "sentencepiece", where, "it has rules for decoded text: not supported");
      });
    }
  });
  check(!model.pieces.empty(), "sentencepiece", where, "it has no pieces: is it a SentencePiece model?");
  check(algorithm >= 1 && algorithm <= 4, "sentencepiece", where, "model_type is ", algorithm, ", expected 1 to 4");
  return model;
}

/// The library's processor of a message; its refusal as an Error.
inline std::shared_ptr<const sentencepiece::SentencePieceProcessor> sentencepiece_processor(std::string_view message,
                                                                                            const std::string& where) {
  auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
  std::string refusal;
  try {
    const auto status = processor->LoadFromSerializedProto({message.data(), message.size()});
    if (!status.ok()) refusal = status.ToString();
  } catch (const std::exception& error) {
    refusal = error.what();
  }
  check(refusal.empty(), "sentencepiece", where, "the library refuses it: ", refusal);
  return processor;
}

}  // namespace detail

/// The parts of a SentencePiece model: ids, normalisation and decoded text are the library's. Throws Error, with the
/// file, for what is no such model. For Tokenizer::from_folder, and for Tokenizer itself: sentencepiece_tokenizer.
inline Vocabulary read_sentencepiece(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string where = path.string() + ": ";
  detail::SentencePieceModel model = detail::check_sentencepiece(file.text(), where);
  const auto ordinary = detail::sentencepiece_processor(file.text(), where);
  // A message may be followed by more of it: normalizer_spec { add_dummy_prefix: false }.
  const auto bare = detail::sentencepiece_processor(std::string(file.text()) + std::string("\x1a\x02\x18\0", 4), where);

  Vocabulary v;
  v.source = path.string();
  v.byte_level = false;
  v.pre_tokenizer = PreTokenizer::whole;
  v.decoding = {.byte_level = false,
                .byte_tokens = false,
                .broken = Decoding::Broken::byte,
                .leading = model.removes_spaces ? Decoding::Leading::each_piece
                           : model.dummy_prefix ? Decoding::Leading::first_piece
                                                : Decoding::Leading::kept,
                .replace = {{Metaspace{}.replacement, " "}},
                .unknown_text = model.unknown_text};
  const auto id = [](int value) { return value < 0 ? std::nullopt : std::optional<std::int32_t>(value); };
  v.bos = id(ordinary->bos_id());
  v.eos = id(ordinary->eos_id());
  v.padding = id(ordinary->pad_id());
  v.unknown = id(ordinary->unk_id());
  for (int i = 0; i < ordinary->GetPieceSize(); ++i) {
    if (ordinary->IsControl(i)) v.decoding.silent.push_back(i);
    v.decoding.byte_tokens = v.decoding.byte_tokens || ordinary->IsByte(i);
  }
  v.tokens = std::move(model.pieces);
  v.model = [ordinary, bare, where](std::string_view segment, bool prefix) {
    std::vector<int> ids;
    const auto status = (prefix ? ordinary : bare)->Encode({segment.data(), segment.size()}, &ids);
    check(status.ok(), "sentencepiece", where, status.ToString());
    return std::vector<std::int32_t>(ids.begin(), ids.end());
  };
  return v;
}

/// The tokenizer of a SentencePiece model.
inline Tokenizer sentencepiece_tokenizer(const std::filesystem::path& path) {
  return Tokenizer(read_sentencepiece(path));
}

}  // namespace flamingo::io
