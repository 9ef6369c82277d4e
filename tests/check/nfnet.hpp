/// Golden files of timm's NormFreeNet: each stage, the features, the classifier, and all gradients.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/vision/nfnet.hpp>
#include <flamingo/model/vision/nfnet_names.hpp>

#include "check/golden.hpp"
#include "check/pictures.hpp"
#include "check/resampler.hpp"

namespace flamingo::test {

/// (pictures, channels, height, width) as rows of channels.
template <class R>
Tensor<R> channels_last(const io::TensorView& tensor) {
  const auto planes = numbers<R>(tensor);
  const auto channels = static_cast<std::size_t>(tensor.shape.at(1)),
             cells = static_cast<std::size_t>(tensor.shape.at(2) * tensor.shape.at(3));
  Tensor<R> rows(static_cast<int>(planes.size() / channels), static_cast<int>(channels));
  for (std::size_t i = 0; i < planes.size(); ++i)
    rows.data()[i] = planes[i / (channels * cells) * channels * cells + i % channels * cells + i / channels % cells];
  return rows;
}

/// C has the classifier of the file.
template <NfNet C, Platform P = Cpu<float>>
Report check_nfnet(const std::filesystem::path& path) {
  using Net = model::NormFreeNet<C, P>;
  using R = typename P::Real;
  Golden golden(path);
  const TensorTable names = timm_nfnet_names(C);
  const GoldenPictures<R> pictures(golden.file.at("in.x"));
  const int M = static_cast<int>(pictures.grids.size());
  std::vector<Grid> grids;
  for (int rows = 0; const Grid& picture : pictures.grids) {
    grids.push_back(Net::features(picture));
    grids.back().first = rows;
    rows += grids.back().rows();
  }

  Store<Net, P> weights, gradients;
  load_numbers<Net>(golden.file, weights.views, names.within("", "param."));
  Context<P> ctx = check_context<P>();
  Tensor<R> y(cells_of(grids), Net::D), dx(cells_of(pictures.grids), 3), mean(M, Net::D), logits(M, C.classes);
  const auto saved = Net::template forward<all_gradients>(ctx, weights.views, pictures.template rows<P>(),
                                                          pictures.grids, y.template rows_on<P, Net::D>());
  const auto output = [&](const std::string& name, const auto& rows) {
    golden.report.output(name, std::span(rows.data, rows.size()), channels_last<R>(golden.file.at(name)));
  };
  output("mid.stem", std::get<0>(saved.stages).first.x);
  output("mid.stage.0", std::get<1>(saved.stages).first.x);
  output("mid.stage.1", std::get<2>(saved.stages).first.x);
  output("mid.stage.2", std::get<3>(saved.stages).first.x);
  output("mid.stage.3", saved.last);
  output("out.features", y.template rows_on<P>());
  Net::classify(ctx, weights.views, y.template rows_on<P, Net::D>(), grids, {}, mean.template rows_on<P, Net::D>(),
                logits.template rows_on<P, C.classes>());
  golden.output("out.pooled", mean);
  golden.output("out.logits", logits);

  Tensor<R> dy = channels_last<R>(golden.file.at("in.loss_weight"));
  check_weighted_sum(golden, y, dy);
  Net::backward(ctx, weights.views, saved, pictures.grids, dy.template rows_on<P, Net::D>(),
                dx.template rows_on<P, 3>(), gradients.views);
  golden.report.gradient("grad_in.x", std::span(dx.data(), dx.size()), channels_last<R>(golden.file.at("grad_in.x")));
  golden.gradients<Net>(gradients.views, names);
  return golden.report;
}

}  // namespace flamingo::test
