/// Made-up pictures to fine-tune on: a coloured shape, plain or with fine stripes on it.
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <flamingo/core/random.hpp>
#include <flamingo/io/image.hpp>

namespace shapes {

/// What a picture shows; places and sizes are shares of its side.
struct Scene {
  int colour = 0;   ///< of 4
  int shape = 0;    ///< circle, square, triangle
  int pattern = 0;  ///< what is said of its stripes: 1 more where wide, 2 where upright; without any, anything
  float x = 0.5f, y = 0.5f, radius = 0.35f, grey = 0.9f;
  float depth = 0;  ///< of the stripes: the share of the colour that they take away; 0: plain
  float phase = 0;  ///< of the stripes
};
inline constexpr float narrow = 0.075f, wide = 0.11f;  ///< from one stripe to the next: 1.8 and 2.6 of 24 pixels

/// The scene of a key.
inline Scene scene_of(std::uint64_t seed, std::uint64_t key, bool striped) {
  flamingo::Random draw(seed, key);
  const auto between = [&](float low, float high) { return low + (high - low) * draw.uniform(); };
  Scene s{draw.below(4), draw.below(3), draw.below(4)};
  s.radius = between(0.3f, 0.4f);
  s.x = between(s.radius, 1 - s.radius);
  s.y = between(s.radius, 1 - s.radius);
  s.grey = between(0.75f, 1);
  if (!striped) return s;
  s.depth = between(0.5f, 0.9f);
  s.phase = between(0, 1);
  return s;
}

/// Its picture, 3 x 3 samples a pixel.
inline flamingo::io::Image render(const Scene& s, int side) {
  static constexpr std::array<std::array<float, 3>, 4> colours{
      {{0.85f, 0.2f, 0.2f}, {0.2f, 0.7f, 0.3f}, {0.25f, 0.4f, 0.9f}, {0.95f, 0.8f, 0.2f}}};
  const auto inside = [&](float x, float y) {
    const float dx = (x - s.x) / s.radius, dy = (y - s.y) / s.radius;
    if (s.shape == 0) return dx * dx + dy * dy < 1;
    if (s.shape == 1) return std::abs(dx) < 0.85f && std::abs(dy) < 0.85f;
    return dy < 0.8f && std::abs(dx) < 0.55f * (dy + 1.2f);
  };
  const auto left = [&](float x, float y) {  // of the colour
    const float at = (s.pattern / 2 ? x : y) / (s.pattern % 2 ? wide : narrow) + s.phase;
    return at - std::floor(at) < 0.5f ? 1 : 1 - s.depth;
  };
  flamingo::io::Image image{side, side, {}};
  for (int row = 0; row < side; ++row)
    for (int column = 0; column < side; ++column) {
      std::array<float, 3> sum{};
      for (int i = 0; i < 9; ++i) {
        const float x = (static_cast<float>(column) + static_cast<float>(i % 3) / 3 + 1 / 6.0f) /
                        static_cast<float>(side),
                    y = (static_cast<float>(row) + static_cast<float>(i / 3) / 3 + 1 / 6.0f) / static_cast<float>(side);
        const bool in = inside(x, y);
        for (std::size_t c = 0; c < 3; ++c)
          sum[c] += in ? left(x, y) * colours[static_cast<std::size_t>(s.colour)][c] : s.grey;
      }
      for (const float c : sum) image.rgb.push_back(static_cast<std::uint8_t>(c * 255 / 9 + 0.5f));
    }
  return image;
}

}  // namespace shapes
