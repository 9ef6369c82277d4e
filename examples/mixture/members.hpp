/// Which of a collection's things are trained on, and which are looked at beside it.
#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "episodes.hpp"

namespace mixture {

/// Which things each stream draws, and which are looked at beside it.
struct Members {
  std::vector<std::size_t> noisy, clean, pages, animations;                      // to train on
  std::vector<std::size_t> held_pairs, held_clean, held_pages, held_animations;  // to validate
  std::vector<Class> held_classes;                                               // folders to choose by
  std::vector<Class> named;  // pictures in a style never trained on, of what has a name that is trained on
};

/// The first hundred of E3's emoji, each with its name, among those whose concept is trained on.
inline std::vector<Class> named_in_training(const Collection& c, const std::vector<char>& dropped) {
  constexpr std::size_t most = 100;
  std::set<std::string> trained, names;
  for (std::size_t i = 0; i < c.pictures.size(); ++i)
    if (c.pictures[i].trained() && !dropped[i]) trained.insert(c.pictures[i].concept_key);
  std::vector<Class> named;
  for (std::size_t i = 0; i < c.pictures.size() && named.size() < most; ++i) {
    const Picture& p = c.pictures[i];
    if (p.split == "e3" && !dropped[i] && trained.contains(p.concept_key) && names.insert(p.captions.front()).second)
      named.push_back({p.captions.front(), {i}});
  }
  return named;
}

inline Members members_of(const Collection& c, const Features& features, const std::vector<char>& dropped) {
  Members m;
  m.named = named_in_training(c, dropped);
  std::map<std::string, Class> folders;
  for (std::size_t i = 0; i < c.pictures.size(); ++i) {
    const Picture& p = c.pictures[i];
    if (dropped[i]) continue;
    if (p.stream == "noisy") m.noisy.push_back(i);
    if (p.stream == "clean") m.clean.push_back(i);
    if (p.split == "validation" && !p.captions.empty())
      (p.source == "openclipart" || p.source == "tanuki" ? m.held_pairs : m.held_clean).push_back(i);
    if (p.split == "folder_validation" && !p.classes.empty())
      for (const std::string& k : p.classes)
        if (k.starts_with("folder:")) {
          folders[k].name = k.substr(7);
          folders[k].members.push_back(i);
        }
  }
  for (auto& [key, folder] : folders) m.held_classes.push_back(std::move(folder));
  const auto readable = [&](const std::string& path) { return features.variations(features.place(path)) > 0; };
  for (std::size_t i = 0; i < c.pages.size(); ++i) {
    const auto media = c.pages[i].document.media();
    if (media.empty() || !std::ranges::all_of(media, [&](const auto* part) { return readable(part->frames[0]); }))
      continue;
    if (c.pages[i].split == "train") m.pages.push_back(i);
    if (c.pages[i].split == "validation") m.held_pages.push_back(i);
  }
  for (std::size_t i = 0; i < c.animations.size(); ++i) {
    if (!std::ranges::all_of(c.animations[i].frames, readable)) continue;
    if (c.animations[i].split == "train") m.animations.push_back(i);
    if (c.animations[i].split == "validation") m.held_animations.push_back(i);
  }
  return m;
}

/// "train/concept" pictures as the warm-up reads them: each with its shortest name.
inline std::vector<caption::Picture> named_pictures(const Collection& c) {
  std::vector<caption::Picture> named;
  for (const Picture& p : c.pictures)
    named.push_back({p.path, p.source, p.captions.empty() ? "" : p.captions.front(), p.concept_key, p.split});
  return named;
}

}  // namespace mixture
