/// How many numbers the parts of a model have, from configs at run time: what parameter_count<Layer>() tells of a
/// compiled one. It is what is known of a checkpoint before anything is compiled for it.
#pragma once
#include <cstdint>

#include <flamingo/config/clip.hpp>
#include <flamingo/config/decoder.hpp>
#include <flamingo/config/flamingo.hpp>
#include <flamingo/config/nfnet.hpp>
#include <flamingo/config/vision.hpp>

namespace flamingo {

namespace detail {

constexpr std::int64_t norm_count(NormKind kind, std::int64_t dim) {
  return kind == NormKind::layer || kind == NormKind::rms_biased ? 2 * dim : dim;
}

/// Attention from rows of `dim` to rows of `source`: H query heads and G key heads of K features.
constexpr std::int64_t attention_count(std::int64_t dim, std::int64_t source, std::int64_t H, std::int64_t G,
                                       std::int64_t K, QkNorm norm, bool bias = false) {
  const std::int64_t q = H * K, kv = G * K;
  std::int64_t n = 2 * q * dim + 2 * kv * source;
  if (bias) n += q + 2 * kv + dim;
  if (norm == QkNorm::heads_rms) n += 2 * K;
  if (norm == QkNorm::heads_layer) n += 4 * K;
  if (norm == QkNorm::rows_layer) n += q + kv;
  return n;
}

constexpr std::int64_t dense_count(std::int64_t dim, std::int64_t hidden, bool gated, bool bias) {
  return (gated ? 3 : 2) * dim * hidden + (bias ? dim + hidden : 0);
}

/// Blocks, the last norm, and both tables.
template <class Lm>
constexpr std::int64_t decoder_count(const Lm& c, std::int64_t block, std::int64_t norm) {
  return c.layers * block + norm + (std::int64_t{read_ids(c)} + (c.tied ? 0 : written_ids(c))) * c.dim;
}

}  // namespace detail

constexpr std::int64_t parameter_count_of(const Llama& c) {
  const std::int64_t norm = detail::norm_count(NormKind::rms, c.dim);
  return detail::decoder_count(
      c,
      2 * norm + detail::attention_count(c.dim, c.dim, c.heads, c.kv_heads, c.head_size(), QkNorm::none) +
          detail::dense_count(c.dim, c.hidden, true, false),
      norm);
}
constexpr std::int64_t parameter_count_of(const Mpt& c) {
  const std::int64_t norm = detail::norm_count(NormKind::layer_unbiased, c.dim);
  return detail::decoder_count(c,
                               2 * norm +
                                   detail::attention_count(c.dim, c.dim, c.heads, c.heads, c.head_size(),
                                                           c.qk_norm ? QkNorm::rows_layer : QkNorm::none) +
                                   detail::dense_count(c.dim, c.hidden_size(), false, false),
                               norm);
}
constexpr std::int64_t parameter_count_of(const GptNeox& c) {
  const std::int64_t norm = detail::norm_count(NormKind::layer, c.dim);
  return detail::decoder_count(
      c,
      2 * norm + detail::attention_count(c.dim, c.dim, c.heads, c.heads, c.head_size(), QkNorm::none, true) +
          detail::dense_count(c.dim, c.hidden_size(), false, true),
      norm);
}
/// With head_size() = D / H: 13 D² + 15 D a block, 2 D and V D beside them.
constexpr std::int64_t parameter_count_of(const Chinchilla& c) {
  const std::int64_t norm = detail::norm_count(c.norm_bias ? NormKind::rms_biased : NormKind::rms, c.dim);
  const std::int64_t width = std::int64_t{c.heads} * c.head_size();
  return detail::decoder_count(
      c,
      2 * norm + detail::attention_count(c.dim, c.dim, c.heads, c.heads, c.head_size(), QkNorm::none, c.bias) +
          width * (c.dim + 2) +  // the distances' projection, u and v
          detail::dense_count(c.dim, c.hidden_size(), false, c.bias),
      norm);
}

namespace detail {
/// A block of CLIP's towers.
template <class Tower>
constexpr std::int64_t tower_block_count(const Tower& c) {
  return 2 * norm_count(NormKind::layer, c.dim) +
         attention_count(c.dim, c.dim, c.heads, c.heads, c.dim / c.heads, QkNorm::none, true) +
         dense_count(c.dim, c.hidden_size(), false, true);
}
}  // namespace detail

constexpr std::int64_t parameter_count_of(const Vit& c) {
  const std::int64_t norm = detail::norm_count(NormKind::layer, c.dim), block = detail::tower_block_count(c);
  const std::int64_t rows = std::int64_t{c.grid()} * c.grid() + c.class_token;
  return std::int64_t{c.dim} * (3 * c.patch * c.patch + c.patch_bias + c.class_token + rows) +
         norm * (c.pre_norm + c.post_norm) + c.layers * block;
}
constexpr std::int64_t parameter_count_of(const NfNet& c) {
  const auto convolution = [&](int side, std::int64_t in, std::int64_t out, int groups = 1) {
    return side * side * (in / groups) * out + (c.folded ? 1 : 2) * out;  // a bias, and before folding a gain
  };
  const auto count = [&](const NfNetBlock& b) {
    const std::int64_t excite = 2 * std::int64_t{b.out} * b.squeeze + b.squeeze + b.out;
    return convolution(1, b.in, b.middle) + 2 * convolution(3, b.middle, b.middle, b.groups) +
           convolution(1, b.middle, b.out) + excite + 1 + (b.transition() ? convolution(1, b.in, b.out) : 0);
  };
  std::int64_t n = 0;
  for (int in = 3, out = c.stem / 8; out <= c.stem; in = out, out *= 2) n += convolution(3, in, out);
  for (int s = 0; s < NfNet::stages; ++s)
    n += count(c.block(s, true)) + (c.depths[static_cast<std::size_t>(s)] - 1) * count(c.block(s, false));
  if (c.has_head() && c.head) n += convolution(1, c.widths.back(), c.head);
  return n + (c.classes ? (std::int64_t{c.dim()} + 1) * c.classes : 0);
}
constexpr std::int64_t parameter_count_of(const ClipText& c) {
  return std::int64_t{c.dim} * (c.vocabulary + c.context) + c.layers * detail::tower_block_count(c) +
         detail::norm_count(NormKind::layer, c.dim);
}
constexpr std::int64_t parameter_count_of(const ClipConfig& c) {
  Vit vision = c.vision;
  vision.post_norm = true;  // of the pooled row
  return parameter_count_of(vision) + parameter_count_of(c.text) +
         std::int64_t{c.projection} * (c.vision.dim + c.text.dim) + 1;
}
constexpr std::int64_t parameter_count_of(const MllamaVision& c) {
  const std::int64_t D = c.dim, shapes = c.ratios + 1, norm = detail::norm_count(NormKind::layer, D);
  const std::int64_t block = 2 * norm + detail::attention_count(D, D, c.heads, c.heads, D / c.heads, QkNorm::none) +
                             detail::dense_count(D, c.hidden, false, true);
  return D * (3 * c.patch * c.patch + 1 + c.tile_rows() + shapes * (2 * c.tiles + c.rows())) + 3 + 2 * norm +
         c.layers * block + c.global_layers * (block + 2);
}
/// Of a Resampler's numbers those that bring its rows to another width.
constexpr std::int64_t lead_out_count(const ResamplerConfig& c) {
  return c.out() != c.dim ? std::int64_t{c.out()} * c.dim : 0;
}
constexpr std::int64_t parameter_count_of(const ResamplerConfig& c) {
  if (c.layers == 0) return c.project ? (std::int64_t{c.features()} + 1) * c.dim : 0;
  const std::int64_t norm = detail::norm_count(NormKind::layer, c.dim);
  const std::int64_t dense = norm + detail::dense_count(c.dim, std::int64_t{c.widening} * c.dim, false, false);
  const std::int64_t attention = norm + detail::attention_count(c.dim, c.dim, c.heads, c.heads, c.head_dim, c.qk_norm);
  const bool mlp = c.kind == ResamplerKind::mlp;
  const std::int64_t block = c.kind == ResamplerKind::perceiver ? norm + attention + dense  // features have a norm too
                             : mlp                              ? dense
                                                                : attention + dense;
  return (c.norm_input ? detail::norm_count(NormKind::layer, c.features()) : 0) +
         (c.features() != c.dim ? std::int64_t{c.features()} * c.dim : 0) +
         std::int64_t{c.dim} * ((mlp ? 0 : c.latents) + c.frames + c.media) + c.layers * block +
         (c.final_norm ? norm : 0) + lead_out_count(c);
}
/// One gated block in a decoder of width `dim`, over media rows of `media_dim`.
constexpr std::int64_t parameter_count_of(const XattnConfig& c, std::int64_t dim, std::int64_t media_dim) {
  const std::int64_t norm = detail::norm_count(c.norm, dim), gate = c.gate == Gate::none ? 0 : c.vector_gates ? dim : 1;
  const std::int64_t attention =
      norm + gate + detail::attention_count(dim, media_dim, c.heads, c.key_heads(), c.head_dim, c.qk_norm);
  const std::int64_t dense =
      norm + gate + detail::dense_count(dim, c.hidden ? c.hidden : c.widening * dim, c.gated_dense, false);
  return (c.norm_media ? detail::norm_count(NormKind::layer, media_dim) : 0) + attention +
         (c.conditioning == Conditioning::vanilla_xattn ? 0 : dense);
}
/// What GRAFTING puts onto the decoder, without the gated blocks there: blocks of the decoder's own kind.
template <class Vision, class Lm>
constexpr std::int64_t grafted_count(const FlamingoConfig<Vision, Lm>& c) {
  Lm deeper = c.lm;
  deeper.layers += c.grafted();
  return parameter_count_of(deeper) - parameter_count_of(c.lm);
}
/// All parts of a model.
template <class Vision, class Lm>
constexpr std::int64_t parameter_count_of(const FlamingoConfig<Vision, Lm>& c) {
  return parameter_count_of(c.vision) + parameter_count_of(c.resampler) +
         c.gated_blocks() * parameter_count_of(c.xattn, c.lm.dim, c.resampler.out()) + grafted_count(c) +
         parameter_count_of(c.lm);
}

/// What decoding keeps, in numbers: keys and values of a token in all blocks, and of a picture in all gated blocks.
template <class Lm>
constexpr std::int64_t kept_per_token(const Lm& c) {
  std::int64_t heads = c.heads;
  if constexpr (requires { c.kv_heads; }) heads = c.kv_heads;
  return 2 * c.layers * heads * c.head_size();
}
template <class Vision, class Lm>
constexpr std::int64_t kept_per_picture(const FlamingoConfig<Vision, Lm>& c) {
  return 2 * std::int64_t{c.gated_blocks()} * c.resampler.latents * c.xattn.key_heads() * c.xattn.head_dim;
}

}  // namespace flamingo
