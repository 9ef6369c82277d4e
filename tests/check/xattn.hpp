/// Checks of a gated block by itself: both branches, cached steps, and all gradients.
#pragma once
#include <filesystem>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/gated_cross_attention.hpp>
#include <flamingo/model/media.hpp>
#include <flamingo/model/open_flamingo_names.hpp>

#include "check/masks.hpp"
#include "check/resampler.hpp"

namespace flamingo::test {

/// A file of open_flamingo's or flamingo-pytorch's GatedCrossAttentionBlock, over text of width D and media of width E.
template <XattnConfig C, int D, int E, Platform P = Cpu<float>>
Report check_xattn(const std::filesystem::path& path) {
  using Layer = model::GatedCrossAttention<C, D, E, P>;
  using R = typename P::Real;
  Golden golden(path);
  const TensorTable names = gated_cross_attention_names(C);
  const auto& shape = golden.file.at("in.media").shape;  // (b, media, R, E)
  const int b = static_cast<int>(shape[0]), M = static_cast<int>(shape[1]), latents = static_cast<int>(shape[2]);
  const auto tags = golden.ids("in.media_locations");
  const int T = static_cast<int>(tags.size()) / b;

  // In cached steps every token belongs to the last tag; without locations it sees all media.
  XattnConfig everything = C;
  everything.visibility = Visibility::all_earlier;
  SpanList spans, step, unlocated;
  for (int s = 0; s < b; ++s) {
    std::vector<int> places;
    for (int t = 0; t < T; ++t)
      if (tags[static_cast<std::size_t>(s * T + t)]) places.push_back(t);
    add_media_spans(spans, C, phi_of(places, T), s * T, s * M, M, latents);
    add_media_spans(step, C, std::vector<int>{static_cast<int>(places.size())}, s, s * M, M, latents);
    add_media_spans(unlocated, everything, std::vector<int>(static_cast<std::size_t>(T), M), s * T, s * M, M, latents);
  }

  Store<Layer, P> weights, gradients;
  load_numbers<Layer>(golden.file, weights.views, names.within("", "param."));
  Context<P> ctx = check_context<P>();
  Tensor<R> x = golden.rows<R>("in.x"), media = golden.rows<R>("in.media"), dz = golden.rows<R>("in.loss_weight");
  Tensor<R> z(x.rows(), D), dx(x.rows(), D), dmedia(media.rows(), E);
  const auto k = keep<Layer::KV>(ctx, media.rows()), v = keep<Layer::KV>(ctx, media.rows());
  const auto m = Layer::template project<all_gradients>(ctx, weights.views, media.template rows_on<P, E>(), k, v);
  Pools<P> pools;
  pools.add({k, v});
  const auto saved = Layer::template forward<all_gradients>(ctx, weights.views, x.template rows_on<P, D>(), pools,
                                                            table(ctx, spans), z.template rows_on<P, D>());
  finish(ctx);
  const auto copied = [](const auto& rows) {
    Tensor<R> t(rows.rows, D);
    std::copy_n(rows.data, t.size(), t.begin());
    return t;
  };
  golden.output("mid.attn", copied(saved.attended));
  golden.output("mid.ff", copied(saved.widened));
  golden.output("out.y", z);
  check_weighted_sum(golden, z, dz);
  {
    const auto scope = ctx.scope();
    const auto dk = scratch<Layer::KV>(ctx, media.rows()), dv = scratch<Layer::KV>(ctx, media.rows());
    Layer::backward(ctx, weights.views, saved, table(ctx, spans), dz.template rows_on<P, D>(),
                    dx.template rows_on<P, D>(), PoolGradients<P>{{{dk, dv}}}, gradients.views);
    Layer::project_backward(ctx, weights.views, m, dk, dv, dmedia.template rows_on<P, E>(), gradients.views);
  }
  finish(ctx);
  golden.gradient("grad_in.x", dx);
  golden.gradient("grad_in.media", dmedia);
  golden.gradients<Layer>(gradients.views, names);

  const auto again = [&](const SpanList& list, Tensor<R>& in, const std::string& name) {
    Tensor<R> y(in.rows(), D);
    Layer::template forward<no_gradients>(ctx, weights.views, in.template rows_on<P, D>(), pools, table(ctx, list),
                                          y.template rows_on<P, D>());
    finish(ctx);
    golden.output(name, y);
  };
  if (golden.has("in.x_cached_step")) {
    Tensor<R> token = golden.rows<R>("in.x_cached_step");
    again(step, token, "out.y_cached_step");
  }
  if (golden.has("out.y_no_locations")) again(unlocated, x, "out.y_no_locations");
  return golden.report;
}

}  // namespace flamingo::test
