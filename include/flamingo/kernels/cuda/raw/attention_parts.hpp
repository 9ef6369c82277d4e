/// Into how many parts attention_decode.cuh divides the keys of a row, and how its warps lie over them; plain C++, so
/// that a host knows without CUDA what it takes.
#pragma once
#include <cstddef>

namespace flamingo::raw {

struct DecodePolicy {
  int warps = 4;
  int keys = 4;        ///< that a lane loads before it multiplies; half of them where registers would not hold the sums
  int blocks = 264;    ///< about so many are wanted: two for each multiprocessor of an H100
  int part_keys = 64;  ///< a part has at least so many: the latents of a picture are one
};
inline constexpr DecodePolicy decode_policy{};

/// How a warp lies over keys: `lanes` neighbours hold a key, `packs` packs of Count numbers each, and `slots` keys lie
/// side by side.
template <int K, int Count, int Heads>
struct DecodeLanes {
  static_assert(K % 8 == 0 && K >= 8 && K <= 128, "attention: the head size is a multiple of 8, at most 128");
  static constexpr int lanes_for(int wanted) {
    int power = 1;
    while (power < wanted && power < 32) power *= 2;
    return power;
  }
  static constexpr int lanes = lanes_for(K / Count), packs = (K / Count + lanes - 1) / lanes, slots = 32 / lanes;
  static constexpr int threads = decode_policy.warps * 32;
  static constexpr int keys = Heads * packs * Count < 64 ? decode_policy.keys : decode_policy.keys / 2;
  static constexpr int block_keys = decode_policy.warps * slots * keys;  ///< that a block has at a time
};

/// The query heads of a block, for `group` heads that share one of keys: the next of 1, 4 and 8; more take several.
constexpr int decode_heads(int group) { return group == 1 ? 1 : group <= 4 ? 4 : 8; }

/// The parts for tables of so many query tiles and at most so many keys that a row sees, in heads of K and packs of
/// Count: enough blocks for the device, and no part for which there cannot be keys.
template <int K, int Count>
constexpr int decode_parts(int heads, int kv_heads, int query_tiles, long long most_keys) {
  const int group = heads / kv_heads, each = decode_heads(group);
  const int blocks = query_tiles * kv_heads * ((group + each - 1) / each);
  constexpr int step = DecodeLanes<K, Count, 1>::block_keys;
  constexpr int least = step > decode_policy.part_keys ? step : decode_policy.part_keys;
  const long long most = (most_keys + least - 1) / least;
  const int wanted = blocks > 0 ? (decode_policy.blocks + blocks - 1) / blocks : decode_policy.blocks;
  return most < 1 ? 1 : most < wanted ? static_cast<int>(most) : wanted;
}

/// The numbers of the workspace; a single part needs none.
constexpr std::size_t decode_size(int query_tiles, int heads, int head_dim, int parts) {
  if (parts == 1) return 0;
  return static_cast<std::size_t>(query_tiles) * static_cast<std::size_t>(heads) * static_cast<std::size_t>(parts) *
         static_cast<std::size_t>(head_dim + 2);
}

}  // namespace flamingo::raw
