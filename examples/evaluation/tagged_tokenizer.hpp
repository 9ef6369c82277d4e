/// A tokenizer and tags that its file does not know: OpenFlamingo adds them while it loads, and what the connector
/// reads as tags are words of its language model.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/io/tokenizer.hpp>

namespace evaluation {

class TaggedTokenizer {
 public:
  /// A tag as a text spells it, and the ids that it is read as.
  struct Tag {
    std::string text;
    std::vector<std::int32_t> ids;
  };
  using Tags = std::vector<Tag>;

  TaggedTokenizer(flamingo::io::Tokenizer tokenizer, Tags tags)
      : tokenizer_(std::move(tokenizer)), tags_(std::move(tags)) {}

  /// Texts on both sides of a tag are tokenised by themselves.
  std::vector<std::int32_t> encode(std::string_view text, flamingo::io::EncodeOptions options) const {
    std::vector<std::int32_t> ids;
    const auto add = [&](const std::vector<std::int32_t>& more) { ids.insert(ids.end(), more.begin(), more.end()); };
    while (options.parse_special) {
      std::size_t next = text.npos;
      const Tag* first = nullptr;
      for (const Tag& tag : tags_)
        if (const std::size_t at = text.find(tag.text); at < next) {
          next = at;
          first = &tag;
        }
      if (!first) break;
      if (next > 0) add(tokenizer_.encode(text.substr(0, next), options));
      add(first->ids);
      text.remove_prefix(next + first->text.size());
      options.begins = false;
    }
    if (!text.empty()) add(tokenizer_.encode(text, options));
    return ids;
  }
  /// A model may have more rows than its tokenizer has tokens: those have no text.
  std::string decode(std::span<const std::int32_t> ids) const {
    std::vector<std::int32_t> known;
    for (const std::int32_t id : ids)
      if (id < tokenizer_.size()) known.push_back(id);
    return tokenizer_.decode(known);
  }
  std::string_view bytes(std::int32_t id) const { return id < tokenizer_.size() ? tokenizer_.bytes(id) : ""; }

 private:
  flamingo::io::Tokenizer tokenizer_;
  Tags tags_;
};

}  // namespace evaluation
