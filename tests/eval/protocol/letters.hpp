/// A tokenizer for the tiny model of tests/infer/tiny.hpp.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/io/tokenizer.hpp>

namespace flamingo::tests {

/// Thirteen tokens: two tags and some letters; everything else is a blank.
struct Letters {
  static constexpr std::string_view letters = " Outp:abcd.";  // ids 2 on
  std::vector<std::int32_t> encode(std::string_view text, io::EncodeOptions options) const {
    std::vector<std::int32_t> ids;
    for (std::size_t at = 0; at < text.size();) {
      const auto tag = [&](std::string_view name, int id) {
        if (!options.parse_special || text.substr(at, name.size()) != name) return false;
        ids.push_back(id);
        at += name.size();
        return true;
      };
      if (tag("<image>", 0) || tag("<|endofchunk|>", 1)) continue;
      const std::size_t found = letters.find(text[at++]);
      ids.push_back(2 + static_cast<int>(found == letters.npos ? 0 : found));
    }
    return ids;
  }
  std::string decode(std::span<const std::int32_t> ids) const {
    std::string text;
    for (const int id : ids)
      if (id >= 2) text += letters[static_cast<std::size_t>(id - 2)];
    return text;
  }
};

}  // namespace flamingo::tests
