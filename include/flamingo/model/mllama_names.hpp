/// What transformers calls the tensors of Llama 3.2 Vision (MllamaForConditionalGeneration), part by part.
///
/// Its text model numbers blocks and cross-attention layers in one row; ours lie apart.
#pragma once
#include <string>
#include <vector>

#include <flamingo/config/flamingo.hpp>
#include <flamingo/config/vision.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {

inline TensorTable mllama_vision_names() {
  const TensorTable block({{.ours = "norm.scale", .theirs = "input_layernorm.weight"},
                           {.ours = "norm.bias", .theirs = "input_layernorm.bias"},
                           {.ours = "attention.query", .theirs = "self_attn.q_proj.weight"},
                           {.ours = "attention.key", .theirs = "self_attn.k_proj.weight"},
                           {.ours = "attention.value", .theirs = "self_attn.v_proj.weight"},
                           {.ours = "attention.out", .theirs = "self_attn.o_proj.weight"},
                           {.ours = "attention_gate", .theirs = "gate_attn"},
                           {.ours = "norm_dense.scale", .theirs = "post_attention_layernorm.weight"},
                           {.ours = "norm_dense.bias", .theirs = "post_attention_layernorm.bias"},
                           {.ours = "dense.up", .theirs = "mlp.fc1.weight"},
                           {.ours = "dense.up_bias", .theirs = "mlp.fc1.bias"},
                           {.ours = "dense.down", .theirs = "mlp.fc2.weight"},
                           {.ours = "dense.down_bias", .theirs = "mlp.fc2.bias"},
                           {.ours = "dense_gate", .theirs = "gate_ffn"}});
  return TensorTable({{.ours = "patch", .theirs = "patch_embedding.weight", .layout = Layout::channels_first},
                      {.ours = "before", .theirs = "pre_tile_positional_embedding.embedding.weight"},
                      {.ours = "before_gate", .theirs = "pre_tile_positional_embedding.gate"},
                      {.ours = "class_token", .theirs = "class_embedding", .layout = Layout::line},
                      {.ours = "positions", .theirs = "gated_positional_embedding.embedding"},
                      {.ours = "places", .theirs = "gated_positional_embedding.tile_embedding.weight"},
                      {.ours = "places_gate", .theirs = "gated_positional_embedding.gate"},
                      {.ours = "pre_norm.scale", .theirs = "layernorm_pre.weight"},
                      {.ours = "pre_norm.bias", .theirs = "layernorm_pre.bias"},
                      {.ours = "post_norm.scale", .theirs = "layernorm_post.weight"},
                      {.ours = "post_norm.bias", .theirs = "layernorm_post.bias"},
                      {.ours = "after", .theirs = "post_tile_positional_embedding.embedding.weight"},
                      {.ours = "after_gate", .theirs = "post_tile_positional_embedding.gate"}})
      .with(block.within("blocks.*.", "transformer.layers.*."))
      .with(block.within("global_blocks.*.", "global_transformer.layers.*."))
      .within("", "vision_model.");
}

namespace detail {

/// A part's table whose star stands for `numbers` of theirs.
inline TensorTable mllama_layers(std::string ours, std::vector<TensorRule> rules, const std::vector<int>& numbers) {
  for (TensorRule& rule : rules) {
    rule.ours = ours + rule.ours;
    rule.theirs = "language_model.model.layers.*." + rule.theirs;
    rule.numbers = numbers;
  }
  return TensorTable(std::move(rules));
}
inline std::vector<TensorRule> mllama_attention(const std::string& theirs) {
  return {{.ours = "norm.scale", .theirs = "input_layernorm.weight"},
          {.ours = "attention.query", .theirs = theirs + ".q_proj.weight"},
          {.ours = "attention.key", .theirs = theirs + ".k_proj.weight"},
          {.ours = "attention.value", .theirs = theirs + ".v_proj.weight"},
          {.ours = "attention.out", .theirs = theirs + ".o_proj.weight"},
          {.ours = "norm_dense.scale", .theirs = "post_attention_layernorm.weight"},
          {.ours = "dense.gate", .theirs = "mlp.gate_proj.weight"},
          {.ours = "dense.up", .theirs = "mlp.up_proj.weight"},
          {.ours = "dense.down", .theirs = "mlp.down_proj.weight"}};
}

}  // namespace detail

/// The projector and the cross-attention layers.
template <class Lm>
TensorTable mllama_connector_names(const FlamingoConfig<MllamaVision, Lm>& c) {
  std::vector<int> numbers;
  for (int i = 0; i <= c.lm.layers; ++i)
    if (c.gated(i)) numbers.push_back(i + static_cast<int>(numbers.size()));
  std::vector<TensorRule> rules = detail::mllama_attention("cross_attn");
  rules.push_back({.ours = "attention.query_norm.scale", .theirs = "cross_attn.q_norm.weight"});
  rules.push_back({.ours = "attention.key_norm.scale", .theirs = "cross_attn.k_norm.weight"});
  rules.push_back({.ours = "attention_gate", .theirs = "cross_attn_attn_gate"});
  rules.push_back({.ours = "dense_gate", .theirs = "cross_attn_mlp_gate"});
  return TensorTable({{.ours = "resampler.lead_in", .theirs = "multi_modal_projector.weight"},
                      {.ours = "resampler.lead_in_bias", .theirs = "multi_modal_projector.bias"}})
      .with(detail::mllama_layers("gated.*.", std::move(rules), numbers));
}

/// The decoder, a LLaMA whose rotary pairs are halves. Its added rows follow the vocabulary in one table.
template <class Lm>
TensorTable mllama_lm_names(const FlamingoConfig<MllamaVision, Lm>& c) {
  std::vector<int> numbers;
  for (int i = 0; i < c.lm.layers; ++i) numbers.push_back(i + c.gated_blocks(i + 1));
  const int V = c.lm.vocabulary;
  return TensorTable(
             {{.ours = "embedding", .theirs = "language_model.model.embed_tokens.weight", .group = V, .stride = V},
              {.ours = "added", .theirs = "language_model.model.embed_tokens.weight", .first = V},
              {.ours = "norm.scale", .theirs = "language_model.model.norm.weight"},
              {.ours = "output", .theirs = "language_model.lm_head.weight"}})
      .with(detail::mllama_layers("blocks.*.", detail::mllama_attention("self_attn"), numbers));
}

}  // namespace flamingo
