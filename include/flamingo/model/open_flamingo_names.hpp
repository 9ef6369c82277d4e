/// What OpenFlamingo and flamingo-pytorch call the tensors of a Flamingo.
///
/// OpenFlamingo's `checkpoint.pt` holds what was trained: the Resampler, the gated blocks and the tables of tokens. A
/// file with everything has the decoder's blocks beside them, under `decoder_layer.`.
#pragma once
#include <string>
#include <vector>

#include <flamingo/config/flamingo.hpp>
#include <flamingo/model/decoders/gpt_neox_names.hpp>
#include <flamingo/model/decoders/mpt_names.hpp>

namespace flamingo {

/// PerceiverResampler of open_flamingo, or of flamingo-pytorch with "media_pos_emb" for `places`. One matrix holds keys
/// and values.
inline TensorTable perceiver_names(const ResamplerConfig& c, const std::string& places = "media_time_embs") {
  const std::string layer = "layers.*.";
  const int inner = c.heads * c.head_dim;
  return {{{"latents", "latents"},
           {"times", "frame_embs"},
           {"places", places},
           {"blocks.*.norm_features.scale", layer + "0.norm_media.weight"},
           {"blocks.*.norm_features.bias", layer + "0.norm_media.bias"},
           {"blocks.*.norm_latents.scale", layer + "0.norm_latents.weight"},
           {"blocks.*.norm_latents.bias", layer + "0.norm_latents.bias"},
           {"blocks.*.attention.query", layer + "0.to_q.weight"},
           {"blocks.*.attention.key", layer + "0.to_kv.weight", 0, inner},
           {"blocks.*.attention.value", layer + "0.to_kv.weight", inner, inner},
           {"blocks.*.attention.out", layer + "0.to_out.weight"},
           {"blocks.*.norm_dense.scale", layer + "1.0.weight"},
           {"blocks.*.norm_dense.bias", layer + "1.0.bias"},
           {"blocks.*.dense.up", layer + "1.1.weight"},
           {"blocks.*.dense.down", layer + "1.3.weight"},
           {"norm.scale", "norm.weight"},
           {"norm.bias", "norm.bias"}}};
}

/// GatedCrossAttentionBlock of both. Those of a model are `ours` = "gated.*." and `theirs` = "...*...", with the number
/// of the decoder block for each; one by itself has none of the three.
inline TensorTable gated_cross_attention_names(const XattnConfig& c, const std::string& ours = "",
                                               const std::string& theirs = "", std::vector<int> numbers = {}) {
  const int inner = c.heads * c.head_dim;
  std::vector<TensorRule> rules{{"attention_gate", "attn_gate"},
                                {"dense_gate", "ff_gate"},
                                {"norm.scale", "attn.norm.weight"},
                                {"norm.bias", "attn.norm.bias"},
                                {"attention.query", "attn.to_q.weight"},
                                {"attention.key", "attn.to_kv.weight", 0, inner},
                                {"attention.value", "attn.to_kv.weight", inner, inner},
                                {"attention.out", "attn.to_out.weight"},
                                {"norm_dense.scale", "ff.0.weight"},
                                {"norm_dense.bias", "ff.0.bias"},
                                {"dense.up", "ff.1.weight"},
                                {"dense.down", "ff.3.weight"}};
  for (TensorRule& rule : rules) {
    rule.ours = ours + rule.ours;
    rule.theirs = theirs + rule.theirs;
    rule.numbers = numbers;
  }
  return rules;
}

namespace detail {
inline std::string open_flamingo_blocks(const Mpt&) { return "transformer.blocks.*."; }
inline std::string open_flamingo_blocks(const GptNeox&) { return "gpt_neox.layers.*."; }
}  // namespace detail

/// The connector of OpenFlamingo's checkpoints.
template <class Vision, class Lm>
TensorTable open_flamingo_names(const FlamingoConfig<Vision, Lm>& c) {
  std::vector<int> numbers;
  for (int i = 0; i < c.lm.layers; ++i)
    if (c.gated(i)) numbers.push_back(i);
  const std::string blocks = "lang_encoder." + detail::open_flamingo_blocks(c.lm);
  return perceiver_names(c.resampler)
      .within("resampler.", "perceiver.")
      .with(gated_cross_attention_names(c.xattn, "gated.*.", blocks + "gated_cross_attn_layer.", numbers));
}

/// The decoder in a file of a whole OpenFlamingo, the tables of tokens in any of its checkpoints.
inline TensorTable open_flamingo_lm_names(const Mpt& c, MptNaming naming = MptNaming::norm_ffn) {
  return mpt_names(c, naming, detail::open_flamingo_blocks(c) + "decoder_layer.").within("", "lang_encoder.");
}
inline TensorTable open_flamingo_lm_names(const GptNeox& c) {
  return gpt_neox_names(c, detail::open_flamingo_blocks(c) + "decoder_layer.").within("", "lang_encoder.");
}

}  // namespace flamingo
