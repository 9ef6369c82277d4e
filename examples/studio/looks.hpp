/// Heat maps out of attention: for one gated block or head, or the mean of them all.
#pragma once
#include <algorithm>
#include <vector>

#include <flamingo/infer/attention_map.hpp>

namespace studio {

/// How much of the i-th token's cross-attention reaches each cell of a medium: Σ over latents of cross-attention times
/// where the latent came from (the mean over the Resampler's layers and heads). `block` and `head` -1: the mean.
inline std::vector<double> heat_of(const flamingo::AttentionMaps& maps, int i, int medium, int block, int head) {
  const auto& seen = maps.of[static_cast<std::size_t>(medium)];
  std::vector<double> heat(static_cast<std::size_t>(seen.rows), 0);
  const auto range = [](int chosen, int all) { return chosen < 0 ? std::pair(0, all) : std::pair(chosen, chosen + 1); };
  const auto [block_from, block_to] = range(block, maps.gated_blocks);
  const auto [head_from, head_to] = range(head, maps.heads);
  for (int r = 0; r < maps.latents; ++r) {
    double weight = 0;
    for (int b = block_from; b < block_to; ++b)
      for (int h = head_from; h < head_to; ++h) weight += maps.cross(i, b, h, medium)[static_cast<std::size_t>(r)];
    weight /= (block_to - block_from) * (head_to - head_from) * maps.layers * maps.resampler_heads;
    if (weight == 0) continue;
    for (int layer = 0; layer < maps.layers; ++layer)
      for (int h = 0; h < maps.resampler_heads; ++h) {
        const auto row = maps.resampled(medium, layer, h, r);
        for (std::size_t s = 0; s < heat.size(); ++s) heat[s] += weight * row[s];
      }
  }
  return heat;
}

}  // namespace studio
