/// The paper's ablations of Flamingo-3B (Alayrac et al. 2022: tables 7 of the first version, 3 and 10 of the last),
/// each row as what it changes of a base: of flamingo_3b at full size, of flamingo_mini at a size that trains in a
/// second.
///
/// The table tells a row's total parameters, not the sizes behind it. Where those had to be chosen they are the nearest
/// round ones whose total is the printed one, and a comment says so.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

#include <flamingo/config/presets/clip.hpp>
#include <flamingo/config/presets/flamingo.hpp>
#include <flamingo/config/presets/nfnet.hpp>
#include <flamingo/config/training.hpp>
#include <flamingo/config/vision.hpp>

namespace flamingo::presets {

/// A dataset in a mixture, and what a batch of it holds.
struct Share {
  std::string_view dataset;
  double weight = 1;  ///< λ
  int batch = 0;      ///< documents
  int tokens = 0;     ///< most of a document. The paper's pairs have 32 or 64, and it tells not which
};
struct Mixture {
  std::array<Share, 5> shares{};
  int count = 0;

  constexpr Mixture with(const Share& share) const {
    Mixture more = *this;
    more.shares[static_cast<std::size_t>(more.count++)] = share;
    return more;
  }
  constexpr Mixture without(std::string_view dataset) const {
    Mixture fewer;
    for (int i = 0; i < count; ++i)
      if (const Share& share = shares[static_cast<std::size_t>(i)]; share.dataset != dataset) fewer = fewer.with(share);
    return fewer;
  }
};

inline constexpr Share m3w{"M3W", 1.0, 256, 256}, align{"ALIGN", 0.2, 512, 32}, ltip{"LTIP", 0.2, 512, 64},
    vtp{"VTP", 0.03, 64, 64};
/// In place of both sets of pairs; a step takes as long, so its batch is taken to be as large as theirs together.
inline constexpr Share laion_400m{"LAION-400M", 0.2, 1024, 64};
inline constexpr Share massive_text{"MassiveText", 1.0, 256, 2048};  ///< its batch is not told
inline constexpr Mixture paper_mixture = Mixture{}.with(m3w).with(align).with(ltip).with(vtp);

/// A run of the table: a model, how it is trained, and on what.
template <class Config>
struct Ablation {
  std::string_view row, changed_to;
  double billions = 3.2;  ///< total parameters as printed
  Config config{};
  TrainedParts trained{.added_rows = true};                   ///< beside the connector; <EOC>'s row in all runs
  bool lm_from_scratch = false, vision_from_scratch = false;  ///< else they begin pretrained
  double lm_rate = 1;                                         ///< of the schedule's, where the decoder is trained
  Mixing mixing = Mixing::accumulation;
  float p_next = 0.5f;
  Mixture data = paper_mixture;
  std::string_view lm_data = "MassiveText";  ///< what the decoder was pretrained on
};

/// The rows by name. Each takes the base that it changes.
namespace ablations {

template <class C>
constexpr Ablation<C> baseline(const C& base) {
  return {.row = "baseline", .changed_to = "", .config = base};
}

// Training data.
template <class C>
constexpr Ablation<C> on_data(const C& base, std::string_view changed_to, const Mixture& data) {
  return {.row = "training data", .changed_to = changed_to, .config = base, .data = data};
}
template <class C>
constexpr Ablation<C> m3w_only(const C& base) {
  return on_data(base, "M3W only", Mixture{}.with(m3w));
}
template <class C>
constexpr Ablation<C> without_videos(const C& base) {
  return on_data(base, "without VTP", paper_mixture.without("VTP"));
}
template <class C>
constexpr Ablation<C> without_pairs(const C& base) {
  return on_data(base, "without LTIP and ALIGN", paper_mixture.without("LTIP").without("ALIGN"));
}
template <class C>
constexpr Ablation<C> laion_pairs(const C& base) {
  return on_data(base, "LAION-400M for pairs", Mixture{}.with(m3w).with(laion_400m).with(vtp));
}
template <class C>
constexpr Ablation<C> without_m3w(const C& base) {
  return on_data(base, "without M3W", paper_mixture.without("M3W"));
}

template <class C>
constexpr Ablation<C> round_robin(const C& base) {
  return {.row = "optimisation", .changed_to = "round-robin", .config = base, .mixing = Mixing::round_robin};
}

template <class C>
constexpr Ablation<C> without_gates(const C& base) {
  Ablation<C> a{.row = "tanh gating", .changed_to = "none", .config = base};
  a.config.xattn.gate = Gate::none;
  return a;
}

// How the decoder is conditioned.
template <class C>
constexpr Ablation<C> vanilla_xattn(const C& base) {
  Ablation<C> a{.row = "cross-attention", .changed_to = "VANILLA XATTN", .billions = 2.4, .config = base};
  a.config.xattn.conditioning = Conditioning::vanilla_xattn;
  return a;
}
/// 12 of each kind of layer on the decoder's 24: 3.27 B.
template <class C>
constexpr Ablation<C> grafting(const C& base) {
  Ablation<C> a{.row = "cross-attention", .changed_to = "GRAFTING", .billions = 3.3, .config = base};
  a.config.xattn.conditioning = Conditioning::grafting;
  a.config.xattn.grafted = base.lm.layers / 2;
  return a;
}

// How often.
template <class C>
constexpr Ablation<C> single_in_the_middle(const C& base) {
  Ablation<C> a{.row = "frequency", .changed_to = "single in the middle", .billions = 2.0, .config = base};
  a.config.xattn.places = Places::of({base.lm.layers / 2});
  return a;
}
template <class C>
constexpr Ablation<C> every_fourth(const C& base) {
  Ablation<C> a{.row = "frequency", .changed_to = "every 4th", .billions = 2.3, .config = base};
  a.config.xattn.every = 4;
  return a;
}
template <class C>
constexpr Ablation<C> every_second(const C& base) {
  Ablation<C> a{.row = "frequency", .changed_to = "every 2nd", .billions = 2.6, .config = base};
  a.config.xattn.every = 2;
  return a;
}

// What stands between features and decoder.
/// Two thirds more layers: the parameters of the Perceiver's attention in feed-forwards.
template <class C>
constexpr Ablation<C> mlp_resampler(const C& base) {
  Ablation<C> a{.row = "Resampler", .changed_to = "MLP", .config = base};
  a.config.resampler.kind = ResamplerKind::mlp;
  a.config.resampler.layers = base.resampler.layers * 5 / 3;
  return a;
}
template <class C>
constexpr Ablation<C> transformer_resampler(const C& base) {
  Ablation<C> a{.row = "Resampler", .changed_to = "Transformer", .config = base};
  a.config.resampler.kind = ResamplerKind::transformer;
  return a;
}
/// Two thirds of the width, with as many heads of as many features: 3.12 B.
template <class C>
constexpr Ablation<C> small_resampler(const C& base) {
  Ablation<C> a{.row = "Resampler size", .changed_to = "small", .billions = 3.1, .config = base};
  a.config.resampler.dim = base.resampler.dim * 2 / 3;
  return a;
}
/// One and a half times the width: 3.39 B.
template <class C>
constexpr Ablation<C> large_resampler(const C& base) {
  Ablation<C> a{.row = "Resampler size", .changed_to = "large", .billions = 3.4, .config = base};
  a.config.resampler.dim = base.resampler.dim * 3 / 2;
  return a;
}

// Which images a token attends to.
template <class C>
constexpr Ablation<C> all_previous(const C& base) {
  Ablation<C> a{.row = "images attended to", .changed_to = "all previous", .config = base};
  a.config.xattn.visibility = Visibility::all_earlier;
  return a;
}
/// The paper's remedy for it, in the text alone: a learned embedding of an image's place among those of its document.
/// It found the model less robust to numbers of images not seen in training; the table has 32 places, for 32 shots.
template <class C>
constexpr Ablation<C> all_previous_indexed(const C& base) {
  Ablation<C> a = all_previous(base);
  a.changed_to = "all previous, with image index embeddings";
  a.config.resampler.media = 32;
  return a;
}

template <class C>
constexpr Ablation<C> never_next(const C& base) {
  return {.row = "p_next", .changed_to = "0", .config = base, .p_next = 0};
}
template <class C>
constexpr Ablation<C> always_next(const C& base) {
  return {.row = "p_next", .changed_to = "1", .config = base, .p_next = 1};
}

// The vision encoder.
/// The base with another encoder, of the same kind or not.
template <class C, class Vision>
constexpr auto seen_by(const C& base, const Vision& vision, int width) {
  FlamingoConfig<Vision, decltype(base.lm)> c{vision, base.resampler, base.xattn, base.lm};
  c.resampler.vision_dim = width;
  return c;
}
template <class C>
constexpr Ablation<C> small_nfnet(const C& base, const NfNet& f0) {
  return {.row = "vision encoder", .changed_to = "NFNet-F0", .billions = 2.9, .config = seen_by(base, f0, f0.dim())};
}
template <class C>
constexpr auto clip(const C& base, const Vit& vit) {
  const auto config = seen_by(base, vit, vit.dim);
  return Ablation<decltype(seen_by(base, vit, 0))>{
      .row = "vision encoder", .changed_to = "CLIP ViT-L/14", .billions = 3.1, .config = config};
}

// Which parts are trained, and from where.
template <class C>
constexpr Ablation<C> c4_lm(const C& base) {
  return {.row = "LM pretraining", .changed_to = "C4", .config = base, .lm_data = "C4"};
}
template <class C>
constexpr Ablation<C> vision_trained(const C& base, bool from_scratch) {
  return {.row = "training the vision encoder",
          .changed_to = from_scratch ? "from scratch" : "from pretrained",
          .config = base,
          .trained = {.added_rows = true, .vision = true},
          .vision_from_scratch = from_scratch};
}
template <class C>
constexpr Ablation<C> lm_trained(const C& base, bool from_scratch) {
  return {.row = "training the LM",
          .changed_to = from_scratch ? "from scratch" : "from pretrained",
          .config = base,
          .trained = {.lm = true},
          .lm_from_scratch = from_scratch};
}
/// With a text of its own in the mixture; a pretrained decoder at a tenth of the rate.
template <class C>
constexpr Ablation<C> lm_cotrained(const C& base, bool from_scratch) {
  return {.row = "co-training the LM on MassiveText",
          .changed_to = from_scratch ? "from scratch" : "from pretrained",
          .config = base,
          .trained = {.lm = true},
          .lm_from_scratch = from_scratch,
          .lm_rate = from_scratch ? 1 : 0.1,
          .data = paper_mixture.with(massive_text)};
}

// Public data alone.
template <class C>
constexpr auto public_pairs(const C& base, const Vit& vit) {
  auto a = clip(base, vit);
  a.row = "public data";
  a.changed_to = "LAION-400M only, CLIP";
  a.data = Mixture{}.with(laion_400m);
  return a;
}
template <class C>
constexpr auto public_mixture(const C& base, const Vit& vit) {
  auto a = public_pairs(base, vit);
  a.changed_to = "M3W, LAION-400M and VTP, CLIP";
  a.data = Mixture{}.with(m3w).with(laion_400m).with(vtp);
  return a;
}

/// All rows over the paper's encoder, in the table's order: with `f0` for its smallest NFNet. Those that are seen by
/// CLIP are clip, public_pairs and public_mixture.
template <class C>
constexpr auto table_of(const C& base, const NfNet& f0) {
  return std::array{baseline(base),
                    m3w_only(base),
                    without_videos(base),
                    without_pairs(base),
                    laion_pairs(base),
                    without_m3w(base),
                    round_robin(base),
                    without_gates(base),
                    vanilla_xattn(base),
                    grafting(base),
                    single_in_the_middle(base),
                    every_fourth(base),
                    every_second(base),
                    mlp_resampler(base),
                    transformer_resampler(base),
                    small_resampler(base),
                    large_resampler(base),
                    all_previous(base),
                    all_previous_indexed(base),
                    never_next(base),
                    always_next(base),
                    small_nfnet(base, f0),
                    c4_lm(base),
                    vision_trained(base, true),
                    vision_trained(base, false),
                    lm_trained(base, true),
                    lm_trained(base, false),
                    lm_cotrained(base, true),
                    lm_cotrained(base, false)};
}
template <class C>
constexpr auto clip_table_of(const C& base, const Vit& vit) {
  return std::array{clip(base, vit), public_pairs(base, vit), public_mixture(base, vit)};
}

}  // namespace ablations

/// At full size: over flamingo_3b, with NFNet-F0 and CLIP ViT-L/14 at 224 pixels.
inline constexpr auto ablations_3b = ablations::table_of(flamingo_3b, nfnet_f0);
inline constexpr auto clip_ablations_3b = ablations::clip_table_of(flamingo_3b, Vit{});

/// Flamingo of every part of the paper's, at a size that a test trains: 32 wide, over pictures of 64 pixels.
inline constexpr Paper flamingo_mini{
    .vision = {.image = 64, .depths = {1, 2, 1, 1}, .widths = {16, 16, 24, 24}, .stem = 16, .group = 4, .head = 24},
    .resampler = {.vision_dim = 24,
                  .dim = 18,
                  .latents = 3,
                  .layers = 3,
                  .heads = 2,
                  .head_dim = 12,
                  .frames = 4,
                  .out_dim = 32},
    .xattn = {.every = 1, .heads = 2, .head_dim = 16, .norm_media = true},
    .lm = {.dim = 32, .layers = 4, .heads = 2, .head_dim = 16, .vocabulary = 64, .added = 1, .context = 96}};
inline constexpr NfNet nfnet_mini_f0{
    .image = 64, .depths = {1, 1, 1, 1}, .widths = {16, 16, 24, 24}, .stem = 16, .group = 4, .head = 24};
inline constexpr Vit vit_mini{.image = 64, .patch = 16, .dim = 24, .layers = 2, .heads = 2};

inline constexpr auto ablations_mini = ablations::table_of(flamingo_mini, nfnet_mini_f0);
inline constexpr auto clip_ablations_mini = ablations::clip_table_of(flamingo_mini, vit_mini);

}  // namespace flamingo::presets
