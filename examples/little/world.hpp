/// What the little model is shown: a coloured thing in a picture of 16 x 16 pixels, still or on its way, and the words
/// for it.
#pragma once
#include <array>
#include <string>
#include <vector>

#include <flamingo/core/random.hpp>
#include <flamingo/data/document.hpp>

namespace little {

inline constexpr int side = 16;
inline const std::array<std::string, 4> colours{"red", "green", "blue", "yellow"};
inline const std::array<std::string, 3> shapes{"bar", "post", "square"};
inline const std::array<std::string, 2> ways{"left", "right"};

using Picture = std::vector<float>;  ///< (side * side, 3), colours from -1 to 1

struct Thing {
  int colour = 0, shape = 0;
  float x = 8, y = 8, size = 5;

  static Thing drawn(flamingo::Random& random) {
    return {random.below(4), random.below(3), 6 + 4 * random.uniform(), 6 + 4 * random.uniform(),
            4 + 2 * random.uniform()};
  }
  std::string name() const {
    return " a " + colours[static_cast<std::size_t>(colour)] + " " + shapes[static_cast<std::size_t>(shape)] + ".";
  }
};

/// The thing: wide, tall, or both.
inline Picture picture_of(const Thing& thing, flamingo::Random& random) {
  constexpr std::array<std::array<float, 3>, 4> rgb{{{1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}, {1, 1, -1}}};
  Picture pixels;
  for (int i = 0; i < side; ++i)
    for (int j = 0; j < side; ++j) {
      const float dx = std::abs(static_cast<float>(j) - thing.x), dy = std::abs(static_cast<float>(i) - thing.y);
      const bool inside =
          dx < (thing.shape == 1 ? 0.35f : 1.0f) * thing.size && dy < (thing.shape == 0 ? 0.35f : 1.0f) * thing.size;
      for (const float value : rgb[static_cast<std::size_t>(thing.colour)])
        pixels.push_back((inside ? value : 0) + 0.1f * random.normal());
    }
  return pixels;
}
/// The thing on its way to the left (0) or the right (1).
inline std::vector<Picture> video_of(Thing thing, int way, flamingo::Random& random, int frames = 4) {
  std::vector<Picture> video;
  for (int f = 0; f < frames; ++f) {
    const float step = 2 * (static_cast<float>(f) - 1.5f);
    Thing moved = thing;
    moved.x += way == 0 ? -step : step;
    video.push_back(picture_of(moved, random));
  }
  return video;
}

/// A tokenizer of whole words. A real program opens a model's own: Tokenizer::from_folder, from_json, from_gguf.
inline flamingo::io::Tokenizer words() {
  flamingo::io::Vocabulary v;
  v.ignore_merges = true;
  v.tokens = {"<s>", "<image>", "<eoc>", ".", "?"};
  for (const std::string word : {"a", "which", "colour", "shape", "way"}) v.tokens.push_back("\xc4\xa0" + word);
  for (const auto& word : colours) v.tokens.push_back("\xc4\xa0" + word);
  for (const auto& word : shapes) v.tokens.push_back("\xc4\xa0" + word);
  for (const auto& word : ways) v.tokens.push_back("\xc4\xa0" + word);
  for (const int id : {0, 1, 2})
    v.added.push_back({.id = id, .text = v.tokens[static_cast<std::size_t>(id)], .special = true});
  return flamingo::io::Tokenizer(std::move(v));
}

}  // namespace little
