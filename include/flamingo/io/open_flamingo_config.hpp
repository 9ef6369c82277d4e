/// What an OpenFlamingo folder says about its model: `open_flamingo.json`, the config of `lm/`, and the tensors.
///
/// open_flamingo itself keeps these numbers in its code and in the arguments of its loader. Fields have the names that
/// they have there, and its defaults; open_flamingo.json, which may be missing, holds what differs.
#pragma once
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/io/checkpoint.hpp>
#include <flamingo/io/hf_config.hpp>

namespace flamingo::io {

/// open_clip's vision tower; the defaults are OpenAI's ViT-L/14.
struct OpenClipVision {
  int image_size = 224, patch_size = 14, width = 1024, layers = 24, head_width = 64;
  double mlp_ratio = 4;
  bool quick_gelu = true;

  template <class F>
  void each(F& f) {
    f("image_size", image_size);
    f("patch_size", patch_size);
    f("width", width);
    f("layers", layers);
    f("head_width", head_width);
    f("mlp_ratio", mlp_ratio);
    f("quick_gelu", quick_gelu);
  }
};

struct OpenFlamingoPerceiver {
  int depth = 6, dim_head = 64, heads = 8, num_latents = 64, ff_mult = 4;
  int max_num_media = 0, max_num_frames = 0;  ///< 0: no embeddings of them

  template <class F>
  void each(F& f) {
    f("depth", depth);
    f("dim_head", dim_head);
    f("heads", heads);
    f("num_latents", num_latents);
    f("max_num_media", max_num_media, 0);
    f("max_num_frames", max_num_frames, 0);
    f("ff_mult", ff_mult);
  }
};

struct OpenFlamingoAttention {
  int dim_head = 64, heads = 8, ff_mult = 4;
  bool only_attend_immediate_media = true;

  template <class F>
  void each(F& f) {
    f("dim_head", dim_head);
    f("heads", heads);
    f("ff_mult", ff_mult);
    f("only_attend_immediate_media", only_attend_immediate_media);
  }
};

struct OpenFlamingoFields {
  int cross_attn_every_n_layers = 0;  ///< 0: as the checkpoint's tensors tell
  int vocab_size = 0;                 ///< rows of the embedding, added tokens included; 0: as the tensors tell
  int added_tokens = 3;               ///< of those rows: <|endofchunk|>, <image> and <PAD>
  OpenClipVision vision;
  OpenFlamingoPerceiver perceiver;
  OpenFlamingoAttention cross_attention;

  template <class F>
  void each(F& f) {
    f("cross_attn_every_n_layers", cross_attn_every_n_layers);
    f("vocab_size", vocab_size);
    f("added_tokens", added_tokens, 0);
    f.part("vision", vision);
    f.part("perceiver", perceiver);
    f.part("cross_attention", cross_attention);
  }
};

struct OpenFlamingoConfig {
  OpenFlamingoFields model;
  HfConfig lm;
  std::vector<ConfigField> fields;
};

namespace detail {

/// Fills in what the names and shapes of open_flamingo's tensors tell.
inline void ask_tensors(OpenFlamingoFields& fields, const Checkpoint& checkpoint) {
  constexpr std::string_view gate = ".gated_cross_attn_layer.attn_gate";
  int first = -1;
  for (const TensorView& tensor : checkpoint.tensors()) {
    const std::string_view name = tensor.name;
    if ((name.ends_with(".wte.weight") || name.ends_with(".embed_in.weight") ||
         name.ends_with(".embed_tokens.weight")) &&
        fields.vocab_size == 0 && tensor.shape.size() == 2 && tensor.shape[0] < (1 << 28))
      fields.vocab_size = static_cast<int>(tensor.shape[0]);
    if (!name.ends_with(gate)) continue;
    const std::string_view block = name.substr(0, name.size() - gate.size());
    const std::string_view digits = block.substr(block.rfind('.') + 1);
    int i = -1;
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), i);
    if (wrong != std::errc{} || end != digits.data() + digits.size() || i < 0 || i >= (1 << 28)) continue;
    if (first < 0 || i < first) first = i;
  }
  // Gated blocks stand before blocks n - 1, 2 n - 1, ...
  if (fields.cross_attn_every_n_layers == 0) fields.cross_attn_every_n_layers = first + 1;
}

}  // namespace detail

/// Reads a folder that is_open_flamingo(). Throws Error with the file and what is wrong or missing.
inline OpenFlamingoConfig read_open_flamingo_config(const std::filesystem::path& folder) {
  OpenFlamingoConfig config{.model = {}, .lm = read_hf_config(folder / "lm"), .fields = {}};
  const std::filesystem::path path = folder / "open_flamingo.json";
  const bool given = std::filesystem::exists(path);
  const Json json =
      given ? Json::parse(MappedFile(path).text(), path.string(), {.bytes = 1u << 20, .depth = 16, .values = 1u << 16})
            : Json(Json::Object{});
  ConfigReader reader(json, path.string(), config.fields);
  config.model.each(reader);
  if (config.model.cross_attn_every_n_layers == 0 || config.model.vocab_size == 0) {
    detail::ask_tensors(config.model, open_checkpoint(folder));
    for (ConfigField& field : config.fields) {
      if (field.name == "cross_attn_every_n_layers")
        field.value = std::to_string(config.model.cross_attn_every_n_layers);
      if (field.name == "vocab_size") field.value = std::to_string(config.model.vocab_size);
    }
  }
  check(config.model.cross_attn_every_n_layers > 0, "config", folder.string(),
        ": no tensor '...gated_cross_attn_layer.attn_gate' tells where the gated blocks stand");
  check(config.model.vocab_size > config.model.added_tokens, "config", folder.string(), ": the embedding has ",
        config.model.vocab_size, " rows, expected more than the ", config.model.added_tokens, " added tokens");
  for (const ConfigField& field : config.lm.fields)
    config.fields.push_back({"lm." + field.name, field.value, field.given});
  return config;
}

}  // namespace flamingo::io
