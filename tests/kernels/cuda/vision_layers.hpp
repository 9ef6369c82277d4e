/// Vision encoders, forward and backward, run once on a platform.
#pragma once
#include <array>

#include <flamingo/model/vision/efficientnet.hpp>
#include <flamingo/model/vision/nfnet.hpp>
#include <flamingo/model/vision/vit.hpp>

#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

/// CLIP's.
inline constexpr Vit small_vit{.image = 8, .patch = 4, .dim = 12, .layers = 2, .heads = 3, .hidden = 20};
/// Everything else, for pictures of other sizes too.
inline constexpr Vit other_vit{.image = 9,
                               .patch = 3,
                               .dim = 16,
                               .layers = 1,
                               .heads = 2,
                               .activation = Activation::gelu,
                               .patch_bias = true,
                               .pre_norm = false,
                               .post_norm = true,
                               .class_out = true,
                               .other_sizes = OtherSizes::antialias};
/// Of one width, so that few kinds of blocks are compiled; grouped, with branches that are dropped.
inline constexpr NfNet small_nfnet{
    .depths = {1, 2, 1, 1}, .widths = {8, 8, 8, 8}, .stem = 8, .group = 2, .head = 10, .stochastic_depth = 0.5f};
inline constexpr EfficientNetLite small_efficientnet = [] {
  EfficientNetLite c;
  c.stem = 8;
  for (MobileStage& stage : c.stages) stage = {1, 3, 1, 2, 8};
  c.stages[0].widening = 1;
  c.stages[1].stride = 2;
  c.head = 12;
  return c;
}();

/// Pictures one after another, and how many rows an encoder makes of them.
template <class Encoder>
int rows_of_features(const std::vector<Grid>& grids) {
  int rows = 0;
  for (const Grid& grid : grids) rows += Encoder::features(grid).rows();
  return rows;
}

/// Roundings along the longest way, the NFNet's: the lengths of its sums, each gone three times (forward, and two
/// products of its derivative), and those of the sums over the rows of its pictures.
constexpr std::size_t roundings_of_encoders() {
  constexpr int stem = 27 + 9 + 18 + 36, squeeze = 45 + 8 + 4, block = 8 + 9 * 2 + 9 * 2 + 4 + squeeze + 10,
                cells = 33 * 20 + 9;
  return static_cast<std::size_t>(3 * (stem + small_nfnet.blocks() * block + 8) + cells);
}

/// Forward and backward: one encoder of pixels. With `plain`, forward without gradients before that.
template <Platform P, class Encoder, bool plain, class... Draws>
Results encoder(const std::string& name, const std::vector<Grid>& grids, const Draws&... draws) {
  Run<P> run;
  auto& ctx = run.ctx;
  const int N = cells_of(grids), M = rows_of_features<Encoder>(grids);
  constexpr int D = Encoder::D;
  const auto w = run.template parameters<Encoder>(1);
  const auto g = run.template gradients<Encoder>();
  const auto x = run.template rows<3>(N, 3, 2), dx = run.template blank<3>(N);
  const auto dy = run.template rows<D>(M, D, 3), y = run.template blank<D>(M);
  if constexpr (plain) {
    const auto kept = ctx.kept_scope();
    Encoder::template forward<no_gradients>(ctx, w, x, grids, y, draws...);
    run.report(name + " y without gradients", y);
  }
  const auto saved = Encoder::template forward<all_gradients>(ctx, w, x, grids, y, draws...);
  Encoder::template backward<all_gradients>(ctx, w, saved, grids, dy, dx, g);
  run.report(name + " y", y);
  run.report(name + " dpixels", dx);
  run.template report_parameters<Encoder>(name + " d ", g);
  hold_key_biases_to_queries(run.results);
  return run.results;
}

template <Platform P>
Results efficientnet() {
  using Encoder = model::EfficientNet<small_efficientnet, P>;
  const std::vector<Grid> grids{{0, 7, 9}, {63, 8, 4}};
  Run<P> run;
  const auto w = run.template parameters<Encoder>(1);
  const auto x = run.template rows<3>(cells_of(grids), 3, 2);
  const auto y = run.template blank<Encoder::D>(rows_of_features<Encoder>(grids));
  Encoder::forward(run.ctx, w, x, grids, y);
  run.report("EfficientNet y", y);
  return run.results;
}

template <Platform P>
Results vision_transformers() {
  Results all = encoder<P, model::VisionTransformer<small_vit, P>, true>("ViT", {{0, 8, 8}, {64, 8, 8}});
  const Results more = encoder<P, model::VisionTransformer<other_vit, P>, false>("other ViT", {{0, 9, 9}, {81, 7, 12}});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}
template <Platform P>
Results convolutional_encoders() {
  const NfNetDraws draws{.training = true, .seed = 3, .step = 5};
  Results all = encoder<P, model::NormFreeNet<small_nfnet, P>, false>("NFNet", {{0, 33, 20}, {660, 9, 1}}, draws);
  const Results more = efficientnet<P>();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace flamingo::test
