/// All presets by their names.
#pragma once
#include <flamingo/config/presets/clip.hpp>
#include <flamingo/config/presets/flamingo.hpp>
#include <flamingo/config/presets/idefics.hpp>
#include <flamingo/config/presets/mllama.hpp>
#include <flamingo/config/presets/nfnet.hpp>
#include <flamingo/config/presets/open_flamingo.hpp>

namespace flamingo {

/// Calls f("flamingo_3b", presets::flamingo_3b) for each preset.
template <class F>
constexpr void each_preset(F&& f) {
  f("flamingo_3b", presets::flamingo_3b);
  f("flamingo_9b", presets::flamingo_9b);
  f("flamingo_80b", presets::flamingo_80b);
  f("open_flamingo_3b", presets::open_flamingo_3b);
  f("open_flamingo_4b", presets::open_flamingo_4b);
  f("open_flamingo_9b", presets::open_flamingo_9b);
  f("idefics_9b", presets::idefics_9b);
  f("idefics_9b_instruct", presets::idefics_9b_instruct);
  f("idefics_80b", presets::idefics_80b);
  f("idefics_80b_instruct", presets::idefics_80b_instruct);
  f("llama_3_2_vision_11b", presets::llama_3_2_vision_11b);
  f("llama_3_2_vision_90b", presets::llama_3_2_vision_90b);
  f("clip_vit_l14", presets::clip_vit_l14);
  f("open_clip_vit_h14", presets::open_clip_vit_h14);
  f("nfnet_f0", presets::nfnet_f0);
  f("nfnet_f1", presets::nfnet_f1);
  f("nfnet_f2", presets::nfnet_f2);
  f("nfnet_f3", presets::nfnet_f3);
  f("nfnet_f4", presets::nfnet_f4);
  f("nfnet_f5", presets::nfnet_f5);
  f("nfnet_f6", presets::nfnet_f6);
  f("chinchilla_1_4b", presets::chinchilla_1_4b);
  f("chinchilla_7b", presets::chinchilla_7b);
  f("chinchilla_70b", presets::chinchilla_70b);
}

}  // namespace flamingo
