/// The dual encoder of examples/pretrain/contrastive: the paper's, a hundred times smaller.
#pragma once
#include <flamingo/config/contrastive.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/contrastive/dual_encoder.hpp>

namespace contrastive {

inline constexpr flamingo::ContrastiveConfig<flamingo::NfNet> config{
    .vision = {.image = 64, .depths = {1, 1, 2, 1}, .widths = {32, 64, 128, 128}, .stem = 16, .group = 16, .head = 256},
    .text = {.context = 24, .vocabulary = 3072, .dim = 96, .layers = 2, .heads = 4},
    .projection = 128};

using P = flamingo::Cpu<float>;
using Net = flamingo::model::PooledDualEncoder<config, P>;

}  // namespace contrastive
