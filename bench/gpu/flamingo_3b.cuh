/// Flamingo-3B's sizes around a LLaMA of its language model's, with drawn weights: what step.cu trains and decode.cu
/// asks. Pictures are given as features.
#pragma once
#include <flamingo/cuda.cuh>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/train/rounded_weights.hpp>

#include "timing.cuh"

namespace flamingo::bench {

using P = Cuda<bfloat16>;

struct Features {};  ///< of pictures are given: there is no encoder

constexpr int features_of_picture = 100, feature_width = 3072;  // NFNet-F6's cells of 320 × 320
constexpr int words = 32000;
constexpr FlamingoConfig<Features, Llama> config{
    .resampler = {.vision_dim = feature_width,
                  .dim = 1536,
                  .layers = 6,
                  .heads = 16,
                  .head_dim = 128,
                  .frames = 8,
                  .out_dim = 2048},
    .xattn = {.every = 1, .heads = 16, .head_dim = 128, .norm_media = true},
    .lm = {.dim = 2048, .layers = 24, .heads = 16, .kv_heads = 16, .hidden = 5504, .vocabulary = words, .added = 2}};

/// Scales of norms are one, gates half open (new ones are zero, and what they close would be multiplied by zeros), all
/// else as trained weights.
template <class Layer>
void draw_weights(Store<Layer, P, float>& masters) {
  static std::uint64_t at = 0;
  const auto draw = [&](const Spec& spec, auto& leaf) {
    const auto count = static_cast<unsigned>(spec.size());
    if (spec.init.kind == Init::Kind::one || spec.size() == 1)
      check_cuda(raw::fill(leaf.data, spec.size() == 1 ? 0.5f : 1.f, spec.size(), nullptr), "draw");
    else
      draw_kernel<float><<<(count + 255) / 256, 256>>>(leaf.data, spec.size(), ++at, 0.02f);
  };
  Layer::each(draw, masters.views);
  check_cuda(cudaDeviceSynchronize(), "draw");
}

inline std::size_t free_memory() {
  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free;
}

}  // namespace flamingo::bench
