/// Reads `tokenizer.json`, the format of Hugging Face's `tokenizers`: byte-pair encoding with the parts that byte-level
/// tokenizers (GPT-2, GPT-NeoX, MPT, Llama 3) and LLaMA's have. A part that is not known is refused by its name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/pre_tokenizer.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

/// The parts of a merge written with one space between them.
inline std::pair<std::string, std::string> merge_of(std::string_view merge, std::size_t rank, std::string_view where) {
  const std::size_t space = merge.find(' ');
  check(space != std::string_view::npos && space > 0 && space + 1 < merge.size() && merge.rfind(' ') == space,
        "tokenizer", where, "merge ", rank, " is '", merge, "', expected two parts with one space between");
  return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
}

namespace detail {

/// A JSON value and where it stands, for errors.
struct JsonPlace {
  const Json* json;
  std::string path;  ///< "tokenizer.json: model.vocab"

  template <class... What>
  [[noreturn]] void refuse(const What&... what) const {
    fail("tokenizer", path, what...);
  }
  /// The member, unless it is missing or null.
  std::optional<JsonPlace> find(std::string_view name) const {
    if (!json->is_object()) refuse(" is ", json->type_name(), ", expected an object");
    const Json* found = json->find(name);
    if (found == nullptr || found->is_null()) return std::nullopt;
    return JsonPlace{found, path + (path.ends_with(' ') ? "" : ".") + std::string(name)};
  }
  JsonPlace at(std::string_view name) const {
    auto found = find(name);
    if (!found) refuse(path.ends_with(' ') ? "" : " ", "has no '", name, "'");
    return *std::move(found);
  }
  const std::string& text() const {
    if (!json->is_string()) refuse(" is ", json->type_name(), ", expected a string");
    return json->as_string();
  }
  bool boolean() const {
    if (!json->is_bool()) refuse(" is ", json->type_name(), ", expected a boolean");
    return json->as_bool();
  }
  std::int32_t id() const {
    if (!json->is_integer() || json->as_integer() < 0 || json->as_integer() >= (std::int64_t{1} << 31))
      refuse(" is ", json->is_integer() ? json->dump() : std::string(json->type_name()), ", expected a token id");
    return static_cast<std::int32_t>(json->as_integer());
  }
  std::vector<JsonPlace> items() const {
    if (!json->is_array()) refuse(" is ", json->type_name(), ", expected an array");
    std::vector<JsonPlace> all;
    for (const Json& item : json->as_array()) all.push_back({&item, path + '[' + std::to_string(all.size()) + ']'});
    return all;
  }
  bool flag(std::string_view name, bool missing = false) const {
    const auto found = find(name);
    return found ? found->boolean() : missing;
  }
  std::string text(std::string_view name) const {
    const auto found = find(name);
    return found ? found->text() : std::string();
  }
};

/// The steps of a part that may be a `Sequence` of others under `list`, sequences in sequences included.
inline void steps_of(const JsonPlace& part, std::string_view list, std::vector<JsonPlace>& steps) {
  if (part.at("type").text() != "Sequence") {
    steps.push_back(part);
    return;
  }
  for (const JsonPlace& step : part.at(list).items()) steps_of(step, list, steps);
}
inline std::vector<JsonPlace> steps_of(const std::optional<JsonPlace>& part, std::string_view list) {
  std::vector<JsonPlace> steps;
  if (part) steps_of(*part, list, steps);
  return steps;
}

/// `pattern` of a Replace: only plain strings are replaced.
inline std::string plain_pattern(const JsonPlace& step) {
  const auto pattern = step.at("pattern").find("String");
  if (!pattern) step.refuse(".pattern is no String; other patterns are not supported");
  if (pattern->text().empty()) pattern->refuse(" is empty");
  return pattern->text();
}

inline void read_normalizer(const JsonPlace& step, Vocabulary& v) {
  const std::string& type = step.at("type").text();
  if (type == "NFC")
    v.normalizers.push_back({Normalizer::Kind::nfc, "", ""});
  else if (type == "Prepend")
    v.normalizers.push_back({Normalizer::Kind::prepend, "", step.at("prepend").text()});
  else if (type == "Replace")
    v.normalizers.push_back({Normalizer::Kind::replace, plain_pattern(step), step.at("content").text()});
  else
    step.refuse(".type is '", type, "', expected one of NFC, Prepend, Replace, Sequence");
  if (v.normalizers.size() > 16) step.refuse(" is normalizer 17, at most 16 are supported");
}

/// When `Metaspace` puts a space before a text: `prepend_scheme`, or `add_prefix_space` in older files.
inline Metaspace::Prepend prepend_scheme(const JsonPlace& step) {
  const auto found = step.find("prepend_scheme");
  if (!found) return step.flag("add_prefix_space", true) ? Metaspace::Prepend::always : Metaspace::Prepend::never;
  if (found->text() == "always") return Metaspace::Prepend::always;
  if (found->text() == "first") return Metaspace::Prepend::first;
  if (found->text() == "never") return Metaspace::Prepend::never;
  found->refuse(" is '", found->text(), "', expected always, first or never");
}
inline std::string replacement(const JsonPlace& step) {
  const auto found = step.find("replacement");
  if (!found) return Metaspace{}.replacement;
  if (found->text().empty() || decode_utf8(found->text(), 0).length != found->text().size())
    found->refuse(" is '", found->text(), "', expected one character");
  return found->text();
}

/// Byte-level: an expression, single digits or neither before `ByteLevel`; LLaMA's: `Metaspace` or nothing.
inline void read_pre_tokenizers(const std::vector<JsonPlace>& steps, Vocabulary& v) {
  v.byte_level = false;
  v.pre_tokenizer = PreTokenizer::whole;
  bool digits = false;
  for (const JsonPlace& step : steps) {
    const std::string& type = step.at("type").text();
    const auto unsupported = [&] { step.refuse(" (", type, ") after what stands before it is not supported"); };
    if (v.byte_level || v.metaspace) unsupported();
    const bool first = !digits && v.pre_tokenizer == PreTokenizer::whole;
    if (type == "Split") {
      const auto expression = step.at("pattern").find("Regex");
      if (!expression) step.refuse(".pattern is no Regex; other patterns are not supported");
      const auto kind = pre_tokenizer_of_expression(expression->text());
      if (!kind) expression->refuse(" is not an expression that this library knows: ", expression->text());
      const std::string& behavior = step.at("behavior").text();
      const bool inverted = step.flag("invert");
      if (!(behavior == "Isolated" && !inverted) && !(behavior == "Removed" && inverted))
        step.refuse(".behavior is '", behavior, "'", inverted ? ", inverted" : "",
                    ", expected Isolated, or Removed and inverted");
      if (!first) unsupported();
      v.pre_tokenizer = *kind;
    } else if (type == "Digits") {
      if (!first || !step.flag("individual_digits")) unsupported();
      digits = true;
    } else if (type == "ByteLevel") {
      v.byte_level = true;
      const bool expression = step.flag("use_regex", true);
      if (digits != (digits && expression) || (expression && v.pre_tokenizer != PreTokenizer::whole)) unsupported();
      if (expression) v.pre_tokenizer = digits ? PreTokenizer::smollm : PreTokenizer::gpt2;
      v.prefix_space = step.flag("add_prefix_space");
      if (v.prefix_space && !first) step.refuse(".add_prefix_space is true after another step: not supported");
    } else if (type == "Metaspace") {
      if (!first) unsupported();
      v.metaspace = Metaspace{replacement(step), prepend_scheme(step), step.flag("split", true)};
    } else {
      step.refuse(".type is '", type, "', expected one of ByteLevel, Split, Digits, Metaspace, Sequence");
    }
  }
  if (!v.byte_level && (digits || v.pre_tokenizer != PreTokenizer::whole))
    steps.back().refuse(" is the last step, expected ByteLevel after Split or Digits");
}

/// `ByteLevel` alone; or Replace, ByteFallback, Fuse and Strip in that order; or `Metaspace` after ByteFallback or
/// alone.
inline void read_decoders(const std::vector<JsonPlace>& steps, const JsonPlace& root, Vocabulary& v) {
  Decoding& d = v.decoding;
  d.byte_level = false;
  d.broken = Decoding::Broken::byte;
  bool fused = false, last = false;
  for (const JsonPlace& step : steps) {
    const std::string& type = step.at("type").text();
    const auto in_place = [&](bool yes) {
      if (last || !yes) step.refuse(" (", type, ") after what stands before it is not supported");
    };
    if (type == "ByteLevel") {
      in_place(steps.size() == 1);
      d.byte_level = last = true;
      d.broken = Decoding::Broken::sequence;
    } else if (type == "Replace") {
      in_place(!d.byte_tokens && !fused);
      d.replace.emplace_back(plain_pattern(step), step.at("content").text());
    } else if (type == "ByteFallback") {
      in_place(!d.byte_tokens && !fused);
      d.byte_tokens = true;
      d.broken = Decoding::Broken::run;
    } else if (type == "Fuse") {
      in_place(!fused);
      fused = true;
    } else if (type == "Strip") {
      in_place(fused);
      const std::int32_t start = step.at("start").id(), stop = step.at("stop").id();
      if (step.at("content").text() != " " || stop != 0)
        step.refuse(" strips '", step.at("content").text(), "', ", stop, " at the end, expected spaces at the start");
      d.leading = Decoding::Leading::spaces;
      d.spaces = start;
      last = true;
    } else if (type == "Metaspace") {
      in_place(!fused);
      d.replace.emplace_back(replacement(step), " ");
      if (prepend_scheme(step) != Metaspace::Prepend::never) d.leading = Decoding::Leading::first_token;
      fused = true;
    } else {
      step.refuse(".type is '", type, "', expected one of ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, ",
                  "Sequence");
    }
  }
  if (steps.empty()) root.refuse("has no decoder: a tokenizer without one is not supported");
  if (d.byte_level != v.byte_level)
    root.refuse("decoder and pre_tokenizer contradict each other: only one of them is ByteLevel");
}

/// What TemplateProcessing puts around one text. `ByteLevel` only moves offsets.
inline void read_post_processor(const JsonPlace& step, Vocabulary& v) {
  const std::string& type = step.at("type").text();
  if (type == "ByteLevel") return;
  if (type != "TemplateProcessing")
    step.refuse(".type is '", type, "', expected one of TemplateProcessing, ByteLevel, Sequence");
  bool seen = false;
  for (const JsonPlace& item : step.at("single").items()) {
    if (const auto sequence = item.find("Sequence")) {
      if (sequence->at("id").text() != "A" || seen) sequence->refuse(": expected the sequence A once");
      seen = true;
      continue;
    }
    const std::string& name = item.at("SpecialToken").at("id").text();
    // Each mention of a name brings all its ids: counted as they come, or a small file would ask for gigabytes.
    for (const JsonPlace& id : step.at("special_tokens").at(name).at("ids").items()) {
      (seen ? v.after : v.before).push_back(id.id());
      if (v.before.size() + v.after.size() > 1024) step.refuse(".single has more than 1024 special tokens");
    }
  }
  if (!seen) step.refuse(".single has no sequence");
}

inline AddedToken added_token(const JsonPlace& entry, std::int32_t id) {
  const bool special = entry.flag("special");
  return {.id = id,
          .text = entry.at("content").text(),
          .special = special,
          .normalized = entry.flag("normalized", !special),
          .left_strip = entry.flag("lstrip"),
          .right_strip = entry.flag("rstrip"),
          .single_word = entry.flag("single_word")};
}

/// `{"token": id}`: ids in any order, with holes.
inline std::vector<std::string> tokens_by_id(const JsonPlace& vocab) {
  if (!vocab.json->is_object()) vocab.refuse(" is ", vocab.json->type_name(), ", expected an object");
  const auto& members = vocab.json->as_object();
  // Ids index tables: a file of a few bytes may not ask for gigabytes.
  const std::size_t most = (std::size_t{1} << 20) + 16 * members.size();
  std::vector<std::string> tokens;
  for (const JsonMember& member : members) {
    const std::int32_t id = JsonPlace{&member.value, vocab.path + '.' + member.name}.id();
    const auto place = static_cast<std::size_t>(id);
    check(place < most, "tokenizer", vocab.path, " gives '", member.name, "' the id ", id, ", expected 0 to ",
          most - 1);
    if (place >= tokens.size()) tokens.resize(place + 1);
    check(tokens[place].empty(), "tokenizer", vocab.path, " gives the id ", id, " to '", tokens[place], "' and to '",
          member.name, "'");
    tokens[place] = member.name;
  }
  return tokens;
}

inline void read_model(const JsonPlace& model, Vocabulary& v) {
  if (const auto type = model.find("type"); type && type->text() != "BPE")
    type->refuse(" is '", type->text(), "', expected BPE");
  if (const auto dropout = model.find("dropout");
      dropout && !(dropout->json->is_number() && dropout->json->as_double() == 0))
    dropout->refuse(" is ", dropout->json->dump(), ", expected none");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const std::string text = model.text(affix); !text.empty())
      model.refuse(".", affix, " is '", text, "': not supported");
  v.byte_fallback = model.flag("byte_fallback");
  v.fuse_unknown = model.flag("fuse_unk");
  v.ignore_merges = model.flag("ignore_merges");
  const JsonPlace vocab = model.at("vocab");
  v.tokens = tokens_by_id(vocab);
  if (const std::string unknown = model.text("unk_token"); !unknown.empty()) {
    const Json* id = vocab.json->find(unknown);
    if (id == nullptr) model.refuse(".unk_token is '", unknown, "', which is no token of the vocabulary");
    v.unknown = static_cast<std::int32_t>(id->as_integer());
  }
  const JsonPlace merges = model.at("merges");
  if (!merges.json->is_array()) merges.refuse(" is ", merges.json->type_name(), ", expected an array");
  for (const Json& merge : merges.json->as_array()) {
    const std::size_t rank = v.merges.size();
    if (merge.is_string()) {
      v.merges.push_back(merge_of(merge.as_string(), rank, merges.path + ": "));
      continue;
    }
    const bool pair = merge.is_array() && merge.as_array().size() == 2 && merge.as_array()[0].is_string() &&
                      merge.as_array()[1].is_string();
    if (!pair) merges.refuse("[", rank, "] is neither a string nor a pair of strings");
    v.merges.emplace_back(merge.as_array()[0].as_string(), merge.as_array()[1].as_string());
  }
}

inline Json parse_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  return Json::parse(file.text(), path.string());
}

}  // namespace detail

/// A tokenizer.json's parts; `source` names it in errors. `truncation` and `padding` are the host's business and not
/// looked at.
inline Vocabulary parse_tokenizer_json(std::string_view text, std::string_view source) {
  const Json json = Json::parse(text, source);
  const detail::JsonPlace root{&json, std::string(source) + ": "};
  Vocabulary v;
  v.source = source;
  detail::read_model(root.at("model"), v);
  for (const auto& step : detail::steps_of(root.find("normalizer"), "normalizers")) detail::read_normalizer(step, v);
  detail::read_pre_tokenizers(detail::steps_of(root.find("pre_tokenizer"), "pretokenizers"), v);
  detail::read_decoders(detail::steps_of(root.find("decoder"), "decoders"), root, v);
  for (const auto& step : detail::steps_of(root.find("post_processor"), "processors"))
    detail::read_post_processor(step, v);
  if (const auto added = root.find("added_tokens"))
    for (const auto& entry : added->items()) v.added.push_back(detail::added_token(entry, entry.at("id").id()));
  return v;
}
inline Vocabulary read_tokenizer_json(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_tokenizer_json(file.text(), path.string());
}

}  // namespace flamingo::io
