/// Pictures with their captions in a folder, for the examples before a question.
#pragma once
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "writer.hpp"

#include <flamingo/io/json.hpp>

namespace studio {

struct Shot {
  std::string name, caption, bytes, type;
};

/// The folder's pictures.json: {"support": [{"file", "caption"}...], "pictures": [the same...]}, support first, without
/// what is marked as a photograph, of which it tells no short name. Throws Error where a file is missing.
inline std::vector<Shot> read_shots(const std::filesystem::path& folder) {
  using flamingo::io::Json;
  const auto content = [](const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    flamingo::check(in.good(), "shots", path.string(), ": cannot be opened");
    return std::string{std::istreambuf_iterator<char>(in), {}};
  };
  const std::filesystem::path list = folder / "pictures.json";
  const Json json = Json::parse(content(list), list.string());
  std::vector<Shot> shots;
  for (const char* part : {"support", "pictures"}) {
    const Json* all = json.find(part);
    if (all == nullptr) continue;
    for (const Json& entry : all->as_array()) {
      if (const Json* split = entry.find("split"); split && *split == Json("photograph")) continue;
      const std::string& file = entry.at("file").as_string();
      shots.push_back({file, entry.at("caption").as_string(), content(folder / file),
                       file.ends_with(".png") ? "image/png" : "image/jpeg"});
    }
  }
  return shots;
}

/// The first `count` shots as turns before `parts`, but those that are asked about: an answer must not stand in its
/// prompt.
inline Chat with_shots(const std::vector<Shot>& shots, int count, std::vector<Part> parts) {
  Chat chat;
  for (const Shot& shot : shots) {
    if (count == 0) break;
    bool asked = false;
    for (const Part& part : parts) asked = asked || (part.picture && part.content == shot.bytes);
    if (asked) continue;
    chat.push_back({"user", {{true, shot.bytes, "shots/" + shot.name}}});
    chat.push_back({"assistant", {{false, shot.caption, "shots/" + shot.name}}});
    --count;
  }
  chat.push_back({"user", std::move(parts)});
  return chat;
}

}  // namespace studio
