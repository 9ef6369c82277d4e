/// What other programs call the tensors of an NFNet: timm (dm_nfnet_f0 .. f6) and DeepMind's haiku code.
#pragma once
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/config/nfnet.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {
namespace detail {

/// A block's convolutions: ours, timm's, DeepMind's; and the channels that a filter of each sees.
struct NfNetConvolutionName {
  const char *ours, *timm, *haiku;
  int channels;
};
inline std::vector<NfNetConvolutionName> convolution_names(const NfNetBlock& b) {
  const int group = b.middle / b.groups;
  std::vector<NfNetConvolutionName> names{{"reduce", "conv1", "conv0", b.in},
                                          {"spatial", "conv2", "conv1", group},
                                          {"spatial_again", "conv2b", "conv1b", group},
                                          {"expand", "conv3", "conv2", b.middle}};
  if (b.transition()) names.push_back({"shortcut", "downsample.conv", "conv_shortcut", b.in});
  return names;
}

/// Calls f(stage, block) for each.
template <class F>
void each_block(const NfNet& c, const F& f) {
  for (int s = 0; s < NfNet::stages; ++s)
    for (int i = 0; i < c.depths[static_cast<std::size_t>(s)]; ++i) f(s, i);
}
inline std::string block_name(int stage, int block) {
  return "stages." + std::to_string(stage) + "." + std::to_string(block) + ".";
}
/// Channels that enter convolution i of the stem.
inline int stem_channels(const NfNet& c, int i) { return i ? c.stem >> (4 - i) : 3; }

inline void add_timm_convolution(std::vector<TensorRule>& rules, const std::string& ours, const std::string& theirs,
                                 int channels) {
  rules.push_back(
      {.ours = ours + ".weight", .theirs = theirs + ".weight", .layout = Layout::channels_first, .channels = channels});
  rules.push_back({.ours = ours + ".gain", .theirs = theirs + ".gain", .layout = Layout::filters});
  rules.push_back({.ours = ours + ".bias", .theirs = theirs + ".bias"});
}
inline void add_haiku_convolution(std::vector<TensorRule>& rules, const std::string& ours, const std::string& theirs,
                                  int channels) {
  rules.push_back(
      {.ours = ours + ".weight", .theirs = theirs + "/w", .layout = Layout::filters_last, .channels = channels});
  rules.push_back({.ours = ours + ".gain", .theirs = theirs + "/gain"});
  rules.push_back({.ours = ours + ".bias", .theirs = theirs + "/bias"});
}
/// A dense product's weight (I, O) and bias.
inline void add_haiku_linear(std::vector<TensorRule>& rules, const std::string& ours, const std::string& theirs) {
  rules.push_back({.ours = ours, .theirs = theirs + "/w", .layout = Layout::transposed});
  rules.push_back({.ours = ours + "_bias", .theirs = theirs + "/b"});
}

}  // namespace detail

/// timm's names. Squeeze and excitation are 1 x 1 convolutions there. A classifier that a config has none of is left
/// out.
inline TensorTable timm_nfnet_names(const NfNet& c) {
  std::vector<TensorRule> rules;
  for (int i = 0; i < 4; ++i)
    detail::add_timm_convolution(rules, "stem." + std::to_string(i), "stem.conv" + std::to_string(i + 1),
                                 detail::stem_channels(c, i));
  detail::each_block(c, [&](int s, int i) {
    const NfNetBlock b = c.block(s, i == 0);
    const std::string name = detail::block_name(s, i);
    for (const auto& [ours, theirs, haiku, channels] : detail::convolution_names(b))
      detail::add_timm_convolution(rules, name + ours, name + theirs, channels);
    const auto product = [&](const char* ours, const char* theirs, int channels) {
      rules.push_back({.ours = name + ours,
                       .theirs = name + "attn_last." + theirs + ".weight",
                       .layout = Layout::channels_first,
                       .channels = channels});
      rules.push_back({.ours = name + ours + "_bias", .theirs = name + "attn_last." + theirs + ".bias"});
    };
    product("squeeze", "fc1", b.out);
    product("excite", "fc2", b.squeeze);
    rules.push_back({.ours = name + "skip_gain", .theirs = name + "skipinit_gain"});
  });
  detail::add_timm_convolution(rules, "head", "final_conv", c.widths.back());
  rules.push_back({.ours = "classifier", .theirs = "head.fc.weight"});
  rules.push_back({.ours = "classifier_bias", .theirs = "head.fc.bias"});
  std::vector<std::string> ignored;
  if (c.classes == 0) ignored = {"head.fc.weight", "head.fc.bias"};
  return {std::move(rules), std::move(ignored)};
}

/// DeepMind's names, below `scope`, as haiku makes them of its modules: blocks are numbered through all stages, the
/// first without a number. A convolution's kernel is (height, width, channels, O).
inline TensorTable haiku_nfnet_names(const NfNet& c, const std::string& scope = "NFNet/~/") {
  std::vector<TensorRule> rules;
  for (int i = 0; i < 4; ++i)
    detail::add_haiku_convolution(rules, "stem." + std::to_string(i), scope + "stem_conv" + std::to_string(i),
                                  detail::stem_channels(c, i));
  int number = 0;
  detail::each_block(c, [&](int s, int i) {
    const std::string ours = detail::block_name(s, i),
                      theirs = scope + "nf_block" + (number ? "_" + std::to_string(number) : "");
    for (const auto& [name, timm, haiku, channels] : detail::convolution_names(c.block(s, i == 0)))
      detail::add_haiku_convolution(rules, ours + name, theirs + "/~/" + haiku, channels);
    detail::add_haiku_linear(rules, ours + "squeeze", theirs + "/~/squeeze_excite/~/linear");
    detail::add_haiku_linear(rules, ours + "excite", theirs + "/~/squeeze_excite/~/linear_1");
    rules.push_back({.ours = ours + "skip_gain", .theirs = theirs + "/skip_gain"});
    ++number;
  });
  detail::add_haiku_convolution(rules, "head", scope + "final_conv", c.widths.back());
  detail::add_haiku_linear(rules, "classifier", scope + "linear");
  std::vector<std::string> ignored;
  if (c.classes == 0) ignored = {scope + "linear/w", scope + "linear/b"};
  return {std::move(rules), std::move(ignored)};
}

}  // namespace flamingo
