/// The mini Chinchilla that is pretrained here: the 80B's language model at 1.4 million parameters. FLAMINGO_SMALL
/// picks one of three sizes, of which this is the second.
#pragma once
#include <array>

#include <flamingo/config/decoder.hpp>
#include <flamingo/cpu.hpp>

namespace pretrain {

using P = flamingo::Cpu<float>;

#ifdef FLAMINGO_SMALL
inline constexpr int size = FLAMINGO_SMALL;
#else
inline constexpr int size = 2;
#endif
static_assert(size >= 1 && size <= 3, "FLAMINGO_SMALL is 1, 2 or 3");

/// Heads of 32, 4 D in the feed-forward, one tied table: as the paper's, but for the sizes.
inline constexpr flamingo::Chinchilla config{.dim = std::array{64, 128, 192}[size - 1],
                                             .layers = std::array{3, 4, 5}[size - 1],
                                             .heads = std::array{2, 4, 6}[size - 1],
                                             .head_dim = 32,
                                             .vocabulary = 4096,
                                             .context = 256};

}  // namespace pretrain
