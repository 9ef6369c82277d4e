/// The mini Chinchilla that is pretrained here: the 80B's language model at 1.4 million parameters.
#pragma once
#include <flamingo/config/decoder.hpp>
#include <flamingo/cpu.hpp>

namespace pretrain {

using P = flamingo::Cpu<float>;

/// Heads of 32, 4 D in the feed-forward, one tied table: as the paper's, but for the sizes.
inline constexpr flamingo::Chinchilla config{
    .dim = 128, .layers = 4, .heads = 4, .head_dim = 32, .vocabulary = 4096, .context = 256};

}  // namespace pretrain
