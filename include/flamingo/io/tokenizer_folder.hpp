/// The tokenizer of a checkpoint's folder, whichever files it is kept in, with what tokenizer_config.json adds.
#pragma once
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/tokenizer_json.hpp>
#include <flamingo/io/vocabulary.hpp>

namespace flamingo::io {

/// Reads a `tokenizer.model`: io::read_sentencepiece of the component `text`.
using VocabularyReader = Vocabulary (*)(const std::filesystem::path&);

namespace detail {

/// GPT-2's own two files: `vocab.json` and `merges.txt`.
inline Vocabulary read_vocab_and_merges(const std::filesystem::path& folder) {
  const auto vocab_path = folder / "vocab.json", merges_path = folder / "merges.txt";
  Vocabulary v;
  v.source = vocab_path.string();
  const Json vocab = parse_file(vocab_path);
  v.tokens = tokens_by_id({&vocab, vocab_path.string() + ": the vocabulary"});
  const MappedFile file(merges_path);
  for (std::string_view rest = file.text(); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    check(!line.ends_with("</w>"), "tokenizer", merges_path.string(),
          ": its words end with </w> (CLIP's kind): not supported");
    v.merges.push_back(merge_of(line, v.merges.size(), merges_path.string() + ": "));
  }
  // Its one special token is in no file.
  for (std::size_t id = 0; id < v.tokens.size(); ++id)
    if (v.tokens[id] == "<|endoftext|>")
      v.added.push_back({.id = static_cast<std::int32_t>(id), .text = v.tokens[id], .special = true});
  return v;
}

inline std::optional<std::int32_t> id_of(const Vocabulary& v, std::string_view token) {
  for (const AddedToken& added : v.added)
    if (added.text == token) return added.id;
  const auto found = std::find(v.tokens.begin(), v.tokens.end(), token);
  if (token.empty() || found == v.tokens.end()) return std::nullopt;
  return static_cast<std::int32_t>(found - v.tokens.begin());
}

/// The id of a role such as "bos_token": its text, or an object with `content`. A token that is not there has no id.
inline void read_role(const JsonPlace& config, std::string_view role, const Vocabulary& v,
                      std::optional<std::int32_t>& id) {
  const auto found = config.find(role);
  if (!found || id) return;
  id = id_of(v, found->json->is_string() ? found->text() : found->at("content").text());
}

/// `tokenizer_config.json`: tokens that the other file lacks, roles, and whether texts begin with a begin token.
inline void read_tokenizer_config(const JsonPlace& config, bool from_model, Vocabulary& v) {
  if (const auto added = config.find("added_tokens_decoder")) {
    if (!added->json->is_object()) added->refuse(" is ", added->json->type_name(), ", expected an object");
    std::unordered_map<std::string, std::int32_t> ids;
    for (const AddedToken& token : v.added) ids.emplace(token.text, token.id);
    for (const JsonMember& member : added->json->as_object()) {
      const JsonPlace entry{&member.value, added->path + '.' + member.name};
      std::int32_t id = -1;
      const char* end = member.name.data() + member.name.size();
      const auto [stop, error] = std::from_chars(member.name.data(), end, id);
      if (error != std::errc() || stop != end || id < 0) entry.refuse(": its name is no token id");
      const AddedToken token = added_token(entry, id);
      const auto [same, fresh] = ids.emplace(token.text, id);
      if (same->second != id) entry.refuse(" is '", token.text, "', which has the id ", same->second);
      if (fresh) v.added.push_back(token);
    }
  }
  read_role(config, "bos_token", v, v.bos);
  read_role(config, "eos_token", v, v.eos);
  read_role(config, "pad_token", v, v.padding);
  const std::string tokenizer_class = config.text("tokenizer_class");
  const bool llama = tokenizer_class.find("Llama") != std::string::npos;
  if (llama || tokenizer_class.starts_with("GPTNeoX") || from_model) {
    // These put their own template in the place of the file's, where the config decides.
    const auto begins = config.find("add_bos_token"), ends = config.find("add_eos_token");
    if (begins || ends || from_model) {
      const bool bos = begins ? begins->boolean() : llama, eos = ends && ends->boolean();
      if ((bos && !v.bos) || (eos && !v.eos))
        config.refuse("a text begins or ends with a token that bos_token or eos_token does not name");
      v.before = bos ? std::vector{*v.bos} : std::vector<std::int32_t>{};
      v.after = eos ? std::vector{*v.eos} : std::vector<std::int32_t>{};
    }
  }
  if (const auto prefix = config.find("add_prefix_space"); prefix && v.byte_level) v.prefix_space = prefix->boolean();
  if (from_model) {
    // As transformers shows such a model: special tokens have their text.
    v.decoding = {.byte_level = false,
                  .byte_tokens = true,
                  .broken = Decoding::Broken::run,
                  .leading = Decoding::Leading::spaces,
                  .replace = {{Metaspace{}.replacement, " "}}};
    if (!config.flag("legacy", true)) v.model_prefix = Metaspace::Prepend::first;
  }
}

}  // namespace detail

/// The parts of a folder's tokenizer: `tokenizer.json`, else `tokenizer.model` (read by `model`), else `vocab.json` and
/// `merges.txt`; then `tokenizer_config.json`, and `special_tokens_map.json` for roles that it does not give.
inline Vocabulary read_tokenizer_folder(const std::filesystem::path& folder, VocabularyReader model = nullptr) {
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name); };
  Vocabulary v;
  bool from_model = false;
  if (has("tokenizer.json")) {
    v = read_tokenizer_json(folder / "tokenizer.json");
  } else if (has("tokenizer.model")) {
    check(model != nullptr, "tokenizer", (folder / "tokenizer.model").string(),
          ": a SentencePiece model is read by the component `text`: pass io::read_sentencepiece of ",
          "<flamingo/io/sentencepiece.hpp>");
    v = model(folder / "tokenizer.model");
    from_model = true;
  } else {
    check(has("vocab.json") && has("merges.txt"), "tokenizer", folder.string(),
          ": found no tokenizer, expected tokenizer.json, tokenizer.model, or vocab.json with merges.txt");
    v = detail::read_vocab_and_merges(folder);
  }
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!has(name)) continue;
    const Json json = detail::parse_file(folder / name);
    const detail::JsonPlace config{&json, (folder / name).string() + ": "};
    if (std::string_view(name) == "tokenizer_config.json") {
      detail::read_tokenizer_config(config, from_model, v);
      continue;
    }
    detail::read_role(config, "bos_token", v, v.bos);
    detail::read_role(config, "eos_token", v, v.eos);
    detail::read_role(config, "pad_token", v, v.padding);
  }
  return v;
}

}  // namespace flamingo::io
