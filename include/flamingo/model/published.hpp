/// From what a checkpoint's folder says to the configs of this library, and the check of a compiled config against it.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <flamingo/config/presets/mllama.hpp>
#include <flamingo/core/check.hpp>
#include <flamingo/io/hf_config.hpp>
#include <flamingo/io/open_flamingo_config.hpp>
#include <flamingo/model/config_fields.hpp>

namespace flamingo {

namespace detail {

/// transformers' names of activations.
inline Activation activation_of(const std::string& name) {
  using Pair = std::pair<std::string_view, Activation>;
  constexpr std::array known{Pair{"gelu", Activation::gelu},
                             Pair{"gelu_new", Activation::gelu_tanh},
                             Pair{"gelu_fast", Activation::gelu_tanh},
                             Pair{"gelu_pytorch_tanh", Activation::gelu_tanh},
                             Pair{"quick_gelu", Activation::quick_gelu},
                             Pair{"silu", Activation::silu},
                             Pair{"swish", Activation::silu},
                             Pair{"relu", Activation::relu}};
  for (const auto& [theirs, ours] : known)
    if (name == theirs) return ours;
  fail("config", "hidden_act is '", name,
       "', expected gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, quick_gelu, silu or relu");
}

/// Refuses what no layer here computes.
inline void need(bool ok, std::string_view field, std::string_view expected) {
  check(ok, "config", field, " is not ", expected, ", which is all that is computed here");
}
inline void need_heads(int dim, int heads) {
  check(dim % heads == 0, "config", "a width of ", dim, " does not divide into ", heads, " heads");
}

/// A size that the fields give together, no larger than a field alone may be.
inline int size_from(std::string_view what, double size) {
  check(size >= 1 && size <= (1 << 28), "config", what, " come to ", size, ", expected 1 to ", 1 << 28);
  return static_cast<int>(size);
}

inline RotaryScaling scaling_of(const io::HfRopeScaling& c) {
  if (c.rope_type == "default") return {};
  need(c.rope_type == "llama3", "rope_scaling.rope_type", "default or llama3");
  return {.factor = static_cast<float>(c.factor),
          .low = static_cast<float>(c.low_freq_factor),
          .high = static_cast<float>(c.high_freq_factor),
          .context = c.original_max_position_embeddings};
}

}  // namespace detail

/// Each throws Error where the config asks for what no layer here computes.
inline Llama config_of(const io::HfLlama& c) {
  detail::need(c.hidden_act == "silu", "hidden_act", "silu");
  detail::need(!c.attention_bias && !c.mlp_bias, "attention_bias or mlp_bias", "false");
  if (c.head_dim == 0) detail::need_heads(c.hidden_size, c.num_attention_heads);
  const int kv_heads = c.num_key_value_heads ? c.num_key_value_heads : c.num_attention_heads;
  detail::need_heads(c.num_attention_heads, kv_heads);
  return {.dim = c.hidden_size,
          .layers = c.num_hidden_layers,
          .heads = c.num_attention_heads,
          .kv_heads = kv_heads,
          .head_dim = c.head_dim,
          .hidden = c.intermediate_size,
          .vocabulary = c.vocab_size,
          .context = c.max_position_embeddings,
          .rotary_base = c.rope_theta,
          .rotary_scaling = detail::scaling_of(c.rope_scaling),
          .epsilon = static_cast<float>(c.rms_norm_eps),
          .tied = c.tie_word_embeddings};
}

inline Mpt config_of(const io::HfMpt& c) {
  detail::need(c.no_bias, "no_bias", "true");
  detail::need(c.attn_config.alibi, "attn_config.alibi", "true");
  detail::need(!c.attn_config.prefix_lm, "attn_config.prefix_lm", "false");
  detail::need(c.attn_config.softmax_scale == 0, "attn_config.softmax_scale", "null");
  detail::need_heads(c.d_model, c.n_heads);
  return {.dim = c.d_model,
          .layers = c.n_layers,
          .heads = c.n_heads,
          .hidden = detail::size_from("expansion_ratio times d_model", double{1} * c.expansion_ratio * c.d_model),
          .vocabulary = c.vocab_size,
          .context = c.max_seq_len,
          .alibi = static_cast<float>(c.attn_config.alibi_bias_max),
          .clamp = static_cast<float>(c.attn_config.clip_qkv),
          .qk_norm = c.attn_config.qk_ln,
          .epsilon = static_cast<float>(c.layer_norm_epsilon),
          .tied = c.tie_word_embeddings};
}

inline GptNeox config_of(const io::HfGptNeox& c) {
  detail::need(c.attention_bias, "attention_bias", "true");
  detail::need_heads(c.hidden_size, c.num_attention_heads);
  return {.dim = c.hidden_size,
          .layers = c.num_hidden_layers,
          .heads = c.num_attention_heads,
          .hidden = c.intermediate_size,
          .vocabulary = c.vocab_size,
          .context = c.max_position_embeddings,
          .rotary_share = static_cast<float>(c.rotary_pct),
          .rotary_base = c.rotary_emb_base,
          .parallel = c.use_parallel_residual,
          .activation = detail::activation_of(c.hidden_act),
          .epsilon = static_cast<float>(c.layer_norm_eps),
          .tied = c.tie_word_embeddings};
}

inline FlamingoConfig<Vit, Llama> config_of(const io::HfIdefics& c) {
  const io::HfIdeficsVision& v = c.vision_config;
  const io::HfIdeficsPerceiver& p = c.perceiver_config;
  detail::need(c.alpha_type == "float" || c.alpha_type == "vector", "alpha_type", "float or vector");
  detail::need(c.hidden_act == "silu", "hidden_act", "silu");
  detail::need(v.num_channels == 3, "vision_config.num_channels", "3");
  detail::need_heads(c.hidden_size, c.num_attention_heads);
  detail::need_heads(v.embed_dim, v.num_attention_heads);
  check(c.num_hidden_layers % c.cross_layer_interval == 0, "config", "num_hidden_layers ", c.num_hidden_layers,
        " is no multiple of cross_layer_interval ", c.cross_layer_interval);
  const auto epsilon = static_cast<float>(c.rms_norm_eps);
  const Vit vision{.image = v.image_size,
                   .patch = v.patch_size,
                   .dim = v.embed_dim,
                   .layers = v.num_hidden_layers,
                   .heads = v.num_attention_heads,
                   .hidden = v.intermediate_size,
                   .activation = detail::activation_of(v.hidden_act),
                   .class_out = true,
                   .epsilon = static_cast<float>(v.layer_norm_eps)};
  const ResamplerConfig resampler{.dim = v.embed_dim,
                                  .latents = p.resampler_n_latents,
                                  .layers = p.resampler_depth,
                                  .heads = p.resampler_n_heads,
                                  .head_dim = p.resampler_head_dim,
                                  .qk_norm = p.qk_layer_norms_perceiver ? QkNorm::heads_layer : QkNorm::none,
                                  .activation = Activation::relu,
                                  .frames = 0};
  const ResamplerConfig none{
      .dim = v.embed_dim,
      .latents = detail::size_from("the rows of a picture", double{1} * vision.grid() * vision.grid() + 1),
      .layers = 0,
      .frames = 0};
  return {.vision = vision,
          .resampler = c.use_resampler ? resampler : none,
          .xattn = {.every = c.cross_layer_interval,
                    .heads = c.num_attention_heads,
                    .head_dim = c.hidden_size / c.num_attention_heads,
                    .qk_norm = c.qk_layer_norms ? QkNorm::heads_rms : QkNorm::none,
                    .hidden = c.intermediate_size,
                    .activation = Activation::silu,
                    .gated_dense = true,
                    .norm = NormKind::rms,
                    .vector_gates = c.alpha_type == "vector",
                    .end_of_document = c.eos_token_id,
                    .epsilon = epsilon},
          .lm = {.dim = c.hidden_size,
                 .layers = c.num_hidden_layers,
                 .heads = c.num_attention_heads,
                 .kv_heads = c.num_attention_heads,
                 .hidden = c.intermediate_size,
                 .vocabulary = c.vocab_size,
                 .added = c.additional_vocab_size,
                 .epsilon = epsilon,
                 .tied = c.tie_word_embeddings}};
}

inline ClipConfig config_of(const io::HfClip& c) {
  const io::HfClipVision& v = c.vision_config;
  const io::HfClipText& t = c.text_config;
  constexpr int old_end = 2;  // what eos_token_id was before it was right; transformers takes it for a rule
  detail::need(v.num_channels == 3, "vision_config.num_channels", "3");
  detail::need_heads(v.hidden_size, v.num_attention_heads);
  detail::need_heads(t.hidden_size, t.num_attention_heads);
  return {.vision = {.image = v.image_size,
                     .patch = v.patch_size,
                     .dim = v.hidden_size,
                     .layers = v.num_hidden_layers,
                     .heads = v.num_attention_heads,
                     .hidden = v.intermediate_size,
                     .activation = detail::activation_of(v.hidden_act),
                     .epsilon = static_cast<float>(v.layer_norm_eps)},
          .text = {.context = t.max_position_embeddings,
                   .vocabulary = t.vocab_size,
                   .dim = t.hidden_size,
                   .layers = t.num_hidden_layers,
                   .heads = t.num_attention_heads,
                   .hidden = t.intermediate_size,
                   .activation = detail::activation_of(t.hidden_act),
                   .pooling = t.eos_token_id == old_end ? TextPooling::highest_id : TextPooling::first_end,
                   .end = t.eos_token_id,
                   .epsilon = static_cast<float>(t.layer_norm_eps)},
          .projection = c.projection_dim};
}

/// Llama 3.2 Vision, its masks as its authors meant them: no file says whose they are.
inline FlamingoConfig<MllamaVision, Llama> config_of(const io::HfMllama& c) {
  const io::HfMllamaText& t = c.text_config;
  const io::HfMllamaVision& v = c.vision_config;
  detail::need(t.hidden_act == "silu", "text_config.hidden_act", "silu");
  detail::need(!t.tie_word_embeddings, "text_config.tie_word_embeddings", "false");
  detail::need(v.num_channels == 3, "vision_config.num_channels", "3");
  detail::need_heads(t.hidden_size, t.num_attention_heads);
  detail::need_heads(t.num_attention_heads, t.num_key_value_heads);
  detail::need_heads(v.hidden_size, v.attention_heads);
  MllamaVision vision{.image = v.image_size,
                      .patch = v.patch_size,
                      .tiles = v.max_num_tiles,
                      .ratios = static_cast<int>(v.supported_aspect_ratios.size()),
                      .dim = v.hidden_size,
                      .layers = v.num_hidden_layers,
                      .global_layers = v.num_global_layers,
                      .heads = v.attention_heads,
                      .hidden = v.intermediate_size,
                      .intermediate = {},
                      .activation = detail::activation_of(v.hidden_act),
                      .epsilon = static_cast<float>(v.norm_eps)};
  for (const int layer : v.intermediate_layers_indices) {
    check(layer >= 0 && layer <= v.num_hidden_layers && vision.intermediate.count < 16, "config",
          "vision_config.intermediate_layers_indices has ", layer, ", expected at most 16 numbers from 0 to ",
          v.num_hidden_layers);
    vision.intermediate.numbers[static_cast<std::size_t>(vision.intermediate.count++)] = layer;
  }
  detail::size_from("the widths of vision_config's layers", double{1} * vision.dim * (1 + vision.intermediate.count));
  check(vision.features() == v.vision_output_dim, "config", "vision_config.vision_output_dim is ", v.vision_output_dim,
        ", its layers give ", vision.features());

  // Their layers are numbered in one row; ours are blocks, and cross-attention before some of them.
  std::vector<int> cross = t.cross_attention_layers;
  std::sort(cross.begin(), cross.end());
  Places places;
  int last = -1;
  for (int j = 0; const int layer : cross) {
    check(layer < t.num_hidden_layers, "config", "text_config.cross_attention_layers has ", layer, " of ",
          t.num_hidden_layers, " layers");
    check(layer > last + 1 || last < 0, "config", "text_config.cross_attention_layers has ", last, " and ", layer,
          ": two without a layer between are not computed here");
    last = layer;
    const int slot = layer - j++;
    check(slot < 128, "config", "text_config.cross_attention_layers has ", layer,
          ": only 128 layers may lie before it");
    (slot < 64 ? places.low : places.high) |= std::uint64_t{1} << (slot % 64);
  }
  const Llama lm{.dim = t.hidden_size,
                 .layers = t.num_hidden_layers - static_cast<int>(cross.size()),
                 .heads = t.num_attention_heads,
                 .kv_heads = t.num_key_value_heads,
                 .hidden = t.intermediate_size,
                 .vocabulary = t.vocab_size,
                 .added = 8,
                 .added_output = false,
                 .context = t.max_position_embeddings,
                 .rotary_base = t.rope_theta,
                 .rotary_scaling = detail::scaling_of(t.rope_scaling),
                 .epsilon = static_cast<float>(t.rms_norm_eps)};
  check(places.any() && lm.layers > 0, "config", "text_config.cross_attention_layers names ", cross.size(), " of ",
        t.num_hidden_layers, " layers, expected some but not all");
  const auto published = mllama(vision, lm), other = mllama(vision, lm, MllamaMasks::meant, places);
  for (int i = 0; i <= lm.layers; ++i)
    if (published.gated(i) != other.gated(i)) return other;
  return published;
}

/// OpenFlamingo over the decoder of a config; its embedding ends in the added tokens.
template <class Lm>
FlamingoConfig<Vit, Lm> config_of(const io::OpenFlamingoFields& c, Lm lm) {
  const io::OpenClipVision& v = c.vision;
  detail::need_heads(v.width, v.head_width);
  lm.vocabulary = c.vocab_size - c.added_tokens;
  lm.added = c.added_tokens;
  const bool last = c.cross_attention.only_attend_immediate_media;
  return {.vision = {.image = v.image_size,
                     .patch = v.patch_size,
                     .dim = v.width,
                     .layers = v.layers,
                     .heads = v.width / v.head_width,
                     .hidden = detail::size_from("vision.mlp_ratio times vision.width", v.mlp_ratio * v.width),
                     .activation = v.quick_gelu ? Activation::quick_gelu : Activation::gelu},
          .resampler = {.dim = v.width,
                        .latents = c.perceiver.num_latents,
                        .layers = c.perceiver.depth,
                        .heads = c.perceiver.heads,
                        .head_dim = c.perceiver.dim_head,
                        .widening = c.perceiver.ff_mult,
                        .activation = Activation::gelu,
                        .frames = c.perceiver.max_num_frames,
                        .media = c.perceiver.max_num_media},
          .xattn = {.every = c.cross_attn_every_n_layers,
                    .offset = c.cross_attn_every_n_layers - 1,
                    .heads = c.cross_attention.heads,
                    .head_dim = c.cross_attention.dim_head,
                    .widening = c.cross_attention.ff_mult,
                    .activation = Activation::gelu,
                    .visibility = last ? Visibility::last_image : Visibility::all_earlier,
                    .before_first = last ? NoImage::zero : NoImage::uniform,
                    .beyond_last = last ? NoImage::uniform : NoImage::zero},
          .lm = lm};
}

/// The config of any checkpoint that is known.
using PublishedConfig =
    std::variant<Llama, Mpt, GptNeox, ClipConfig, FlamingoConfig<Vit, Llama>, FlamingoConfig<Vit, Mpt>,
                 FlamingoConfig<Vit, GptNeox>, FlamingoConfig<MllamaVision, Llama>>;

/// What a folder's files say. Throws Error with the folder and what is wrong, unknown, or not computed here.
inline PublishedConfig read_config(const std::filesystem::path& folder) {
  const auto convert = [&](const auto& make) -> PublishedConfig {
    try {
      return make();
    } catch (const Error& error) {
      throw Error(folder.string() + ": " + error.what());
    }
  };
  if (io::is_open_flamingo(folder)) {
    const io::OpenFlamingoConfig config = io::read_open_flamingo_config(folder);
    return std::visit(
        [&](const auto& lm) {
          return convert([&]() -> PublishedConfig {
            if constexpr (requires { config_of(lm).vocabulary; })
              return config_of(config.model, config_of(lm));
            else
              fail("config", "lm/ holds ", lm.name, ", expected a language model");
          });
        },
        config.lm.model);
  }
  const io::HfConfig config = io::read_hf_config(folder);
  return std::visit(
      [&](const auto& model) {
        return convert([&]() -> PublishedConfig {
          if constexpr (requires { config_of(model); })
            return config_of(model);
          else
            fail("config", "the family ", model.name, " is not read here");
        });
      },
      config.model);
}

/// What a folder says, with what none says taken from the compiled config: whose masks Llama 3.2 Vision has.
template <class T>
T with_masks_of(const T& compiled, T found) {
  if constexpr (std::is_same_v<T, FlamingoConfig<MllamaVision, Llama>>)
    found.xattn.before_first = compiled.xattn.before_first;
  return found;
}

/// Throws Error where a folder's checkpoint contradicts the compiled config: another kind of model, or each field that
/// differs, side by side.
template <Config T>
void check_config_of(const T& compiled, const std::filesystem::path& folder) {
  std::visit(
      [&](const auto& found) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(found)>, T>)
          check_config(compiled, with_masks_of(compiled, found), folder.string());
        else
          fail("load", folder.string(), " holds a ", config_type(found), ", the compiled config is a ",
               config_type(compiled));
      },
      read_config(folder));
}

}  // namespace flamingo
