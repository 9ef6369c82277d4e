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

/// `tokenizer_config.json` as transformers 4.49 applies it: added tokens and their rules, roles, and what texts begin
/// and end with.
class TokenizerConfig {
 public:
  TokenizerConfig(const JsonPlace& config, Vocabulary& v)
      : config_(config), class_(config.text("tokenizer_class")), v_(v) {}

  /// `from_model`: the vocabulary is that of a tokenizer.model.
  void apply(bool from_model) {
    for (std::size_t i = 0; i < v_.added.size(); ++i) place_.emplace(v_.added[i].text, i);
    add_tokens();
    add_special_tokens();
    read_role(config_, "bos_token", v_, v_.bos);
    read_role(config_, "eos_token", v_, v_.eos);
    read_role(config_, "pad_token", v_, v_.padding);
    const bool llama = is_llama(), neox = class_.starts_with("GPTNeoX");
    if (llama) {
      if (!v_.bos) v_.bos = id_of(v_, "<s>");
      if (!v_.eos) v_.eos = id_of(v_, "</s>");
    }
    // These classes put their own template in the place of the file's.
    if (llama || neox || from_model) set_template(config_.flag("add_bos_token", llama), config_.flag("add_eos_token"));
    set_prefix_space();
    if (!from_model) return;
    // As transformers shows such a model: special tokens have their text.
    v_.decoding = {.byte_level = false,
                   .byte_tokens = true,
                   .broken = Decoding::Broken::run,
                   .leading = Decoding::Leading::spaces,
                   .replace = {{Metaspace{}.replacement, " "}}};
    if (!config_.flag("add_prefix_space", true)) {
      v_.model_prefix = Metaspace::Prepend::never;
      v_.decoding.leading = Decoding::Leading::kept;
    } else if (!config_.flag("legacy", true)) {
      v_.model_prefix = Metaspace::Prepend::first;
    }
  }

 private:
  bool is_llama() const { return class_.find("Llama") != std::string::npos; }

  /// `added_tokens_decoder`: tokens by id. Where the tokenizer has the token, the config's rules count.
  void add_tokens() {
    const auto added = config_.find("added_tokens_decoder");
    if (!added) return;
    if (!added->json->is_object()) added->refuse(" is ", added->json->type_name(), ", expected an object");
    for (const JsonMember& member : added->json->as_object()) {
      const JsonPlace entry{&member.value, added->path + '.' + member.name};
      std::int32_t id = -1;
      const char* end = member.name.data() + member.name.size();
      const auto [stop, error] = std::from_chars(member.name.data(), end, id);
      if (error != std::errc() || stop != end || id < 0) entry.refuse(": its name is no token id");
      AddedToken token = added_token(entry, id);
      const auto [found, fresh] = place_.emplace(token.text, v_.added.size());
      if (fresh) {
        v_.added.push_back(std::move(token));
        continue;
      }
      AddedToken& own = v_.added[found->second];
      if (own.id != id) entry.refuse(" is '", token.text, "', which has the id ", own.id);
      own = std::move(token);
    }
  }

  /// Tokens that have a role become special ones, and those that the vocabulary lacks get the next ids.
  void add_special_tokens() {
    for (const char* role :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
      if (const auto token = config_.find(role)) add_special_token(*token);
    if (is_llama())  // its class has these roles without being told
      for (const char* name : {"<s>", "</s>", "<unk>"})
        if (const auto id = id_of(v_, name); id && place_.emplace(name, v_.added.size()).second)
          v_.added.push_back({.id = *id, .text = name, .special = true});
    if (const auto list = config_.find("additional_special_tokens"))
      for (const JsonPlace& token : list->items()) add_special_token(token);
  }
  void add_special_token(const JsonPlace& place) {
    AddedToken token{.text = place.json->is_string() ? place.text() : std::string()};
    if (!place.json->is_string()) token = added_token(place, 0);
    token.special = true;
    if (token.text.empty() || !place_.emplace(token.text, v_.added.size()).second) return;
    if (next_id_ == 0) {
      next_id_ = v_.tokens.size();
      for (const AddedToken& own : v_.added) next_id_ = std::max(next_id_, static_cast<std::size_t>(own.id) + 1);
    }
    const auto known = id_of(v_, token.text);
    if (!known && next_id_ >= (std::size_t{1} << 31)) place.refuse(": there is no id left for it");
    token.id = known ? *known : static_cast<std::int32_t>(next_id_++);
    v_.added.push_back(std::move(token));
  }

  void set_template(bool begins, bool ends) {
    if ((begins && !v_.bos) || (ends && !v_.eos))
      config_.refuse("a text begins or ends with a token that bos_token or eos_token does not name");
    v_.before = begins ? std::vector{*v_.bos} : std::vector<std::int32_t>{};
    v_.after = ends ? std::vector{*v_.eos} : std::vector<std::int32_t>{};
  }

  /// A config without the member says no; one that says null leaves the file's own.
  void set_prefix_space() {
    if (!v_.byte_level || v_.pre_tokenizer != PreTokenizer::gpt2) return;
    const Json* found = config_.json->find("add_prefix_space");
    if (found == nullptr || !found->is_null()) v_.prefix_space = config_.flag("add_prefix_space");
  }

  JsonPlace config_;
  std::string class_;
  Vocabulary& v_;
  std::unordered_map<std::string, std::size_t> place_;  ///< of added tokens, by text
  std::size_t next_id_ = 0;                             ///< of a token that the vocabulary lacks; 0: not looked for yet
};

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
      detail::TokenizerConfig(config, v).apply(from_model);
      continue;
    }
    detail::read_role(config, "bos_token", v, v.bos);
    detail::read_role(config, "eos_token", v, v.eos);
    detail::read_role(config, "pad_token", v, v.padding);
  }
  return v;
}

}  // namespace flamingo::io
