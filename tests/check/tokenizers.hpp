/// Compares tokenizers with what the original implementations gave: golden.json of a folder, and the models beside it.
///
/// golden.json: `strings`; `models`: {name: {file, ids, pieces, decoded, ...}}. A file *.model is SentencePiece's; a
/// tokenizer.json or vocab.json is opened with the folder that it is in, as a folder is; any other .json by itself.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/sentencepiece.hpp>
#include <flamingo/io/text_stream.hpp>
#include <flamingo/io/tokenizer.hpp>

namespace flamingo::test {

/// What a model gave, against its golden.
struct TokenizerResult {
  std::string name;
  int strings = 0;        ///< how many were compared
  int wrong_ids = 0;      ///< strings whose ids differ, with or without the template's special tokens
  int wrong_pieces = 0;   ///< ... whose ids are written otherwise
  int wrong_decodes = 0;  ///< ... whose decoded text differs, at once or as a stream, special tokens shown or left out
  int wrong_others = 0;   ///< vocabulary size, ids of special tokens, padded batches
  std::string first;      ///< the first difference, in words
  std::string error;      ///< the file could not be read
  bool agrees() const {
    return error.empty() && strings > 0 && wrong_ids + wrong_pieces + wrong_decodes + wrong_others == 0;
  }
};

namespace detail {

inline std::vector<std::int32_t> ids_of(const io::Json& list) {
  std::vector<std::int32_t> ids;
  for (const io::Json& id : list.as_array()) ids.push_back(static_cast<std::int32_t>(id.as_integer()));
  return ids;
}

inline io::Tokenizer open_golden_tokenizer(const std::filesystem::path& file) {
  if (file.extension() == ".model") return io::sentencepiece_tokenizer(file);
  if (std::filesystem::is_directory(file)) return io::Tokenizer::from_folder(file, io::read_sentencepiece);
  if (file.filename() == "tokenizer.json" || file.filename() == "vocab.json")
    return io::Tokenizer::from_folder(file.parent_path());
  return io::Tokenizer::from_json(file);
}

inline void compare_with_golden(const io::Tokenizer& tokenizer, const io::Json& strings, const io::Json& golden,
                                TokenizerResult& result) {
  const auto count = [&](int& wrong, bool ok, const std::function<std::string()>& what) {
    if (ok) return;
    ++wrong;
    if (result.first.empty()) result.first = what();
  };
  const auto expected = [&](const char* name, std::size_t i) -> const io::Json* {
    const io::Json* list = golden.find(name);
    return list ? &list->as_array().at(i) : nullptr;
  };
  const bool sentencepiece = golden.at("file").as_string().ends_with(".model");
  for (std::size_t i = 0; i < strings.as_array().size(); ++i) {
    const std::string& text = strings.as_array()[i].as_string();
    const std::string name = "string " + std::to_string(i) + " " + io::Json(text).dump();
    ++result.strings;
    const std::vector<std::int32_t> ids = ids_of(*expected("ids", i));
    const auto found = tokenizer.encode(text, {.parse_special = true, .add_special = !sentencepiece});
    const auto list = [](const std::vector<std::int32_t>& all) {
      std::string line;
      for (const std::int32_t id : all) line += ' ' + std::to_string(id);
      return line;
    };
    bool same = found == ids;
    if (const io::Json* plain = expected("ids_no_special", i))
      same = same && tokenizer.encode(text, {.parse_special = true}) == ids_of(*plain);
    count(result.wrong_ids, same, [&] { return name + ": got" + list(found) + ", expected" + list(ids); });
    if (const io::Json* pieces = expected("pieces", i)) {
      bool written = pieces->as_array().size() == ids.size();
      for (std::size_t p = 0; written && p < ids.size(); ++p)
        // SentencePiece gives an unknown piece's own text.
        written = tokenizer.token(ids[p]) == pieces->as_array()[p].as_string() ||
                  (sentencepiece && ids[p] == tokenizer.unknown());
      count(result.wrong_pieces, written, [&] { return name + ": its pieces differ"; });
    }
    for (const bool skip : {false, true}) {
      const io::Json* decoded = expected(skip ? "decoded_skip_special" : "decoded", i);
      if (decoded == nullptr) continue;
      const std::string whole = tokenizer.decode(ids, {.skip_special = skip});
      io::TextStream stream(tokenizer, {.skip_special = skip});
      std::string streamed;
      for (const std::int32_t id : ids) streamed += stream.push(id);
      streamed += stream.finish();
      count(result.wrong_decodes, whole == decoded->as_string() && streamed == whole, [&] {
        return name + ": decoded as " + io::Json(whole).dump() + ", as a stream " + io::Json(streamed).dump() +
               ", expected " + decoded->dump();
      });
    }
  }
  const auto other = [&](bool ok, const std::string& what) { count(result.wrong_others, ok, [&] { return what; }); };
  if (const io::Json* size = golden.find("vocab_size"))
    other(tokenizer.size() == size->as_integer(),
          "it has " + std::to_string(tokenizer.size()) + " ids, expected " + size->dump());
  const auto role = [&](const char* name, std::optional<std::int32_t> id) {
    if (const io::Json* golden_id = golden.find(name))
      other(golden_id->as_integer() == id.value_or(-1), std::string(name) + " differs");
  };
  role("bos", tokenizer.bos());
  role("eos", tokenizer.eos());
  role("unk", tokenizer.unknown());
  if (const io::Json* special = golden.find("special"))
    for (const io::JsonMember& member : special->as_object()) {
      const auto id = tokenizer.find(member.name);
      other(id == member.value.as_integer() && tokenizer.special(*id), member.name + " has another id");
    }
  if (const io::Json* batch = golden.find("left_padded_batch")) {
    const auto width = static_cast<std::size_t>(batch->at("max_length").as_integer());
    const auto& texts = batch->at("strings").as_array();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto ids = tokenizer.encode(texts[i].as_string(), {.parse_special = true, .add_special = true});
      ids.resize(std::min(width, ids.size()));  // longer texts are cut short
      std::vector<std::int32_t> mask(ids.size(), 1);
      const std::size_t pad = width - ids.size();
      ids.insert(ids.begin(), pad, tokenizer.padding().value_or(-1));
      mask.insert(mask.begin(), pad, 0);
      other(ids == ids_of(batch->at("input_ids").as_array().at(i)) &&
                mask == ids_of(batch->at("attention_mask").as_array().at(i)),
            "padded string " + std::to_string(i) + " differs");
    }
  }
}

}  // namespace detail

/// Compares each model of folder/golden.json. A model that cannot be read is a result with an error.
inline std::vector<TokenizerResult> check_tokenizers(const std::filesystem::path& folder) {
  const io::MappedFile file(folder / "golden.json");
  const io::Json golden = io::Json::parse(file.text(), file.path().string());
  std::vector<TokenizerResult> results;
  for (const io::JsonMember& model : golden.at("models").as_object()) {
    TokenizerResult& result = results.emplace_back();
    result.name = model.name;
    try {
      const auto tokenizer = detail::open_golden_tokenizer(folder / model.value.at("file").as_string());
      detail::compare_with_golden(tokenizer, golden.at("strings"), model.value, result);
    } catch (const std::exception& error) {
      result.error = error.what();
    }
  }
  return results;
}

}  // namespace flamingo::test
