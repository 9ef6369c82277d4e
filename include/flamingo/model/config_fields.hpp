/// The fields of configs by name: to print a config as C++ and to compare two of them side by side.
#pragma once
#include <array>
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/config/clip.hpp>
#include <flamingo/config/contrastive.hpp>
#include <flamingo/config/decoder.hpp>
#include <flamingo/config/flamingo.hpp>
#include <flamingo/config/nfnet.hpp>
#include <flamingo/config/vision.hpp>
#include <flamingo/core/check.hpp>

namespace flamingo {

/// Calls f("dim", c.dim) for each field, in the order of the struct. A test counts that none is left out.
template <class F>
constexpr void each_field(const RotaryScaling& c, F&& f) {
  f("factor", c.factor);
  f("low", c.low);
  f("high", c.high);
  f("context", c.context);
}
template <class F>
constexpr void each_field(const Llama& c, F&& f) {
  f("dim", c.dim);
  f("layers", c.layers);
  f("heads", c.heads);
  f("kv_heads", c.kv_heads);
  f("head_dim", c.head_dim);
  f("hidden", c.hidden);
  f("vocabulary", c.vocabulary);
  f("added", c.added);
  f("added_output", c.added_output);
  f("context", c.context);
  f("rotary_base", c.rotary_base);
  f("rotary_pairs", c.rotary_pairs);
  f("rotary_scaling", c.rotary_scaling);
  f("epsilon", c.epsilon);
  f("tied", c.tied);
  f("split", c.split);
}
template <class F>
constexpr void each_field(const Mpt& c, F&& f) {
  f("dim", c.dim);
  f("layers", c.layers);
  f("heads", c.heads);
  f("hidden", c.hidden);
  f("vocabulary", c.vocabulary);
  f("added", c.added);
  f("context", c.context);
  f("alibi", c.alibi);
  f("clamp", c.clamp);
  f("qk_norm", c.qk_norm);
  f("epsilon", c.epsilon);
  f("tied", c.tied);
}
template <class F>
constexpr void each_field(const GptNeox& c, F&& f) {
  f("dim", c.dim);
  f("layers", c.layers);
  f("heads", c.heads);
  f("hidden", c.hidden);
  f("vocabulary", c.vocabulary);
  f("added", c.added);
  f("context", c.context);
  f("rotary_share", c.rotary_share);
  f("rotary_base", c.rotary_base);
  f("parallel", c.parallel);
  f("activation", c.activation);
  f("epsilon", c.epsilon);
  f("tied", c.tied);
  f("split", c.split);
}
template <class F>
constexpr void each_field(const Chinchilla& c, F&& f) {
  f("dim", c.dim);
  f("layers", c.layers);
  f("heads", c.heads);
  f("head_dim", c.head_dim);
  f("hidden", c.hidden);
  f("vocabulary", c.vocabulary);
  f("added", c.added);
  f("context", c.context);
  f("activation", c.activation);
  f("bias", c.bias);
  f("norm_bias", c.norm_bias);
  f("epsilon", c.epsilon);
  f("tied", c.tied);
  f("split", c.split);
}
template <class F>
constexpr void each_field(const Vit& c, F&& f) {
  f("image", c.image);
  f("patch", c.patch);
  f("dim", c.dim);
  f("layers", c.layers);
  f("heads", c.heads);
  f("hidden", c.hidden);
  f("activation", c.activation);
  f("patch_bias", c.patch_bias);
  f("class_token", c.class_token);
  f("pre_norm", c.pre_norm);
  f("post_norm", c.post_norm);
  f("class_out", c.class_out);
  f("other_sizes", c.other_sizes);
  f("epsilon", c.epsilon);
}
template <class F>
constexpr void each_field(const ClipText& c, F&& f) {
  f("context", c.context);
  f("vocabulary", c.vocabulary);
  f("dim", c.dim);
  f("layers", c.layers);
  f("heads", c.heads);
  f("hidden", c.hidden);
  f("activation", c.activation);
  f("pooling", c.pooling);
  f("end", c.end);
  f("epsilon", c.epsilon);
}
template <class F>
constexpr void each_field(const ClipConfig& c, F&& f) {
  f("vision", c.vision);
  f("text", c.text);
  f("projection", c.projection);
  f("first_log_scale", c.first_log_scale);
}
template <class F>
constexpr void each_field(const BertText& c, F&& f) {
  f("context", c.context);
  f("vocabulary", c.vocabulary);
  f("segments", c.segments);
  f("dim", c.dim);
  f("layers", c.layers);
  f("heads", c.heads);
  f("hidden", c.hidden);
  f("activation", c.activation);
  f("epsilon", c.epsilon);
}
template <class Vision, class F>
constexpr void each_field(const ContrastiveConfig<Vision>& c, F&& f) {
  f("vision", c.vision);
  f("text", c.text);
  f("projection", c.projection);
  f("first_log_scale", c.first_log_scale);
  f("smoothing", c.smoothing);
}
template <class F>
constexpr void each_field(const MllamaVision& c, F&& f) {
  f("image", c.image);
  f("patch", c.patch);
  f("tiles", c.tiles);
  f("ratios", c.ratios);
  f("dim", c.dim);
  f("layers", c.layers);
  f("global_layers", c.global_layers);
  f("heads", c.heads);
  f("hidden", c.hidden);
  f("intermediate", c.intermediate);
  f("activation", c.activation);
  f("epsilon", c.epsilon);
}
template <class F>
constexpr void each_field(const NfNet& c, F&& f) {
  f("image", c.image);
  f("depths", c.depths);
  f("widths", c.widths);
  f("strides", c.strides);
  f("stem", c.stem);
  f("bottleneck", c.bottleneck);
  f("group", c.group);
  f("width_multiple", c.width_multiple);
  f("squeeze", c.squeeze);
  f("squeeze_multiple", c.squeeze_multiple);
  f("squeeze_gain", c.squeeze_gain);
  f("alpha", c.alpha);
  f("activation", c.activation);
  f("gamma_in_weights", c.gamma_in_weights);
  f("variance", c.variance);
  f("epsilon", c.epsilon);
  f("head", c.head);
  f("features", c.features);
  f("classes", c.classes);
  f("stochastic_depth", c.stochastic_depth);
  f("dropout", c.dropout);
  f("folded", c.folded);
}
template <class F>
constexpr void each_field(const ResamplerConfig& c, F&& f) {
  f("kind", c.kind);
  f("vision_dim", c.vision_dim);
  f("norm_input", c.norm_input);
  f("dim", c.dim);
  f("latents", c.latents);
  f("layers", c.layers);
  f("project", c.project);
  f("heads", c.heads);
  f("head_dim", c.head_dim);
  f("qk_norm", c.qk_norm);
  f("widening", c.widening);
  f("activation", c.activation);
  f("frames", c.frames);
  f("time_ends", c.time_ends);
  f("media", c.media);
  f("final_norm", c.final_norm);
  f("out_dim", c.out_dim);
  f("epsilon", c.epsilon);
}
template <class F>
constexpr void each_field(const XattnConfig& c, F&& f) {
  f("conditioning", c.conditioning);
  f("gate", c.gate);
  f("grafted", c.grafted);
  f("every", c.every);
  f("offset", c.offset);
  f("places", c.places);
  f("heads", c.heads);
  f("kv_heads", c.kv_heads);
  f("head_dim", c.head_dim);
  f("qk_norm", c.qk_norm);
  f("widening", c.widening);
  f("hidden", c.hidden);
  f("activation", c.activation);
  f("gated_dense", c.gated_dense);
  f("norm", c.norm);
  f("norm_media", c.norm_media);
  f("vector_gates", c.vector_gates);
  f("visibility", c.visibility);
  f("before_first", c.before_first);
  f("beyond_last", c.beyond_last);
  f("end_of_document", c.end_of_document);
  f("mask_dense", c.mask_dense);
  f("epsilon", c.epsilon);
  f("split", c.split);
}
template <class Vision, class Lm, class F>
constexpr void each_field(const FlamingoConfig<Vision, Lm>& c, F&& f) {
  f("vision", c.vision);
  f("resampler", c.resampler);
  f("xattn", c.xattn);
  f("lm", c.lm);
}

/// What C++ calls a config's type.
constexpr std::string_view config_type(const Llama&) { return "flamingo::Llama"; }
constexpr std::string_view config_type(const Mpt&) { return "flamingo::Mpt"; }
constexpr std::string_view config_type(const GptNeox&) { return "flamingo::GptNeox"; }
constexpr std::string_view config_type(const Chinchilla&) { return "flamingo::Chinchilla"; }
constexpr std::string_view config_type(const Vit&) { return "flamingo::Vit"; }
constexpr std::string_view config_type(const ClipConfig&) { return "flamingo::ClipConfig"; }
constexpr std::string_view config_type(const NfNet&) { return "flamingo::NfNet"; }
constexpr std::string_view config_type(const MllamaVision&) { return "flamingo::MllamaVision"; }
template <class Vision, class Lm>
std::string config_type(const FlamingoConfig<Vision, Lm>& c) {
  return "flamingo::FlamingoConfig<" + std::string(config_type(c.vision)) + ", " + std::string(config_type(c.lm)) + ">";
}

namespace detail {

template <class Enum, std::size_t N>
std::string choice(std::string_view type, const std::array<std::string_view, N>& names, Enum value) {
  const auto i = static_cast<std::size_t>(value);
  check(i < N, "config", type, " has no choice ", i);
  return "flamingo::" + std::string(type) + "::" + std::string(names[i]);
}
template <class Number>
std::string number_text(Number value) {
  std::array<char, 32> digits{};
  if (value < 1e9 && value > -1e9 && value == static_cast<Number>(static_cast<long>(value)))
    return std::to_string(static_cast<long>(value));
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

}  // namespace detail

/// A value as C++ writes it.
inline std::string field_text(int value) { return std::to_string(value); }
inline std::string field_text(bool value) { return value ? "true" : "false"; }
inline std::string field_text(double value) { return detail::number_text(value); }
inline std::string field_text(float value) {
  const std::string digits = detail::number_text(value);
  return digits + (digits.find_first_of(".e") == digits.npos ? ".f" : "f");
}
inline std::string field_text(Activation value) {
  return detail::choice("Activation",
                        std::array<std::string_view, 8>{"identity", "gelu", "gelu_tanh", "quick_gelu", "silu", "relu",
                                                        "relu6", "squared_relu"},
                        value);
}
inline std::string field_text(OtherSizes value) {
  return detail::choice("OtherSizes", std::array<std::string_view, 3>{"refused", "bicubic", "antialias"}, value);
}
inline std::string field_text(TextPooling value) {
  return detail::choice("TextPooling", std::array<std::string_view, 2>{"highest_id", "first_end"}, value);
}
inline std::string field_text(NormKind value) {
  return detail::choice("NormKind", std::array<std::string_view, 4>{"layer", "layer_unbiased", "rms", "rms_biased"},
                        value);
}
inline std::string field_text(WeightVariance value) {
  return detail::choice("WeightVariance", std::array<std::string_view, 2>{"floor", "added"}, value);
}
inline std::string field_text(NfNetFeatures value) {
  return detail::choice("NfNetFeatures", std::array<std::string_view, 2>{"stages", "head"}, value);
}
template <std::size_t N>
std::string field_text(const std::array<int, N>& numbers) {
  std::string text;
  for (const int n : numbers) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return "{" + text + "}";
}
inline std::string field_text(TimeEnds value) {
  return detail::choice("TimeEnds", std::array<std::string_view, 2>{"meet", "halves"}, value);
}
inline std::string field_text(QkNorm value) {
  return detail::choice("QkNorm", std::array<std::string_view, 4>{"none", "heads_rms", "heads_layer", "rows_layer"},
                        value);
}
inline std::string field_text(RotaryPairs value) {
  return detail::choice("RotaryPairs", std::array<std::string_view, 2>{"halves", "adjacent"}, value);
}
inline std::string field_text(Conditioning value) {
  return detail::choice("Conditioning",
                        std::array<std::string_view, 3>{"gated_xattn_dense", "vanilla_xattn", "grafting"}, value);
}
inline std::string field_text(Gate value) {
  return detail::choice("Gate", std::array<std::string_view, 2>{"tanh", "none"}, value);
}
inline std::string field_text(ResamplerKind value) {
  return detail::choice("ResamplerKind", std::array<std::string_view, 3>{"perceiver", "transformer", "mlp"}, value);
}
inline std::string field_text(Visibility value) {
  return detail::choice("Visibility", std::array<std::string_view, 3>{"last_image", "all_earlier", "last_run"}, value);
}
inline std::string field_text(NoImage value) {
  return detail::choice("NoImage", std::array<std::string_view, 3>{"zero", "uniform", "unmasked"}, value);
}
inline std::string field_text(const Places& places) {
  std::string numbers;
  for (int i = 0; i < 128; ++i)
    if (places.has(i)) numbers += (numbers.empty() ? "" : ", ") + std::to_string(i);
  return numbers.empty() ? "{}" : "flamingo::Places::of({" + numbers + "})";
}
inline std::string field_text(const LayerList& layers) {
  std::string numbers;
  for (int i = 0; i < layers.count; ++i) numbers += (i ? ", " : "") + std::to_string(layers[i]);
  return numbers.empty() ? "{}" : "flamingo::LayerList::of({" + numbers + "})";
}

namespace detail {
struct AnyField {  // nvcc knows no lambda in a requirement
  constexpr void operator()(std::string_view, const auto&) const {}
};
}  // namespace detail

/// Whether T is a config, whose fields each_field() lists.
template <class T>
concept Config = requires(const T& c) { each_field(c, detail::AnyField{}); };

/// A config as C++ writes it, "{.dim = 32, .layers = 3}": the fields that differ from those of T{}.
template <Config T>
std::string field_text(const T& config) {
  std::vector<std::string> defaults;
  each_field(T{}, [&](std::string_view, const auto& value) { defaults.push_back(field_text(value)); });
  std::string text;
  std::size_t i = 0;
  each_field(config, [&](std::string_view name, const auto& value) {
    const std::string ours = field_text(value);
    if (ours != defaults[i++]) text += (text.empty() ? "." : ", .") + std::string(name) + " = " + ours;
  });
  return "{" + text + "}";
}

/// The same config with the numbers in it that a 0 stands for, so that two ways of saying one thing are equal.
template <class T>
constexpr T resolved(T c) {
  if constexpr (requires { c.hidden_size(); }) c.hidden = c.hidden_size();
  if constexpr (requires {
                  c.head_size();
                  c.head_dim;
                })
    c.head_dim = c.head_size();
  if constexpr (requires { c.key_heads(); }) c.kv_heads = c.key_heads();
  return c;
}
/// Without layers a Resampler's other fields say nothing.
constexpr ResamplerConfig resolved(ResamplerConfig c) {
  c.vision_dim = c.features();
  c.out_dim = c.out();
  if (c.layers > 0) return c;
  return {.vision_dim = c.vision_dim,
          .dim = c.dim,
          .latents = c.latents,
          .layers = 0,
          .project = c.project,
          .out_dim = c.out_dim};
}
/// What a dual encoder does not ask is as in Vit{}, and its pooling tells whether there is an end token.
constexpr ClipConfig resolved(ClipConfig c) {
  c.vision = resolved(c.vision);
  c.vision.class_out = c.vision.post_norm = false;
  c.text = resolved(c.text);
  if (c.text.pooling == TextPooling::highest_id) c.text.end = ClipText{}.end;
  c.first_log_scale = ClipConfig{}.first_log_scale;
  return c;
}
template <class Vision, class Lm>
constexpr FlamingoConfig<Vision, Lm> resolved(FlamingoConfig<Vision, Lm> c) {
  c.xattn = resolved(c.xattn);
  if (c.xattn.hidden == 0) c.xattn.hidden = c.xattn.widening * c.lm.dim;
  c.xattn.widening = 0;                                                         // it is in `hidden` now
  if constexpr (requires { c.vision.other_sizes; }) c.vision.other_sizes = {};  // no file says
  return {resolved(c.vision), resolved(c.resampler), c.xattn, resolved(c.lm)};
}

/// A field that two configs do not agree on.
struct FieldDifference {
  std::string field, compiled, found;
};

namespace detail {
template <class T>
void field_lines(const T& config, const std::string& prefix, std::vector<std::pair<std::string, std::string>>& lines) {
  each_field(config, [&](std::string_view name, const auto& value) {
    const std::string full = prefix + std::string(name);
    if constexpr (Config<std::remove_cvref_t<decltype(value)>>)
      field_lines(value, full + ".", lines);
    else
      lines.emplace_back(full, field_text(value));
  });
}
}  // namespace detail

template <Config T>
std::vector<FieldDifference> differences(const T& compiled, const T& found) {
  std::vector<std::pair<std::string, std::string>> a, b;
  detail::field_lines(resolved(compiled), "", a);
  detail::field_lines(resolved(found), "", b);
  std::vector<FieldDifference> all;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].second != b[i].second) all.push_back({a[i].first, a[i].second, b[i].second});
  return all;
}

/// Throws Error where they differ: each differing field, side by side. `path` names the checkpoint.
template <Config T>
void check_config(const T& compiled, const T& found, std::string_view path) {
  std::string text;
  for (const FieldDifference& d : differences(compiled, found))
    text += "\n  " + d.field + ": compiled " + d.compiled + ", the checkpoint has " + d.found;
  check(text.empty(), "load", path, " contradicts the compiled config:", text);
}

}  // namespace flamingo
