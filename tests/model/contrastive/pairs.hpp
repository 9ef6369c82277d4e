/// A dual encoder small enough to difference, and pairs for it.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <flamingo/model/contrastive/dual_encoder.hpp>

#include "support/layer.hpp"

namespace flamingo::test {

inline constexpr ContrastiveConfig<Vit> small_pair_config{
    .vision = {.image = 6,
               .patch = 3,
               .dim = 6,
               .layers = 1,
               .heads = 2,
               .hidden = 5,
               .class_token = false,
               .pre_norm = false},
    .text = {.context = 5, .vocabulary = 11, .dim = 4, .layers = 1, .heads = 2, .hidden = 5, .epsilon = 1e-3f},
    .projection = 3,
    .first_log_scale = 1.2f,
    .smoothing = 0.1f};

template <Platform P>
using SmallPairNet = model::PooledDualEncoder<small_pair_config, P>;

/// Pictures of 6 x 6 pixels.
inline std::vector<Grid> small_pictures(int count) {
  std::vector<Grid> grids;
  for (int n = 0; n < count; ++n) grids.push_back({36 * n, 6, 6});
  return grids;
}

}  // namespace flamingo::test
