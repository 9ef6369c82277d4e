/// Options of the subcommands that read and write shards, and their readers of pictures and videos.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"

#include <flamingo/core/check.hpp>
#include <flamingo/data/loader/loader.hpp>
#include <flamingo/data/media/image_reader.hpp>
#include <flamingo/io/image_codecs.hpp>
#ifdef FLAMINGO_VIDEO
#include <flamingo/data/media/video_file.hpp>
#endif

namespace flamingo::data_command {

/// Words that begin with -- and their values, and the rest.
class Options {
 public:
  /// `flags` have no value. Throws Error for an option that is in neither list.
  Options(Arguments arguments, const std::set<std::string, std::less<>>& valued,
          const std::set<std::string, std::less<>>& flags) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string& word = arguments[i];
      if (!word.starts_with("--")) {
        places.push_back(word);
      } else if (flags.contains(word)) {
        given_.emplace_back(word, "");
      } else {
        check(valued.contains(word), "options", "there is no option ", word, "; --help lists them");
        check(i + 1 < arguments.size(), "options", word, " has no value");
        given_.emplace_back(word, arguments[++i]);
      }
    }
  }

  std::vector<std::string> places;  ///< what is no option

  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::string text(std::string_view name, std::string fallback = {}) const {
    const std::string* found = find(name);
    return found != nullptr ? *found : fallback;
  }
  std::int64_t number(std::string_view name, std::int64_t fallback) const {
    const std::string* found = find(name);
    if (found == nullptr) return fallback;
    check(!found->empty() && found->size() <= 15 && found->find_first_not_of("0123456789") == std::string::npos,
          "options", name, " is '", *found, "', expected a number");
    return std::stoll(*found);
  }
  /// Every value of an option that may be repeated.
  std::vector<std::string> all(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [given, value] : given_)
      if (given == name) values.push_back(value);
    return values;
  }

 private:
  const std::string* find(std::string_view name) const {
    for (const auto& [given, value] : given_)
      if (given == name) return &value;
    return nullptr;
  }
  std::vector<std::pair<std::string, std::string>> given_;
};

inline MediaReaders media_readers() {
  MediaReaders readers{.image = image_reader<io::Codecs>(), .video = {}};
#ifdef FLAMINGO_VIDEO
  readers.video = video_reader();
#endif
  return readers;
}

}  // namespace flamingo::data_command
