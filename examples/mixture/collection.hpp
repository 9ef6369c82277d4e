/// What examples/data/mixture.py listed: pictures with captions and classes, pages, animations.
#pragma once
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "features.hpp"

#include <flamingo/data/interleaved.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/ops/linear.hpp>

namespace mixture {

struct Picture {
  std::string path, source, stream;
  std::vector<std::string> captions;
  std::string concept_key;
  std::vector<std::string> classes;  ///< "kind:name"
  std::string split;

  bool trained() const { return split == "train"; }
  bool of_folder(const char* which) const { return split == which && !classes.empty(); }
};
struct Page {
  flamingo::Document document;
  std::string split;
};
struct Animation {
  std::vector<std::string> frames, captions;
  std::string unit, action, split;
};

/// The lines of a file of JSON objects. Throws Error with the file where there are none.
template <class Use>
void each_line(const std::filesystem::path& path, const Use& use) {
  std::ifstream in(path);
  flamingo::check(in.good(), "lists", path.string(), ": cannot be opened; examples/data/mixture.py writes it");
  long number = 0;
  for (std::string line; std::getline(in, line);)
    use(flamingo::io::Json::parse(line, path.string() + " (line " + std::to_string(++number) + ")"));
  flamingo::check(number > 0, "lists", path.string(), ": it has no lines");
}
inline std::vector<std::string> strings_of(const flamingo::io::Json& list) {
  std::vector<std::string> strings;
  for (const auto& entry : list.as_array()) strings.push_back(entry.as_string());
  return strings;
}

struct Collection {
  std::vector<Picture> pictures;
  std::vector<Page> pages;
  std::vector<Animation> animations;

  static Collection read(const std::filesystem::path& folder) {
    Collection c;
    each_line(folder / "mixture/pictures.jsonl", [&](const flamingo::io::Json& json) {
      const auto text = [&](const char* name) { return json.at(name).as_string(); };
      c.pictures.push_back({text("path"), text("source"), text("stream"), strings_of(json.at("captions")),
                            text("concept"), strings_of(json.at("classes")), text("split")});
    });
    each_line(folder / "mixture/pages.jsonl", [&](const flamingo::io::Json& json) {
      const auto page = flamingo::InterleavedDocument::of(json, "pages.jsonl");
      flamingo::Document document;  // pictures by their paths below the folder
      for (const auto& part : page.parts)
        part.image < 0 ? document.text(part.text)
                       : document.image("documents/images/" + page.images[static_cast<std::size_t>(part.image)].name);
      c.pages.push_back({std::move(document), json.at("split").as_string()});
    });
    each_line(folder / "mixture/animations.jsonl", [&](const flamingo::io::Json& json) {
      const auto text = [&](const char* name) { return json.at(name).as_string(); };
      c.animations.push_back({strings_of(json.at("frames")), strings_of(json.at("captions")), text("unit"),
                              text("action"), text("split")});
    });
    return c;
  }

  /// Pictures first and in their order, so that picture i is item i; then those of pages and animations.
  std::vector<Item> items(int variations) const {
    std::vector<Item> all;
    std::map<std::string, int> listed;
    for (const Picture& p : pictures) {
      all.push_back({p.path, p.trained() ? variations : 1});
      listed[p.path] = 1;
    }
    const auto more = [&](const std::string& path) {
      if (listed.try_emplace(path, 1).second) all.push_back({path, 1});
    };
    for (const Page& page : pages)
      for (const flamingo::Document::Part* part : page.document.media()) more(part->frames.front());
    for (const Animation& a : animations)
      for (const std::string& frame : a.frames) more(frame);
    return all;
  }
};

/// Marks pictures to leave out, by the cosine of mean features. A training picture: one that cannot be read, one above
/// `limit` of an earlier one of its source, one much like a held-out picture (halfway from `limit` to 1). A held-out
/// picture: one above `limit` of an earlier one of its source and class.
inline std::vector<char> near_duplicates(flamingo::Context<caption::P>& ctx, const std::vector<Picture>& pictures,
                                         const Features& features, float limit) {
  constexpr int width = caption::Encoder::D, block = 256;
  const int n = static_cast<int>(pictures.size()), blocks = (n + block - 1) / block;
  std::vector<float> pooled(static_cast<std::size_t>(blocks * block) * width, 0.0f);
  std::vector<char> dropped(pictures.size(), 0);
  for (std::size_t i = 0; i < pictures.size(); ++i)
    if (features.variations(i) == 0)
      dropped[i] = 1;
    else
      std::ranges::copy(features.pooled(i), pooled.begin() + static_cast<std::ptrdiff_t>(i * width));
  std::vector<float> cosines(static_cast<std::size_t>(block) * block * static_cast<std::size_t>(blocks));
  for (int from = 0; from < n; from += block) {
    // Cosines of these pictures with all: row j, column i - from.
    const auto scope = ctx.scope();
    const flamingo::Rows<caption::P, width, const float> all{pooled.data(), blocks * block, {}};
    const flamingo::Rows<caption::P, block> found{cosines.data(), blocks * block, {}};
    flamingo::ops::linear(
        ctx, all,
        flamingo::MatrixView<caption::P, block, width, const float>{pooled.data() + std::ptrdiff_t{from} * width},
        found);
    for (int i = from; i < std::min(n, from + block); ++i) {
      const Picture& a = pictures[static_cast<std::size_t>(i)];
      char& drop = dropped[static_cast<std::size_t>(i)];
      for (int j = 0; j < n && !drop; ++j) {
        const Picture& b = pictures[static_cast<std::size_t>(j)];
        if (i == j || dropped[static_cast<std::size_t>(j)]) continue;
        const float cosine = found.row(j)[i - from];
        if (a.trained() && !b.trained())
          drop = cosine > (1 + limit) / 2;
        else if (j < i && a.source == b.source && a.trained() == b.trained())
          drop = cosine > limit && (a.trained() || a.classes == b.classes);
      }
    }
  }
  return dropped;
}

}  // namespace mixture
