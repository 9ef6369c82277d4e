/// What transformers calls the tensors of Idefics (IdeficsForVisionText2Text), part by part.
///
/// Gated blocks are numbered there as ours are: block j stands before decoder layer j * cross_layer_interval.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <flamingo/model/clip/clip_names.hpp>
#include <flamingo/model/decoders/llama_names.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {

/// The vision tower. Its last norm is in the files and belongs to the pooled output, which nothing reads.
inline TensorTable idefics_vision_names() { return hugging_face_vit_names().within("", "model.vision_model."); }

/// The Resampler and the gated blocks.
inline TensorTable idefics_connector_names() {
  const TensorTable resampler(
      {{.ours = "latents", .theirs = "latents"},
       {.ours = "blocks.*.norm_features.scale", .theirs = "blocks.*.0.context_layer_norm.weight"},
       {.ours = "blocks.*.norm_features.bias", .theirs = "blocks.*.0.context_layer_norm.bias"},
       {.ours = "blocks.*.norm_latents.scale", .theirs = "blocks.*.0.latents_layer_norm.weight"},
       {.ours = "blocks.*.norm_latents.bias", .theirs = "blocks.*.0.latents_layer_norm.bias"},
       {.ours = "blocks.*.attention.query_norm.scale", .theirs = "blocks.*.0.q_layer_norm.weight"},
       {.ours = "blocks.*.attention.query_norm.bias", .theirs = "blocks.*.0.q_layer_norm.bias"},
       {.ours = "blocks.*.attention.key_norm.scale", .theirs = "blocks.*.0.k_layer_norm.weight"},
       {.ours = "blocks.*.attention.key_norm.bias", .theirs = "blocks.*.0.k_layer_norm.bias"},
       {.ours = "blocks.*.attention.query", .theirs = "blocks.*.0.q_proj.weight"},
       {.ours = "blocks.*.attention.key", .theirs = "blocks.*.0.k_proj.weight"},
       {.ours = "blocks.*.attention.value", .theirs = "blocks.*.0.v_proj.weight"},
       {.ours = "blocks.*.attention.out", .theirs = "blocks.*.0.output_proj.weight"},
       {.ours = "blocks.*.norm_dense.scale", .theirs = "blocks.*.1.ln.weight"},
       {.ours = "blocks.*.norm_dense.bias", .theirs = "blocks.*.1.ln.bias"},
       {.ours = "blocks.*.dense.up", .theirs = "blocks.*.1.fc.weight"},
       {.ours = "blocks.*.dense.down", .theirs = "blocks.*.1.c_proj.weight"},
       {.ours = "norm.scale", .theirs = "layer_norm.weight"},
       {.ours = "norm.bias", .theirs = "layer_norm.bias"}});
  const TensorTable gated({{.ours = "norm.scale", .theirs = "input_layernorm.weight"},
                           {.ours = "attention.query", .theirs = "cross_attn.q_proj.weight"},
                           {.ours = "attention.key", .theirs = "cross_attn.k_proj.weight"},
                           {.ours = "attention.value", .theirs = "cross_attn.v_proj.weight"},
                           {.ours = "attention.out", .theirs = "cross_attn.o_proj.weight"},
                           {.ours = "attention.query_norm.scale", .theirs = "cross_attn.q_layer_norm.weight"},
                           {.ours = "attention.key_norm.scale", .theirs = "cross_attn.k_layer_norm.weight"},
                           {.ours = "attention_gate", .theirs = "alpha_cross_attn"},
                           {.ours = "norm_dense.scale", .theirs = "post_attention_layernorm.weight"},
                           {.ours = "dense.gate", .theirs = "mlp.gate_proj.weight"},
                           {.ours = "dense.up", .theirs = "mlp.up_proj.weight"},
                           {.ours = "dense.down", .theirs = "mlp.down_proj.weight"},
                           {.ours = "dense_gate", .theirs = "alpha_dense"}},
                          {"cross_attn.rotary_emb.inv_freq"});
  return resampler.within("resampler.", "model.perceiver_resampler.")
      .with(gated.within("gated.*.", "model.gated_cross_attn_layers.*."));
}

/// The decoder: a LLaMA, and the rows that Idefics adds to its vocabulary. Where the output layer is the embedding, a
/// file may hold it a second time.
inline TensorTable idefics_lm_names(const Llama& c) {
  Llama known = c;
  known.added = 0;
  const char *in = "model.embed_tokens.additional_embedding.weight", *out = "lm_head.additional_fc.weight";
  std::vector<std::string> ignored;
  if (c.tied) ignored.push_back(out);
  return TensorTable({{.ours = "added", .theirs = in}, {.ours = "added_output", .theirs = out}}, std::move(ignored))
      .with(hugging_face_llama_names(known));
}

}  // namespace flamingo
