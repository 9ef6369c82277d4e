/// CLIP's two towers with their loss, and Llama 3.2's vision transformer of tiles, forward and backward, run once on a
/// platform.
#pragma once
#include <flamingo/model/clip/dual_encoder.hpp>
#include <flamingo/model/vision/mllama_vision.hpp>

#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

inline constexpr ClipConfig small_clip{
    .vision = {.image = 6, .patch = 3, .dim = 6, .layers = 1, .heads = 2, .hidden = 5},
    .text = {.context = 7, .vocabulary = 11, .dim = 4, .layers = 1, .heads = 1, .hidden = 5},
    .projection = 3};
/// Tiles of 3 x 3 patches: 10 rows, filled up to 16.
inline constexpr MllamaVision small_mllama{.image = 7,
                                           .patch = 2,
                                           .tiles = 3,
                                           .ratios = 4,
                                           .dim = 6,
                                           .layers = 2,
                                           .global_layers = 1,
                                           .heads = 2,
                                           .hidden = 5,
                                           .intermediate = LayerList::of({2, 0})};

/// Roundings along the longest way, through Llama 3.2's three blocks: the lengths of their sums, each gone three times
/// (forward, and two products of its derivative), and those of the sums over the rows of its pictures.
constexpr std::size_t roundings_of_towers() {
  constexpr int rows = 2 * 3 * 16, norm = 2 * 6 + 6, attention = 3 + 2 * 48 + 8,
                block = 2 * norm + attention + 6 + 5 + 16;
  return static_cast<std::size_t>(3 * (12 + 2 * norm + 3 * block) + rows);
}

template <Platform P>
Results clip() {
  using Net = model::DualEncoder<small_clip, P>;
  using A = AccumulateOf<P>;
  constexpr int N = 3, J = Net::J;
  const std::vector<std::vector<int>> texts{{1, 4, 2, 10}, {1, 10, 3}, {1, 5, 5, 7, 2, 10}};
  const std::vector<Grid> grids{{0, 6, 6}, {36, 6, 6}, {72, 6, 6}};
  const ClipTextPlan plan = Net::plan_of(texts);
  Run<P> run;
  auto& ctx = run.ctx;
  const auto w = run.template parameters<Net>(5);
  const auto g = run.template gradients<Net>();
  const auto x = run.template rows<3>(N * 36, 3, 1), dx = run.template blank<3>(N * 36);
  const auto i = run.template blank<J>(N), t = run.template blank<J>(N), di = run.template blank<J>(N),
             dt = run.template blank<J>(N);

  const auto p = Net::template pictures<all_gradients>(ctx, w, x, grids, i);
  const auto l = Net::template texts<all_gradients>(ctx, w, plan, t);
  const auto nll = take_vector<A, true>(ctx, 2 * N);
  const auto c = Net::Loss::template forward<all_gradients>(ctx, w.log_scale, i, t, nll);
  const View<P, 1, A> weights{run.put(std::vector<A>(2 * N, A(1) / (2 * N))), {2 * N}};
  Net::Loss::backward(ctx, w.log_scale, c, weights, di, dt, g.log_scale);
  Net::pictures_backward(ctx, w, p, grids, di, dx, g);
  Net::texts_backward(ctx, w, l, plan, dt, g);
  run.report("CLIP pictures", i);
  run.report("CLIP texts", t);
  run.report("CLIP nll", nll);
  run.report("CLIP dpixels", dx);
  run.template report_parameters<Net>("CLIP d ", g);
  hold_key_biases_to_queries(run.results);
  return run.results;
}

template <Platform P>
Results mllama() {
  using Layer = model::MllamaVisionTransformer<small_mllama, P>;
  constexpr int D = small_mllama.features();
  const std::vector<TiledPicture> pictures{{2, 3}, {1, 1}};
  const int pixels = 3 * 49, rows = 2 * small_mllama.rows();
  Run<P> run;
  auto& ctx = run.ctx;
  const auto w = run.template parameters<Layer>(41);
  const auto g = run.template gradients<Layer>();
  const auto x = run.template rows<3>(pixels, 3, 1), dx = run.template blank<3>(pixels);
  const auto dy = run.template rows<D>(rows, D, 2), y = run.template blank<D>(rows);
  const auto saved = Layer::template forward<all_gradients>(ctx, w, x, pictures, y);
  Layer::backward(ctx, w, saved, dy, dx, g);
  run.report("tiles y", y);
  run.report("tiles dpixels", dx);
  run.template report_parameters<Layer>("tiles d ", g);
  return run.results;
}

template <Platform P>
Results towers() {
  Results all = clip<P>();
  const Results more = mllama<P>();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace flamingo::test
