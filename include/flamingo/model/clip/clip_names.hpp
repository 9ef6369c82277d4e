/// What other programs call the tensors of CLIP's towers: transformers (CLIPModel, Idefics' vision_model) and OpenCLIP.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <flamingo/config/clip.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {

namespace detail {

/// The weight and the bias of a norm or of a product.
inline void add_pair(std::vector<TensorRule>& rules, const std::string& weight, const std::string& bias,
                     const std::string& theirs) {
  rules.push_back({.ours = weight, .theirs = theirs + ".weight"});
  rules.push_back({.ours = bias, .theirs = theirs + ".bias"});
}
inline void add_norm(std::vector<TensorRule>& rules, const std::string& ours, const std::string& theirs) {
  add_pair(rules, ours + ".scale", ours + ".bias", theirs);
}
inline void add_linear(std::vector<TensorRule>& rules, const std::string& ours, const std::string& theirs) {
  add_pair(rules, ours, ours + "_bias", theirs);
}

inline void add_hugging_face_blocks(std::vector<TensorRule>& rules) {
  const std::string ours = "blocks.*.", theirs = "encoder.layers.*.";
  add_norm(rules, ours + "norm", theirs + "layer_norm1");
  add_norm(rules, ours + "norm_dense", theirs + "layer_norm2");
  add_linear(rules, ours + "attention.query", theirs + "self_attn.q_proj");
  add_linear(rules, ours + "attention.key", theirs + "self_attn.k_proj");
  add_linear(rules, ours + "attention.value", theirs + "self_attn.v_proj");
  add_linear(rules, ours + "attention.out", theirs + "self_attn.out_proj");
  add_linear(rules, ours + "dense.up", theirs + "mlp.fc1");
  add_linear(rules, ours + "dense.down", theirs + "mlp.fc2");
}
/// One matrix holds queries, keys and values, a third of its rows each.
inline void add_open_clip_blocks(std::vector<TensorRule>& rules, int dim) {
  const std::string ours = "blocks.*.", theirs = "transformer.resblocks.*.";
  add_norm(rules, ours + "norm", theirs + "ln_1");
  add_norm(rules, ours + "norm_dense", theirs + "ln_2");
  for (int third = 0; const char* part : {"query", "key", "value"}) {
    const std::string name = ours + "attention." + part;
    rules.push_back({.ours = name, .theirs = theirs + "attn.in_proj_weight", .first = third, .group = dim});
    rules.push_back({.ours = name + "_bias", .theirs = theirs + "attn.in_proj_bias", .first = third, .group = dim});
    third += dim;
  }
  add_linear(rules, ours + "attention.out", theirs + "attn.out_proj");
  add_linear(rules, ours + "dense.up", theirs + "mlp.c_fc");
  add_linear(rules, ours + "dense.down", theirs + "mlp.c_proj");
}

}  // namespace detail

/// transformers' names of a vision tower, those below "vision_model.".
inline TensorTable hugging_face_vit_names() {
  std::vector<TensorRule> rules{
      {.ours = "patch", .theirs = "embeddings.patch_embedding.weight", .layout = Layout::channels_first},
      {.ours = "patch_bias", .theirs = "embeddings.patch_embedding.bias"},
      {.ours = "class_token", .theirs = "embeddings.class_embedding", .layout = Layout::line},
      {.ours = "positions", .theirs = "embeddings.position_embedding.weight"}};
  detail::add_norm(rules, "pre_norm", "pre_layrnorm");
  detail::add_hugging_face_blocks(rules);
  detail::add_norm(rules, "post_norm", "post_layernorm");
  return {std::move(rules), {"embeddings.position_ids", "post_layernorm.weight", "post_layernorm.bias"}};
}

/// OpenCLIP's names of a vision tower, those below "visual.".
inline TensorTable open_clip_vit_names(const Vit& c) {
  std::vector<TensorRule> rules{{.ours = "patch", .theirs = "conv1.weight", .layout = Layout::channels_first},
                                {.ours = "patch_bias", .theirs = "conv1.bias"},
                                {.ours = "class_token", .theirs = "class_embedding", .layout = Layout::line},
                                {.ours = "positions", .theirs = "positional_embedding"}};
  detail::add_norm(rules, "pre_norm", "ln_pre");
  detail::add_open_clip_blocks(rules, c.dim);
  detail::add_norm(rules, "post_norm", "ln_post");
  return {std::move(rules), {"ln_post.weight", "ln_post.bias", "proj"}};
}

/// transformers' CLIPModel.
inline TensorTable hugging_face_clip_names() {
  std::vector<TensorRule> text{{.ours = "embedding", .theirs = "embeddings.token_embedding.weight"},
                               {.ours = "positions", .theirs = "embeddings.position_embedding.weight"}};
  detail::add_hugging_face_blocks(text);
  detail::add_norm(text, "norm", "final_layer_norm");
  std::vector<TensorRule> outside{{.ours = "vision_projection", .theirs = "visual_projection.weight"},
                                  {.ours = "text_projection", .theirs = "text_projection.weight"},
                                  {.ours = "log_scale", .theirs = "logit_scale"}};
  detail::add_norm(outside, "vision_norm", "vision_model.post_layernorm");
  return hugging_face_vit_names()
      .within("vision.", "vision_model.")
      .with(TensorTable(std::move(text), {"embeddings.position_ids"}).within("text.", "text_model."))
      .with(std::move(outside));
}

/// OpenCLIP's CLIP, and OpenAI's own files: projections are multiplied from the right, so they lie transposed.
inline TensorTable open_clip_names(const ClipConfig& c) {
  std::vector<TensorRule> text{{.ours = "embedding", .theirs = "token_embedding.weight"},
                               {.ours = "positions", .theirs = "positional_embedding"}};
  detail::add_open_clip_blocks(text, c.text.dim);
  detail::add_norm(text, "norm", "ln_final");
  std::vector<TensorRule> outside{
      {.ours = "vision_projection", .theirs = "visual.proj", .layout = Layout::transposed},
      {.ours = "text_projection", .theirs = "text_projection", .layout = Layout::transposed},
      {.ours = "log_scale", .theirs = "logit_scale"}};
  detail::add_norm(outside, "vision_norm", "visual.ln_post");
  return open_clip_vit_names(c.vision)
      .within("vision.", "visual.")
      .with(TensorTable(std::move(text)).within("text.", ""))
      .with(std::move(outside));
}

}  // namespace flamingo
