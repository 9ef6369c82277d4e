/// What vision encoders ask of Cuda besides operations.hpp, run once on a platform.
#pragma once
#include <array>

#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/convolution.hpp>
#include <flamingo/ops/excitation.hpp>
#include <flamingo/ops/pooling.hpp>
#include <flamingo/ops/residual.hpp>
#include <flamingo/ops/sinusoid.hpp>
#include <flamingo/ops/standardise.hpp>

#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

/// Most numbers that one result below is a sum of, times the roundings of a term.
inline constexpr std::size_t roundings_of_vision_operations = 4 * 131;

template <Platform P>
struct VisionOperations : Run<P> {
  using typename Run<P>::R;
  using typename Run<P>::A;
  using Run<P>::ctx;

  /// Of three sizes, the first two alike.
  static constexpr std::array<Grid, 4> ragged{{{0, 5, 7}, {35, 5, 7}, {70, 9, 4}, {106, 3, 3}}};
  static constexpr std::array<Grid, 4> alike{{{0, 5, 6}, {30, 5, 6}, {60, 5, 6}, {90, 5, 6}}};
  std::array<Grid, 4> pictures = ragged;
  int cells = cells_of(ragged), count = 4;

  MatrixView<P, dynamic, dynamic, A> gradients(int out, int in, std::uint64_t stream) {
    const auto size = static_cast<std::size_t>(out) * static_cast<std::size_t>(in);
    return {this->put(this->template drawn_numbers<A>(size, stream)), Extent<dynamic>(out), Extent<dynamic>(in)};
  }

  void pooling(const std::string& name, const Window& window, int D) {
    const int windows = cells_of(windows_of(pictures, window));
    const auto x = this->rows(cells, D, 1), dy = this->rows(windows, D, 2), y = this->blank(windows, D),
               dx = this->blank(cells, D);
    ops::max_pool(ctx, x, pictures, window, y);
    ops::max_pool_backward(ctx, x, pictures, window, dy, dx);
    this->report(name + " max y", y);
    this->report(name + " max dx", dx);
    ops::average_pool(ctx, x, pictures, window, y);
    ops::average_pool_backward(ctx, pictures, window, dy, dx);
    this->report(name + " average y", y);
    this->report(name + " average dx", dx);
  }
  void means(int D) {
    const auto x = this->rows(cells, D, 3), dy = this->rows(count, D, 4), y = this->blank(count, D),
               dx = this->blank(cells, D);
    ops::picture_mean(ctx, x, pictures, y);
    ops::picture_mean_backward(ctx, pictures, dy, dx);
    this->report("mean y", y);
    this->report("mean dx", dx);
  }
  void poolings() {
    pooling("same", square(2, 2), 8);
    pooling("symmetric", square(3, 2, Padding::symmetric, 1), 5);
    pooling("valid", {3, 2, 1, Padding::valid, 0}, 4);
    means(8);
    means(37);
  }

  void convolution(const std::string& name, const Window& window, int in, int out, int groups, Clip clip = {}) {
    const int windows = cells_of(windows_of(pictures, window)), columns = window.cells() * in / groups;
    const auto x = this->rows(cells, in, 31), dy = this->rows(windows, out, 32), y = this->blank(windows, out),
               dx = this->blank(cells, in);
    const auto w = this->matrix(out, columns, 33);
    const auto dw = gradients(out, columns, 34);
    const auto b = this->vector(out, 35), db = this->vector(out, 36);
    ops::convolution(ctx, x, pictures, w, b, window, groups, y, clip);
    this->report(name + " y", y);
    ops::convolution(ctx, x, pictures, w, window, groups, y);
    this->report(name + " y without bias", y);
    ops::convolution_backward(ctx, x, pictures, w, window, groups, dy, dx, dw, db);
    this->report(name + " dx", dx);
    this->report(name + " dw", dw);
    this->report(name + " db", db);
  }
  void convolutions() {
    convolution("convolution", square(3, 2), 8, 12, 1);
    convolution("pixels", square(3, 1, Padding::symmetric, 1), 3, 7, 1, {-1, 2});
    convolution("groups", square(3), 12, 8, 2);
    convolution("a cell", Window{}, 5, 70, 1);
    convolution("long", {2, 3, 1, Padding::valid, 0}, 16, 4, 1);
    convolution("depthwise", square(3, 2), 8, 8, 8, Clip::relu6());
    convolution("depthwise, odd", square(2, 1, Padding::valid), 35, 35, 35);
    convolution("multiplied", square(2), 3, 6, 3);
  }

  void excitation(int D) {
    const auto z = this->rows(count, D, 11), df = this->rows(count, D, 12), f = this->blank(count, D),
               dz = this->blank(count, D);
    const auto gain = this->template vector<1>(1, 13), dgain = this->template vector<1>(1, 14);
    const std::vector<A> numbers{A(2), A(0), A(0.5), A(-1)};
    const auto amounts = table(ctx, numbers);
    ops::excitation(ctx, z, amounts, gain, f);
    ops::excitation_backward(ctx, z, amounts, gain, df, dz, dgain);
    this->report("excitation f", f);
    this->report("excitation dz", dz);
    this->report("excitation dgain", dgain);
    const auto x = this->rows(cells, D, 15), h = this->rows(cells, D, 16), dy = this->rows(cells, D, 17),
               y = this->blank(cells, D), dh = this->blank(cells, D);
    ops::excite(ctx, x, h, pictures, df, y);
    ops::excite_backward(ctx, h, pictures, df, dy, dh, f);
    this->report("excite y", y);
    this->report("excite dh", dh);
    this->report("excite df", f);
    ops::excite(ctx, x, h, pictures, df, x);  // in place
    this->report("excite in place", x);
  }
  void excitations() {
    excitation(8);
    excitation(35);
  }

  void of_pictures(const std::array<Grid, 4>& grids) {
    pictures = grids;
    cells = cells_of(pictures);
    poolings();
    convolutions();
    excitations();
  }

  void standardise(const Standardisation& rule, int N) {
    const int O = 7;
    const auto w = this->matrix(O, N, 21), y = this->matrix(O, N, 22);
    const auto dw = gradients(O, N, 23), dy = gradients(O, N, 24);
    const auto gain = this->vector(O, 25), dgain = this->vector(O, 26);
    ops::standardise(ctx, rule, w, gain, y);
    ops::standardise_backward(ctx, rule, w, gain, dy, dw, dgain);
    this->report("standardise y", y);
    this->report("standardise dw", dw);
    this->report("standardise dgain", dgain);
    ops::standardise(ctx, rule, w, gain, w);
    this->report("standardise in place", w);
  }
  void standardisations() {
    standardise({WeightVariance::floor, 1e-4f, 1.7f}, 36);
    standardise({WeightVariance::floor, 30, 1}, 37);  // ε holds some filters
    standardise({WeightVariance::added, 1e-2f, 1}, 131);
  }

  void scaled(int D) {
    const auto x = this->rows(7, D, 41), dy = this->rows(7, D, 42), y = this->blank(7, D), dx = this->rows(7, D, 43);
    ops::scaled_activate<Activation::gelu>(ctx, 1.7, x, y);
    ops::scaled_activate_backward<Activation::gelu>(ctx, 1.7, x, dy, dx);
    this->report("scaled y", y);
    this->report("scaled dx", dx);
    ops::subtract(ctx, x, dy, y);
    this->report("subtract", y);
    const auto s = this->template vector<1>(1, 44), ds = this->template vector<1>(1, 45);
    ops::exp_scale(ctx, x, s, y);
    ops::exp_scale_backward(ctx, s, y, dy, dx, ds);
    this->report("exp_scale y", y);
    this->report("exp_scale dx", dx);
    this->report("exp_scale ds", ds);
  }

  void combine(int D) {
    const int N = 31, V = 6, K = 9;  // more taps than a block looks at
    std::vector<Tap> list;
    for (int i = 0; i < N * K; ++i) list.push_back({i * i % 5, 0.125f * static_cast<float>(i % 7 - 3)});
    const auto taps = table(ctx, list);
    const auto entries = this->rows(V, D, 51), dy = this->rows(N, D, 52), y = this->blank(N, D),
               dentries = this->rows(V, D, 53);
    ops::combine(ctx, entries, taps, y);
    ops::combine_backward(ctx, dy, taps, dentries);
    this->report("combine", y);
    this->report("combine_backward", dentries);
    const auto wide = this->rows(N, 3 * D + 1, 54);
    ops::read_columns(ctx, wide, 2, 3, y);
    this->report("read_columns", y);
    ops::write_columns(ctx, dy, 1, 2, wide);
    this->report("write_columns", wide);
  }

  void sinusoid() {
    const auto y = this->blank(9, 14);
    ops::sinusoid(ctx, 29, y);
    this->report("sinusoid", y);
  }
};

template <Platform P>
Results vision_operations() {
  VisionOperations<P> run;
  run.of_pictures(run.ragged);
  run.of_pictures(run.alike);
  run.standardisations();
  run.scaled(8);
  run.scaled(5);
  run.combine(8);
  run.combine(5);
  run.sinusoid();
  return run.results;
}

}  // namespace flamingo::test
