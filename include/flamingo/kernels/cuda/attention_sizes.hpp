/// What attention on CUDA takes from the arena beside its operands, as numbers: plain C++, for Cuda and for Dry, which
/// counts it.
#pragma once
#include <algorithm>
#include <cstddef>

#include <flamingo/core/real.hpp>
#include <flamingo/kernels/cuda/raw/attention_parts.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

/// Most rows of a call whose keys are divided among blocks, if no span has more than one of them and there are no
/// relative positions: a token of each sequence. There a row's bits depend on how many rows there are and, by powers
/// of two, on how many keys they see (raw/attention_decode.cuh).
inline constexpr int most_single_rows = 64;

/// The narrowest tile that holds a head. Few tiles: each is a set of kernels to compile.
constexpr int attention_tile(int head_dim) { return head_dim <= 32 ? 32 : head_dim <= 64 ? 64 : 128; }

/// Accumulate<R> numbers that raw::attention_decode leaves of the parts of the keys, for so many query tiles and at
/// most so many keys that a row sees.
template <Real R>
constexpr std::size_t decode_numbers(const AttentionShape& shape, int query_tiles, long long most_keys) {
  constexpr int count = 16 / static_cast<int>(sizeof(R));
  const int tile = attention_tile(shape.head_dim);
  const auto parts = tile == 32   ? raw::decode_parts<32, count>
                     : tile == 64 ? raw::decode_parts<64, count>
                                  : raw::decode_parts<128, count>;
  return raw::decode_size(query_tiles, shape.heads, shape.head_dim,
                          parts(shape.heads, shape.kv_heads, query_tiles, most_keys));
}

/// Scores by distance of some heads at a time, for relative positions: rows of queries, `columns` distances.
struct RelativeTable {
  static constexpr std::size_t most_scores = std::size_t{1} << 26;  ///< 256 MiB in fp32

  int rows, columns;  ///< distances filled up to whole 16 bytes
  int heads;          ///< at a time: whole groups that share keys, one at least

  constexpr RelativeTable(const AttentionShape& shape, int query_rows, int distances, std::size_t most = most_scores)
      : rows(query_rows), columns((distances + 7) / 8 * 8) {
    const int group = shape.heads / shape.kv_heads;
    const std::size_t of_group = static_cast<std::size_t>(std::max(1, rows)) *
                                 static_cast<std::size_t>(std::max(1, columns)) * static_cast<std::size_t>(group);
    heads =
        group * static_cast<int>(std::clamp<std::size_t>(most / of_group, 1, static_cast<std::size_t>(shape.kv_heads)));
  }
};

}  // namespace flamingo::kernels
