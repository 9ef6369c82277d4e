/// In-context sequences: a few pictures of a few classes, each followed by its class's name, as an index page of a
/// folder reads. Where names are made up or swapped, what a class is called can only come from the sequence.
#pragma once
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "streams.hpp"
#include "words.hpp"

namespace mixture {

/// Pictures that have something in common, and what it is called.
struct Class {
  std::string name;
  std::vector<std::size_t> members;
};

/// Classes of training pictures by kind: folder, keyword, ... and "concept", pictures of one thing.
inline std::map<std::string, std::vector<Class>> classes_of(const std::vector<Picture>& pictures,
                                                            const std::vector<char>& dropped) {
  std::map<std::string, std::map<std::string, Class>> found;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const Picture& p = pictures[i];
    if (!p.trained() || dropped[i]) continue;
    const auto add = [&](const std::string& kind, const std::string& key, const std::string& name) {
      Class& c = found[kind][key];
      if (c.name.empty()) c.name = name;
      c.members.push_back(i);
    };
    for (const std::string& c : p.classes) add(c.substr(0, c.find(':')), c, c.substr(c.find(':') + 1));
    if (p.stream == "noisy") add("concept", p.concept_key, p.captions.front());
  }
  std::map<std::string, std::vector<Class>> classes;
  for (auto& [kind, named] : found)
    for (auto& [key, c] : named)
      if (c.members.size() >= (kind == "concept" ? 2u : 4u)) classes[kind].push_back(std::move(c));
  return classes;
}

/// Those of one kind. Throws where there are none.
inline const std::vector<Class>& of_kind(const std::map<std::string, std::vector<Class>>& classes,
                                         const std::string& kind) {
  const auto found = classes.find(kind);
  flamingo::check(found != classes.end() && !found->second.empty(), "episodes", "no classes of the kind ", kind,
                  " to train on, expected at least one: of four pictures, or of two of one concept");
  return found->second;
}

struct EpisodeStream {
  Sources from;
  std::map<std::string, std::vector<Class>> classes;
  std::vector<std::size_t> named;  ///< pictures with a name, for episodes of single pictures
  int documents;
  std::uint64_t seed;
  Disturbed disturb;

  /// Throws where a kind that episodes draw from has no classes, or too few pictures have a name of their own.
  void check_classes() const {
    for (const char* kind : kinds) of_kind(classes, kind);
    of_kind(classes, "concept");
    std::set<std::string_view> names;
    for (const std::size_t i : named) names.insert(from.collection->pictures[i].captions.front());
    flamingo::check(names.size() >= 2, "episodes", "the pictures have ", names.size(),
                    " different names, expected at least 2");
  }

  Batch operator()(long step) const {
    Batch batch;
    flamingo::Random random(seed, static_cast<std::uint64_t>(step));
    for (int d = 0; d < documents; ++d) add_episode(batch, step, random);
    return batch;
  }

 private:
  static constexpr std::array<const char*, 10> kinds{"folder",  "folder",  "folder",   "keyword", "keyword",
                                                     "keyword", "keyword", "category", "race",    "shape"};
  static constexpr int attempts = 10'000;  ///< until what was drawn is taken for all that there is

  void add_episode(Batch& batch, long step, flamingo::Random& random) const {
    const Recipe& recipe = *from.recipe;
    const int media = recipe.episode_media, drawn = random.below(10);
    const int wanted = std::min(drawn < 4 ? 2 : drawn < 8 ? 3 : 4, media - 1);
    std::vector<Class> chosen = choose(static_cast<std::size_t>(wanted), step, random);
    const std::size_t ways = chosen.size();
    const float how = random.uniform();
    const bool bound = how < recipe.made_up + recipe.swapped;  // to a word for this sequence alone
    if (how < recipe.made_up)
      for (Class& c : chosen) c.name = made_up_word(random);
    else if (bound)
      for (Class& c : chosen) c.name = any_of(of_kind(classes, random.below(2) ? "keyword" : "folder"), random).name;

    std::vector<std::size_t> order;
    for (std::size_t m = 0; m < static_cast<std::size_t>(media); ++m)
      order.push_back(m < ways ? m : static_cast<std::size_t>(random.below(static_cast<int>(ways))));
    Order::shuffle(order, random);
    std::vector<std::size_t> next(ways, 0);
    flamingo::Document document;
    for (int place = 0; const std::size_t c : order) {
      const bool seen = next[c] > 0;
      const std::size_t picture = chosen[c].members[next[c]++ % chosen[c].members.size()];
      add_medium(batch, from.features->of(picture, random.below(from.features->variations(picture))), place++, disturb,
                 random);
      document.image(from.collection->pictures[picture].path);
      // The first of a class whose name is bound here cannot be known.
      bound && !seen ? document.given(" " + chosen[c].name) : document.text(" " + chosen[c].name);
    }
    add_document(batch, document, *from.backbones);
  }

  /// Different classes of one kind, their pictures in an order drawn anew; none is of two of them. Fewer than `ways`
  /// where there are no more, but two.
  std::vector<Class> choose(std::size_t ways, long step, flamingo::Random& random) const {
    const Recipe& recipe = *from.recipe;
    std::vector<Class> chosen;
    const float what = random.uniform(), picture = share_at(recipe, recipe.easy_picture, recipe.same_picture, step),
                concept_too = picture + share_at(recipe, recipe.easy_concept, recipe.same_concept, step);
    if (what < picture) {
      for (int attempt = 0; chosen.size() < ways && attempt < attempts; ++attempt) {
        const std::size_t i = any_of(named, random);
        add(chosen, {from.collection->pictures[i].captions.front(), {i}});
      }
      return enough(std::move(chosen));
    }
    const char* kind =
        what < concept_too ? "concept" : kinds[static_cast<std::size_t>(random.below(static_cast<int>(kinds.size())))];
    const std::vector<Class>& all = of_kind(classes, kind);
    for (int attempt = 0; chosen.size() < ways && attempt < 200; ++attempt) add(chosen, any_of(all, random));
    const std::vector<Class>& concepts = of_kind(classes, "concept");  // after a kind of few classes
    for (int attempt = 0; chosen.size() < ways && attempt < attempts; ++attempt) add(chosen, any_of(concepts, random));
    for (Class& c : chosen) Order::shuffle(c.members, random);
    return enough(std::move(chosen));
  }
  static std::vector<Class> enough(std::vector<Class> chosen) {
    flamingo::check(chosen.size() >= 2, "episodes", "found ", chosen.size(),
                    " classes of different names and pictures for an episode, expected at least 2");
    return chosen;
  }
  static void add(std::vector<Class>& chosen, Class c) {
    for (const Class& other : chosen) {
      if (other.name == c.name) return;
      std::erase_if(c.members,
                    [&](std::size_t i) { return std::ranges::find(other.members, i) != other.members.end(); });
    }
    if (!c.members.empty()) chosen.push_back(std::move(c));
  }
};

}  // namespace mixture
