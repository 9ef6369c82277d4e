/// The Resampler and gated blocks, forward and backward, run once on a platform.
#pragma once
#include <array>

#include <flamingo/model/gated_cross_attention.hpp>
#include <flamingo/model/media.hpp>
#include <flamingo/model/resampler.hpp>

#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

inline constexpr ResamplerConfig small_resampler{.vision_dim = 11,
                                                 .norm_input = true,
                                                 .dim = 13,
                                                 .latents = 5,
                                                 .layers = 2,
                                                 .heads = 3,
                                                 .head_dim = 7,
                                                 .widening = 2,
                                                 .frames = 3,
                                                 .media = 3};
/// The paper's, and everything else: one gate a feature, all earlier media, leading text over every medium.
inline constexpr XattnConfig small_xattn{
    .heads = 3, .head_dim = 5, .widening = 2, .activation = Activation::gelu, .norm_media = true};
inline constexpr XattnConfig other_xattn{.heads = 2,
                                         .head_dim = 17,
                                         .widening = 3,
                                         .vector_gates = true,
                                         .visibility = Visibility::all_earlier,
                                         .before_first = NoImage::uniform};

/// Roundings along the longest way through the Resampler above and back: the lengths of its sums, each gone three times
/// (forward, and two products of its derivative), and those of the sums over rows.
constexpr std::size_t roundings_of_layers() {
  constexpr ResamplerConfig c = small_resampler;
  constexpr int norm = 2 * c.dim + 6, attention = c.head_dim + 2 * (10 + c.latents) + 8,
                layer = 2 * norm + 2 * c.dim + attention + c.heads * c.head_dim + c.widening * c.dim + 16;
  return static_cast<std::size_t>(3 * (2 * norm + c.features() + c.layers * layer) + 16);
}

template <Platform P>
Results resampler() {
  using Layer = model::Resampler<small_resampler, P>;
  Run<P> run;
  auto& ctx = run.ctx;
  // A picture, a video longer than the table of times, and one frame.
  const std::array<Medium, 3> media{{{0, 6, 2, 0}, {6, 10, 5, 1}, {16, 1, 1, 2}}};
  const auto plan = ResamplerPlan::of(small_resampler, media);
  const int N = 17, M = 3 * Layer::R;
  const auto w = run.template parameters<Layer>(1);
  const auto g = run.template gradients<Layer>();
  const auto x = run.template rows<Layer::E>(N, Layer::E, 2);
  const auto dy = run.template rows<Layer::D>(M, Layer::D, 3);
  const auto y = run.template blank<Layer::D>(M), plain = run.template blank<Layer::D>(M);
  const auto dx = run.template blank<Layer::E>(N);

  const std::size_t mark = ctx.arena().kept();
  Layer::template forward<no_gradients>(ctx, w, x, plan, plain);
  ctx.arena().release(mark);
  const auto saved = Layer::template forward<all_gradients>(ctx, w, x, plan, y);
  Layer::template backward<all_gradients>(ctx, w, saved, plan, dy, dx, g);
  run.report("y without gradients", plain);
  run.report("y", y);
  run.report("dx", dx);
  run.template report_parameters<Layer>("d ", g);
  return run.results;
}

template <Platform P, XattnConfig C>
Results gated_block() {
  constexpr int D = 13, E = 11, R = 5, T = 19, M = 3;
  using Layer = model::GatedCrossAttention<C, D, E, P>;
  Run<P> run;
  auto& ctx = run.ctx;
  SpanList spans;  // two sequences: text, two pictures; a picture at once
  add_media_spans(spans, C, phi_of(std::array<int, 2>{3, 7}, T), 0, 0, 2, R);
  add_media_spans(spans, C, phi_of(std::array<int, 1>{0}, T), T, 2, 1, R);
  const auto w = run.template parameters<Layer>(4);
  const auto g = run.template gradients<Layer>();
  const auto x = run.template rows<D>(2 * T, D, 5), dz = run.template rows<D>(2 * T, D, 6);
  const auto media = run.template rows<E>(M * R, E, 7);
  const auto z = run.template blank<D>(2 * T), dx = run.template blank<D>(2 * T);
  const auto dmedia = run.template blank<E>(M * R);
  const auto k = run.template blank<Layer::KV>(M * R), v = run.template blank<Layer::KV>(M * R),
             dk = run.template blank<Layer::KV>(M * R), dv = run.template blank<Layer::KV>(M * R);

  const auto on_platform = table(ctx, spans);
  const auto m = Layer::template project<all_gradients>(ctx, w, media, k, v);
  Pools<P> pools;
  pools.add({k, v});
  const auto saved = Layer::template forward<all_gradients>(ctx, w, x, pools, on_platform, z);
  Layer::template backward<all_gradients>(ctx, w, saved, on_platform, dz, dx, PoolGradients<P>{{{dk, dv}}}, g);
  Layer::template project_backward<all_gradients>(ctx, w, m, dk, dv, dmedia, g);
  run.report("z", z);
  run.report("dx", dx);
  run.report("dmedia", dmedia);
  run.template report_parameters<Layer>("d ", g);
  return run.results;
}

template <Platform P>
Results layers() {
  Results all = resampler<P>();
  for (const Results& more : {gated_block<P, small_xattn>(), gated_block<P, other_xattn>()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace flamingo::test
