/// Checks of a Resampler by itself: each block's two halves, the latents, and all gradients.
#pragma once
#include <cmath>
#include <filesystem>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/open_flamingo_names.hpp>
#include <flamingo/model/resampler.hpp>

#include "check/golden.hpp"

namespace flamingo::test {

/// b - a
template <class R, class X>
Tensor<R> difference(const X& a, const X& b) {
  Tensor<R> d(a.rows, a.width);
  for (std::size_t i = 0; i < d.size(); ++i) d.data()[i] = b.data[i] - a.data[i];
  return d;
}

/// Σ weights y against the golden's loss. Its terms cancel: what it is off by is measured by their magnitudes.
template <class R>
void check_weighted_sum(Golden& golden, const Tensor<R>& y, const Tensor<R>& weights) {
  double loss = 0, magnitudes = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double term = static_cast<double>(y.data()[i]) * static_cast<double>(weights.data()[i]);
    loss += term;
    magnitudes += std::abs(term);
  }
  golden.report.output("out.loss", std::vector<double>{loss, magnitudes},
                       std::vector<double>{static_cast<double>(golden.at("out.loss")[0]), magnitudes});
}

/// A file of open_flamingo's or flamingo-pytorch's PerceiverResampler.
template <ResamplerConfig C, Platform P = Cpu<float>>
Report check_resampler(const std::filesystem::path& path) {
  using Layer = model::Resampler<C, P>;
  using R = typename P::Real;
  Golden golden(path);
  const bool lucidrains = golden.meta("config").at("peer").as_string() == "lr";
  const TensorTable names = perceiver_names(C, lucidrains ? "media_pos_emb" : "media_time_embs");

  // x (b, M, frames, cells, D), or without frames, or without media too
  std::vector<std::int64_t> shape = golden.file.at("in.x").shape;
  check(shape.size() >= 3 && shape.size() <= 5, "golden", "in.x has shape ", io::shape_text(shape),
        ", expected 3 to 5 axes");
  if (shape.size() == 3) shape.insert(shape.begin() + 1, 1);
  if (shape.size() == 4) shape.insert(shape.begin() + 2, 1);
  const int frames = static_cast<int>(shape[2]), rows = frames * static_cast<int>(shape[3]);
  std::vector<Medium> media;
  for (int b = 0; b < shape[0]; ++b)
    for (int m = 0; m < shape[1]; ++m) media.push_back({static_cast<int>(media.size()) * rows, rows, frames, m});
  const auto plan = ResamplerPlan::of(C, media);

  Store<Layer, P> weights, gradients;
  load_numbers<Layer>(golden.file, weights.views, names.within("", "param."));
  Context<P> ctx = check_context<P>();
  const Tensor<R> x = golden.rows<R>("in.x"), dy = golden.rows<R>("in.loss_weight");
  Tensor<R> y(plan.media * C.latents, C.dim), dx(x.rows(), x.columns()), weight = dy;
  const auto saved = Layer::template forward<all_gradients>(ctx, weights.views, x.template rows_on<P, Layer::E>(), plan,
                                                            y.template rows_on<P, C.dim>());
  finish(ctx);
  for (std::size_t i = 0; i < Layer::layers; ++i) {
    const std::string mid = "mid.layer." + std::to_string(i);
    const auto& block = saved.blocks[i];
    const auto& end = i + 1 < Layer::layers ? saved.blocks[i + 1].norm_latents.x : saved.norm.x;
    golden.output(mid + ".attn", difference<R>(block.norm_latents.x, block.norm_dense.x));
    golden.output(mid + ".ff", difference<R>(block.norm_dense.x, end));
  }
  golden.output("out.y", y);
  check_weighted_sum(golden, y, dy);
  Layer::backward(ctx, weights.views, saved, plan, weight.template rows_on<P, C.dim>(),
                  dx.template rows_on<P, Layer::E>(), gradients.views);
  finish(ctx);
  golden.gradient("grad_in.x", dx);
  golden.gradients<Layer>(gradients.views, names);
  return golden.report;
}

}  // namespace flamingo::test
