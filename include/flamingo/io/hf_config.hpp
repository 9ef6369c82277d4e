/// config.json of Hugging Face's folders: the families that are known, their fields, and what a missing field means.
///
/// Fields have transformers' names, and the values that transformers 4.49 gives them where config.json, which leaves
/// out what is at its default, has none.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo::io {

/// A field as it is used: "vision_config.hidden_size", its value as JSON, and whether the file states it.
struct ConfigField {
  std::string name, value;
  bool given = false;
};

/// Reads the members of a JSON object into values that hold their defaults. A null is a missing member, as in Python.
class ConfigReader {
 public:
  /// `place` names the file in errors; `fields` gets a line for each value.
  ConfigReader(const Json& object, std::string place, std::vector<ConfigField>& fields, std::string prefix = "")
      : object_(object), place_(std::move(place)), fields_(fields), prefix_(std::move(prefix)) {
    check(object.is_object(), "config", place_, ": ",
          prefix_.empty() ? "the config" : prefix_.substr(0, prefix_.size() - 1), " is ", object.type_name(),
          ", expected an object");
  }

  /// An integer from `least` to 2^28, a number, a choice or a text. Throws Error for another type.
  void operator()(std::string_view name, int& value, int least = 1) { set(name, value, true, least); }
  void operator()(std::string_view name, double& value) { set(name, value, true); }
  void operator()(std::string_view name, bool& value) { set(name, value, true); }
  void operator()(std::string_view name, std::string& value) { set(name, value, true); }
  void operator()(std::string_view name, std::vector<int>& value) { set(name, value, true); }
  void operator()(std::string_view name, std::vector<std::array<int, 2>>& value) { set(name, value, true); }
  /// Another name of a value, which counts where it is given.
  template <class T>
  void also(std::string_view name, T& value) {
    set(name, value, false);
  }
  /// An object of values; a missing one leaves them all at their defaults.
  template <class Part>
  void part(std::string_view name, Part& part) {
    static const Json nothing{Json::Object{}};
    const Json* found = member(name);
    ConfigReader inside(found != nullptr ? *found : nothing, place_, fields_, prefix_ + std::string(name) + ".");
    part.each(inside);
  }

 private:
  const Json* member(std::string_view name) const {
    const Json* found = object_.find(name);
    return found == nullptr || found->is_null() ? nullptr : found;
  }
  [[noreturn]] void refuse(std::string_view name, const Json& found, std::string_view expected) const {
    fail("config", place_, ": ", prefix_, name, " is ", found.dump().substr(0, 60), ", expected ", expected);
  }

  int integer(std::string_view name, const Json& found, int least) const {
    constexpr int most = 1 << 28;
    const bool whole = found.is_number() && std::trunc(found.as_double()) == found.as_double();
    if (!whole || found.as_double() < least || found.as_double() > most)
      refuse(name, found, "an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return static_cast<int>(found.as_double());
  }
  template <class T>
  void set(std::string_view name, T& value, bool list, int least = 1) {
    const Json* found = member(name);
    if constexpr (std::is_same_v<T, int>) {
      if (found != nullptr) value = integer(name, *found, least);
    } else if constexpr (std::is_same_v<T, double>) {
      if (found != nullptr && !found->is_number()) refuse(name, *found, "a number");
      if (found != nullptr) value = found->as_double();
    } else if constexpr (std::is_same_v<T, bool>) {
      if (found != nullptr && !found->is_bool()) refuse(name, *found, "true or false");
      if (found != nullptr) value = found->as_bool();
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (found != nullptr && !found->is_string()) refuse(name, *found, "a string");
      if (found != nullptr) value = found->as_string();
    } else if (found != nullptr) {
      if (!found->is_array() || found->as_array().size() > 1024)
        refuse(name, *found, "an array of at most 1024 entries");
      value.clear();
      for (const Json& item : found->as_array()) {
        if constexpr (std::is_same_v<T, std::vector<int>>) {
          value.push_back(integer(name, item, 0));
        } else {
          if (!item.is_array() || item.as_array().size() != 2) refuse(name, item, "pairs of integers");
          value.push_back({integer(name, item.as_array()[0], 1), integer(name, item.as_array()[1], 1)});
        }
      }
    }
    if (list || found != nullptr) fields_.push_back({prefix_ + std::string(name), text(value), found != nullptr});
  }
  template <class T>
  static std::string text(const T& value) {
    return Json(value).dump();
  }
  static std::string text(const std::vector<int>& value) {
    return Json(Json::Array(value.begin(), value.end())).dump();
  }
  static std::string text(const std::vector<std::array<int, 2>>& value) {
    Json::Array pairs;
    for (const auto& [a, b] : value) pairs.push_back(Json(Json::Array{a, b}));
    return Json(std::move(pairs)).dump();
  }

  const Json& object_;
  std::string place_;
  std::vector<ConfigField>& fields_;
  std::string prefix_;
};

/// `rope_scaling`: "default", or "llama3" with its numbers; other types are left to whoever needs them to refuse.
struct HfRopeScaling {
  std::string rope_type = "default";
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int original_max_position_embeddings = 8192;

  template <class F>
  void each(F& f) {
    f("rope_type", rope_type);
    f.also("type", rope_type);
    f("factor", factor);
    f("low_freq_factor", low_freq_factor);
    f("high_freq_factor", high_freq_factor);
    f("original_max_position_embeddings", original_max_position_embeddings);
  }
};

struct HfLlama {
  static constexpr std::string_view name = "llama";
  int vocab_size = 32000, hidden_size = 4096, intermediate_size = 11008, num_hidden_layers = 32;
  int num_attention_heads = 32, num_key_value_heads = 0, head_dim = 0;  ///< 0: not given
  std::string hidden_act = "silu";
  int max_position_embeddings = 2048;
  double rms_norm_eps = 1e-6, rope_theta = 10000;
  HfRopeScaling rope_scaling;
  bool tie_word_embeddings = false, attention_bias = false, mlp_bias = false;

  template <class F>
  void each(F& f) {
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("num_key_value_heads", num_key_value_heads);
    f("head_dim", head_dim);
    f("hidden_act", hidden_act);
    f("max_position_embeddings", max_position_embeddings);
    f("rms_norm_eps", rms_norm_eps);
    f("rope_theta", rope_theta);
    f.part("rope_scaling", rope_scaling);
    f("tie_word_embeddings", tie_word_embeddings);
    f("attention_bias", attention_bias);
    f("mlp_bias", mlp_bias);
  }
};

struct HfMptAttention {
  double clip_qkv = 0, softmax_scale = 0;  ///< 0: none; 1 / sqrt(head)
  bool alibi = true, qk_ln = false, prefix_lm = false;
  int alibi_bias_max = 8;

  template <class F>
  void each(F& f) {
    f("clip_qkv", clip_qkv);
    f("softmax_scale", softmax_scale);
    f("alibi", alibi);
    f("alibi_bias_max", alibi_bias_max);
    f("qk_ln", qk_ln);
    f("prefix_lm", prefix_lm);
  }
};

/// MPT, and MosaicGPT before it (`mpt-1b-redpajama-200b`), whose attention fields stand outside and have other names.
struct HfMpt {
  static constexpr std::string_view name = "mpt";
  int d_model = 2048, n_heads = 16, n_layers = 24, expansion_ratio = 4, max_seq_len = 2048, vocab_size = 50368;
  double layer_norm_epsilon = 1e-5;
  HfMptAttention attn_config;
  bool no_bias = true, tie_word_embeddings = true;

  template <class F>
  void each(F& f) {
    f("d_model", d_model);
    f("n_heads", n_heads);
    f("n_layers", n_layers);
    f("expansion_ratio", expansion_ratio);
    f.also("mlp_ratio", expansion_ratio);
    f("max_seq_len", max_seq_len);
    f("vocab_size", vocab_size);
    f("layer_norm_epsilon", layer_norm_epsilon);
    f.part("attn_config", attn_config);
    f.also("attn_clip_qkv", attn_config.clip_qkv);
    f.also("softmax_scale", attn_config.softmax_scale);
    f.also("alibi", attn_config.alibi);
    f.also("alibi_bias_max", attn_config.alibi_bias_max);
    f.also("attn_qk_ln", attn_config.qk_ln);
    f("no_bias", no_bias);
    f("tie_word_embeddings", tie_word_embeddings);
  }
};

struct HfGptNeox {
  static constexpr std::string_view name = "gpt_neox";
  int vocab_size = 50432, hidden_size = 6144, num_hidden_layers = 44, num_attention_heads = 64;
  int intermediate_size = 24576;
  std::string hidden_act = "gelu";
  double rotary_pct = 0.25, rotary_emb_base = 10000;
  int max_position_embeddings = 2048;
  double layer_norm_eps = 1e-5;
  bool use_parallel_residual = true, attention_bias = true, tie_word_embeddings = false;

  template <class F>
  void each(F& f) {
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("intermediate_size", intermediate_size);
    f("hidden_act", hidden_act);
    f("rotary_pct", rotary_pct);
    f.also("partial_rotary_factor", rotary_pct);
    f("rotary_emb_base", rotary_emb_base);
    f.also("rope_theta", rotary_emb_base);
    f("max_position_embeddings", max_position_embeddings);
    f("layer_norm_eps", layer_norm_eps);
    f("use_parallel_residual", use_parallel_residual);
    f("attention_bias", attention_bias);
    f("tie_word_embeddings", tie_word_embeddings);
  }
};

struct HfClipText {
  int vocab_size = 49408, hidden_size = 512, intermediate_size = 2048, num_hidden_layers = 12, num_attention_heads = 8;
  int max_position_embeddings = 77;
  std::string hidden_act = "quick_gelu";
  double layer_norm_eps = 1e-5;
  int eos_token_id = 49407;

  template <class F>
  void each(F& f) {
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("max_position_embeddings", max_position_embeddings);
    f("hidden_act", hidden_act);
    f("layer_norm_eps", layer_norm_eps);
    f("eos_token_id", eos_token_id, 0);
  }
};

struct HfClipVision {
  int hidden_size = 768, intermediate_size = 3072, num_hidden_layers = 12, num_attention_heads = 12;
  int num_channels = 3, image_size = 224, patch_size = 32;
  std::string hidden_act = "quick_gelu";
  double layer_norm_eps = 1e-5;

  template <class F>
  void each(F& f) {
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("num_channels", num_channels);
    f("image_size", image_size);
    f("patch_size", patch_size);
    f("hidden_act", hidden_act);
    f("layer_norm_eps", layer_norm_eps);
  }
};

struct HfClip {
  static constexpr std::string_view name = "clip";
  HfClipText text_config;
  HfClipVision vision_config;
  int projection_dim = 512;

  template <class F>
  void each(F& f) {
    f.part("text_config", text_config);
    f.part("vision_config", vision_config);
    f("projection_dim", projection_dim);
  }
};

struct HfIdeficsVision {
  int embed_dim = 768, image_size = 224, intermediate_size = 5120, patch_size = 14, num_hidden_layers = 32;
  int num_attention_heads = 16, num_channels = 3;
  std::string hidden_act = "gelu";
  double layer_norm_eps = 1e-5;

  template <class F>
  void each(F& f) {
    f("embed_dim", embed_dim);
    f.also("hidden_size", embed_dim);
    f("image_size", image_size);
    f("intermediate_size", intermediate_size);
    f("patch_size", patch_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("num_channels", num_channels);
    f("hidden_act", hidden_act);
    f("layer_norm_eps", layer_norm_eps);
  }
};

struct HfIdeficsPerceiver {
  int resampler_n_latents = 64, resampler_depth = 6, resampler_n_heads = 16, resampler_head_dim = 96;
  bool qk_layer_norms_perceiver = false;

  template <class F>
  void each(F& f) {
    f("resampler_n_latents", resampler_n_latents);
    f("resampler_depth", resampler_depth);
    f("resampler_n_heads", resampler_n_heads);
    f("resampler_head_dim", resampler_head_dim);
    f("qk_layer_norms_perceiver", qk_layer_norms_perceiver);
  }
};

struct HfIdefics {
  static constexpr std::string_view name = "idefics";
  int vocab_size = 32000, additional_vocab_size = 0, hidden_size = 4096, intermediate_size = 11008;
  int num_hidden_layers = 32, num_attention_heads = 32;
  std::string hidden_act = "silu", alpha_type = "float";
  double rms_norm_eps = 1e-6;
  int eos_token_id = 2, pad_token_id = 0, cross_layer_interval = 1;
  bool tie_word_embeddings = false, qk_layer_norms = false, use_resampler = false;
  HfIdeficsVision vision_config;
  HfIdeficsPerceiver perceiver_config;

  template <class F>
  void each(F& f) {
    f("vocab_size", vocab_size);
    f("additional_vocab_size", additional_vocab_size, 0);
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("hidden_act", hidden_act);
    f("alpha_type", alpha_type);
    f("rms_norm_eps", rms_norm_eps);
    f("eos_token_id", eos_token_id, 0);
    f("pad_token_id", pad_token_id, 0);
    f("cross_layer_interval", cross_layer_interval);
    f("tie_word_embeddings", tie_word_embeddings);
    f("qk_layer_norms", qk_layer_norms);
    f("use_resampler", use_resampler);
    f.part("vision_config", vision_config);
    f.part("perceiver_config", perceiver_config);
  }
};

struct HfMllamaText {
  int vocab_size = 128256, hidden_size = 4096, intermediate_size = 14336, num_hidden_layers = 40;
  int num_attention_heads = 32, num_key_value_heads = 8;
  std::string hidden_act = "silu";
  double rope_theta = 500000, rms_norm_eps = 1e-5;
  HfRopeScaling rope_scaling;
  int max_position_embeddings = 131072;
  bool tie_word_embeddings = false;
  std::vector<int> cross_attention_layers{3, 8, 13, 18, 23, 28, 33, 38};

  template <class F>
  void each(F& f) {
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("num_key_value_heads", num_key_value_heads);
    f("hidden_act", hidden_act);
    f("rope_theta", rope_theta);
    f("rms_norm_eps", rms_norm_eps);
    f.part("rope_scaling", rope_scaling);
    f("max_position_embeddings", max_position_embeddings);
    f("tie_word_embeddings", tie_word_embeddings);
    f("cross_attention_layers", cross_attention_layers);
  }
};

struct HfMllamaVision {
  int hidden_size = 1280, intermediate_size = 5120, num_hidden_layers = 32, num_global_layers = 8;
  int attention_heads = 16, num_channels = 3, vision_output_dim = 7680, image_size = 448, patch_size = 14;
  int max_num_tiles = 4;
  std::string hidden_act = "gelu";
  double norm_eps = 1e-5;
  std::vector<int> intermediate_layers_indices{3, 7, 15, 23, 30};
  std::vector<std::array<int, 2>> supported_aspect_ratios{{1, 1}, {1, 2}, {1, 3}, {1, 4},
                                                          {2, 1}, {2, 2}, {3, 1}, {4, 1}};  ///< {height, width}

  template <class F>
  void each(F& f) {
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_global_layers", num_global_layers);
    f("attention_heads", attention_heads);
    f.also("num_attention_heads", attention_heads);
    f("num_channels", num_channels);
    f("vision_output_dim", vision_output_dim);
    f("image_size", image_size);
    f("patch_size", patch_size);
    f("max_num_tiles", max_num_tiles);
    f("hidden_act", hidden_act);
    f("norm_eps", norm_eps);
    f("intermediate_layers_indices", intermediate_layers_indices);
    f("supported_aspect_ratios", supported_aspect_ratios);
  }
};

struct HfMllama {
  static constexpr std::string_view name = "mllama";
  HfMllamaText text_config;
  HfMllamaVision vision_config;
  int image_token_index = 128256;

  template <class F>
  void each(F& f) {
    f.part("text_config", text_config);
    f.part("vision_config", vision_config);
    f("image_token_index", image_token_index, 0);
  }
};

/// A config.json of a family that is known.
struct HfConfig {
  std::string path;
  std::variant<HfLlama, HfMpt, HfGptNeox, HfClip, HfIdefics, HfMllama> model;
  std::vector<ConfigField> fields;  ///< every value that was read or assumed, in the order of the structs

  std::string_view family() const {
    return std::visit([](const auto& of) { return of.name; }, model);
  }
};

/// Reads the fields of one family, whatever `model_type` says. Throws Error with `path`, the field and what is wrong.
template <class Model>
HfConfig read_hf_config_as(const Json& json, std::string path) {
  HfConfig config;
  config.path = path;
  config.model.template emplace<Model>();
  ConfigReader reader(json, std::move(path), config.fields);
  std::get<Model>(config.model).each(reader);
  return config;
}

/// Tells the family by `model_type`, or else by `architectures`, and reads its fields.
inline HfConfig read_hf_config(const Json& json, const std::string& path) {
  check(json.is_object(), "config", path, ": the config is ", json.type_name(), ", expected an object");
  std::string type;
  if (const Json* found = json.find("model_type"); found != nullptr && found->is_string()) type = found->as_string();
  const Json* names = json.find("architectures");
  if (type.empty() && names != nullptr && names->is_array() && names->as_array().size() == 1 &&
      names->as_array()[0].is_string())
    type = names->as_array()[0].as_string();
  const auto is = [&](std::string_view name, std::string_view architecture) {
    return type == name || type.starts_with(architecture);
  };
  if (is("llama", "Llama")) return read_hf_config_as<HfLlama>(json, path);
  if (is("mpt", "MPTFor") || is("mosaic_gpt", "MosaicGPT") || type.starts_with("MptFor"))
    return read_hf_config_as<HfMpt>(json, path);
  if (is("gpt_neox", "GPTNeoX")) return read_hf_config_as<HfGptNeox>(json, path);
  if (is("clip", "CLIPModel")) return read_hf_config_as<HfClip>(json, path);
  if (is("idefics", "IdeficsFor")) return read_hf_config_as<HfIdefics>(json, path);
  if (is("mllama", "MllamaFor")) return read_hf_config_as<HfMllama>(json, path);
  fail("config", path, ": ", type.empty() ? "neither model_type nor architectures tells the family" : "the family is '",
       type.substr(0, 100), type.empty() ? "" : "'",
       ", expected llama, mpt, mosaic_gpt, gpt_neox, clip, idefics or mllama");
}

/// Reads config.json of a folder, or a file of that kind.
inline HfConfig read_hf_config(const std::filesystem::path& path) {
  const std::filesystem::path file = std::filesystem::is_directory(path) ? path / "config.json" : path;
  const MappedFile text(file);
  return read_hf_config(
      Json::parse(text.text(), file.string(), {.bytes = std::size_t{1} << 24, .depth = 16, .values = 1u << 18}),
      file.string());
}

}  // namespace flamingo::io
