/// Attention over a picture: a part of the maps, any head, layer or latent, as numbers over the picture's grid and as
/// colours laid over its pixels.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/infer/attention_map.hpp>
#include <flamingo/io/image.hpp>

namespace flamingo {

/// Which part of the attention is looked at; -1: the mean over all of them, and for a latent all together.
struct AttentionPart {
  int block = -1, head = -1;            ///< a gated block and a head of its cross-attention
  int latent = -1;                      ///< a latent alone
  int layer = -1, resampler_head = -1;  ///< a layer of the Resampler and a head of its attention
};

namespace detail {

/// Calls f with the number that a part names, or with each of 0 .. count - 1. Throws where there is no such number.
template <class F>
void each_of_part(int part, int count, std::string_view what, const F& f) {
  check(part >= -1 && part < count, "attention_overlay", "there is no ", what, ' ', part, ", expected 0 to ", count - 1,
        ", or -1 for all");
  for (int i = part < 0 ? 0 : part; i < (part < 0 ? count : part + 1); ++i) f(i);
}

inline void check_medium(const AttentionMaps& maps, int medium) {
  check(medium >= 0 && medium < maps.media, "attention_overlay", "there is no medium ", medium, ", expected 0 to ",
        maps.media - 1);
}

inline std::vector<double> of_sum_1(std::vector<double> map) {
  double total = 0;
  for (const double x : map) total += x;
  if (total > 0)
    for (double& x : map) x /= total;
  return map;
}

/// map += weight times the attention of a latent to the medium's feature rows.
inline void add_latent(const AttentionMaps& maps, int medium, int latent, const AttentionPart& part, double weight,
                       std::vector<double>& map) {
  each_of_part(part.layer, maps.layers, "layer of the Resampler", [&](int layer) {
    each_of_part(part.resampler_head, maps.resampler_heads, "head of the Resampler", [&](int head) {
      const auto row = maps.resampled(medium, layer, head, latent);
      for (std::size_t s = 0; s < map.size(); ++s) map[s] += weight * row[s];
    });
  });
}

}  // namespace detail

/// How much of the i-th token's attention reaches each feature row of a medium through a part of the model:
/// Σ_r cross(token, r) resampled(r, row), means over what the part leaves open, scaled to sum to 1 (frames by cells).
/// All 0 where the token does not see the medium.
inline std::vector<double> attention_heat(const AttentionMaps& maps, int i, int medium,
                                          const AttentionPart& part = {}) {
  detail::check_medium(maps, medium);
  check(i >= 0 && i < static_cast<int>(maps.tokens.size()), "attention_overlay", "there is no token ", i, " among the ",
        maps.tokens.size(), " that were asked for");
  std::vector<double> map(static_cast<std::size_t>(maps.of[static_cast<std::size_t>(medium)].rows), 0);
  detail::each_of_part(part.latent, maps.latents, "latent", [&](int r) {
    double weight = 0;
    detail::each_of_part(part.block, maps.gated_blocks, "gated block", [&](int block) {
      detail::each_of_part(part.head, maps.heads, "head", [&](int head) {
        weight += maps.cross(i, block, head, medium)[static_cast<std::size_t>(r)];
      });
    });
    if (weight > 0) detail::add_latent(maps, medium, r, part, weight, map);
  });
  return detail::of_sum_1(std::move(map));
}

/// Where the latents of a medium come from, whoever asks for them: the attention of `part.latent`, or of all.
inline std::vector<double> latent_heat(const AttentionMaps& maps, int medium, const AttentionPart& part) {
  detail::check_medium(maps, medium);
  std::vector<double> map(static_cast<std::size_t>(maps.of[static_cast<std::size_t>(medium)].rows), 0);
  detail::each_of_part(part.latent, maps.latents, "latent",
                       [&](int r) { detail::add_latent(maps, medium, r, part, 1, map); });
  return detail::of_sum_1(std::move(map));
}

/// The numbers of one frame out of those of a medium (frames by cells).
inline std::vector<double> frame_heat(std::span<const double> heat, int frames, int frame) {
  check(frames > 0 && heat.size() % static_cast<std::size_t>(frames) == 0, "attention_overlay", "there are ",
        heat.size(), " numbers of ", frames, " frames");
  check(frame >= 0 && frame < frames, "attention_overlay", "there is no frame ", frame, " among ", frames);
  const std::size_t cells = heat.size() / static_cast<std::size_t>(frames);
  const auto of_frame = heat.subspan(static_cast<std::size_t>(frame) * cells, cells);
  return {of_frame.begin(), of_frame.end()};
}

struct OverlayOptions {
  int columns = 0, rows = 0;  ///< the grid of the numbers
  double strength = 0.75;     ///< how much of a pixel under the largest number is colour
  double most = 0;            ///< the number that is as warm as can be; 0: the largest one
};

/// The picture under its heat: numbers of a grid's cells, line by line, are interpolated between the cells' middles and
/// coloured from nothing over red to yellow. The picture is what the encoder saw (cut or padded as its preprocessing
/// does), since the grid covers exactly that.
inline io::Image attention_overlay(const io::Image& picture, std::span<const double> heat,
                                   const OverlayOptions& options) {
  io::detail::check_image(picture, "attention_overlay");
  const int columns = options.columns, rows = options.rows;
  check(columns > 0 && rows > 0 && heat.size() == static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows),
        "attention_overlay", "there are ", heat.size(), " numbers, expected a grid of ", columns, " x ", rows);
  check(options.strength >= 0 && options.strength <= 1, "attention_overlay", "the strength is ", options.strength,
        ", expected 0 to 1");
  double most = options.most;
  for (const double x : heat) {
    check(std::isfinite(x) && x >= 0, "attention_overlay", "one of the numbers is ", x, ", expected 0 or more");
    if (options.most <= 0) most = std::max(most, x);
  }
  const auto cell = [&](int x, int y) {
    return heat[static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x)];
  };
  /// The two cells whose middles are around a pixel's, and how far it is from the first to the second.
  struct Between {
    int first, second;
    double share;
  };
  const auto between = [](int pixel, int pixels, int cells) {
    const double at = (pixel + 0.5) * cells / pixels - 0.5, low = std::floor(at);
    const int first = static_cast<int>(low);
    return Between{std::clamp(first, 0, cells - 1), std::clamp(first + 1, 0, cells - 1), at - low};
  };
  io::Image over = picture;
  for (int y = 0; y < picture.height; ++y) {
    const Between v = between(y, picture.height, rows);
    for (int x = 0; x < picture.width; ++x) {
      const Between h = between(x, picture.width, columns);
      const double upper = (1 - h.share) * cell(h.first, v.first) + h.share * cell(h.second, v.first),
                   lower = (1 - h.share) * cell(h.first, v.second) + h.share * cell(h.second, v.second),
                   warm = most > 0 ? std::min(1.0, ((1 - v.share) * upper + v.share * lower) / most) : 0,
                   share = options.strength * warm, colour[] = {255, 220 * warm * warm, 0};
      std::uint8_t* pixel = &over.rgb[(static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
                                       static_cast<std::size_t>(x)) *
                                      3];
      for (std::size_t c = 0; c < 3; ++c)
        pixel[c] = static_cast<std::uint8_t>(std::lround((1 - share) * pixel[c] + share * colour[c]));
    }
  }
  return over;
}

}  // namespace flamingo
