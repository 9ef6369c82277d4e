/// A database in WordNet's format, of a dozen made-up synsets.
#pragma once
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/files.hpp"

namespace flamingo::test {

/// Synsets are lists of words and of what they are kinds of, "i" before an instance; parents stand before children.
class SmallWordNet {
 public:
  SmallWordNet() {
    const std::string licence = "  1 made up  \n";
    for (const std::string_view part : {"noun", "verb", "adj", "adv"}) {
      std::string data = licence;
      std::map<std::string, std::vector<std::size_t>> senses;
      std::map<std::string, std::size_t> places;
      for (const Synset& s : synsets)
        if (s.part == part) {
          char offset[16];
          std::snprintf(offset, sizeof offset, "%08zu", data.size());
          places[std::string(s.word)] = data.size();
          senses[std::string(s.word)].push_back(data.size());
          std::string pointers;
          std::size_t count = 0;
          for (std::string_view up : s.up) {
            if (up.empty()) continue;
            const bool instance = up[0] == '!';
            char place[16];
            std::snprintf(place, sizeof place, "%08zu", places.at(std::string(up.substr(instance ? 1 : 0))));
            pointers += std::string(instance ? " @i " : " @ ") + place + " " + s.type + " 0000";
            ++count;
          }
          char number[8];
          std::snprintf(number, sizeof number, "%03zu", count);
          data += std::string(offset) + " 03 " + s.type + " 01 " + std::string(s.word) + " 0 " + number + pointers +
                  " | a meaning\n";
        }
      folder_.write("data." + std::string(part), data);
      std::string index = licence;
      for (const auto& [word, offsets] : senses) {
        index += word + " n " + std::to_string(offsets.size()) + " 1 @ " + std::to_string(offsets.size()) + " 0";
        for (const std::size_t offset : offsets) {
          char place[16];
          std::snprintf(place, sizeof place, " %08zu", offset);
          index += place;
        }
        index += "  \n";
      }
      folder_.write("index." + std::string(part), index);
      folder_.write(std::string(part) + ".exc", part == "noun"   ? "geese goose\nmice mouse\n"
                                                : part == "verb" ? "ran run\n"
                                                                 : "");
    }
  }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  struct Synset {
    std::string_view part, word;
    std::string type;
    std::string_view up[2];
  };
  inline static const Synset synsets[] = {{"noun", "entity", "n", {}},
                                          {"noun", "animal", "n", {"entity"}},
                                          {"noun", "pet", "n", {"animal"}},
                                          {"noun", "mammal", "n", {"animal"}},
                                          {"noun", "canine", "n", {"mammal"}},
                                          {"noun", "dog", "n", {"canine", "pet"}},
                                          {"noun", "cat", "n", {"mammal", "pet"}},
                                          {"noun", "goose", "n", {"animal"}},
                                          {"noun", "rex", "n", {"!dog"}},
                                          {"noun", "ball", "n", {"entity"}},
                                          {"verb", "run", "v", {}},
                                          {"verb", "sprint", "v", {"run"}},
                                          {"verb", "ride", "v", {}},
                                          {"verb", "rid", "v", {}},
                                          {"adj", "big", "a", {}}};
  tests::TemporaryFolder folder_;
};

}  // namespace flamingo::test
