/// Checks of learned tables that are read between their rows: time embeddings of longer and shorter videos, and square
/// tables of positions at grids of other sizes.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/video_times.hpp>
#include <flamingo/model/vision/positions.hpp>

#include "check/golden.hpp"

namespace flamingo::test {

/// out.N.align and out.N.noalign of in.N (known, D), with the gradients of Σ out loss_weight.N.
template <Platform P>
void check_times(Golden& golden, Context<P>& ctx, const std::string& sizes, TimeEnds ends, const std::string& kind) {
  using R = typename P::Real;
  const std::string name = sizes + "." + kind;
  if (!golden.has("out." + name)) return;
  const Tensor<R> learned = golden.rows<R>("in." + sizes), weight = golden.rows<R>("loss_weight." + sizes);
  const int known = learned.rows(), frames = weight.rows(), D = learned.columns();
  std::vector<Blend> times;
  for (int t = 0; t < frames; ++t) times.push_back(between_rows(t, frames, known, ends));
  Tensor<R> y(frames, D), gradient(known, D);
  ops::blend(ctx, learned.template rows_on<P>(), table(ctx, times), y.template rows_on<P>());
  ops::blend_backward(ctx, weight.template rows_on<P>(), table(ctx, times), gradient.template rows_on<P>());
  golden.output("out." + name, y);
  if (golden.has("grad." + name)) golden.gradient("grad." + name, gradient);
}

/// grid.out.N.plain and .antialias of grid.in.N (1, D, side, side).
template <Platform P>
void check_grid(Golden& golden, Context<P>& ctx, const io::TensorView& out, const std::string& sizes, bool antialias) {
  using R = typename P::Real;
  const io::TensorView& in = golden.file.at("grid.in." + sizes);
  const int D = static_cast<int>(in.shape[1]), from = static_cast<int>(in.shape[2]),
            to = static_cast<int>(out.shape[2]);
  const auto planes = numbers<R>(in);
  Tensor<R> learned(from * from, D), y(to * to, D);
  for (int d = 0; d < D; ++d)
    for (int i = 0; i < from * from; ++i) learned(i, d) = planes[static_cast<std::size_t>(d * from * from + i)];
  const CubicAxis axis{from, to, static_cast<double>(from) / to, antialias};
  std::vector<Tap> taps;
  append_cubic(axis, axis, 0, axis.taps() * axis.taps(), taps);
  ops::combine(ctx, learned.template rows_on<P>(), table(ctx, taps), y.template rows_on<P>());
  std::vector<R> ours;
  for (int d = 0; d < D; ++d)
    for (int i = 0; i < to * to; ++i) ours.push_back(y(i, d));
  golden.output(out.name, std::span<const R>(ours));
}

template <Platform P = Cpu<float>>
Report check_video(const std::filesystem::path& path) {
  Golden golden(path);
  Context<P> ctx = check_context<P>();
  int checked = 0;
  for (const io::TensorView& tensor : golden.file.tensors()) {
    const std::string name(tensor.name);
    if (name.starts_with("in.")) {
      check_times<P>(golden, ctx, name.substr(3), TimeEnds::meet, "align");
      check_times<P>(golden, ctx, name.substr(3), TimeEnds::halves, "noalign");
      ++checked;
    } else if (name.starts_with("grid.out.")) {
      const std::size_t dot = name.rfind('.');
      check_grid<P>(golden, ctx, tensor, name.substr(9, dot - 9), name.substr(dot + 1) == "antialias");
      ++checked;
    }
  }
  if (checked == 0) golden.report.note("it holds no table to be read");
  return golden.report;
}

}  // namespace flamingo::test
