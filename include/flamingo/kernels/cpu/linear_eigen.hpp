/// Dense products on the CPU where Eigen multiplies.
#pragma once
#include <utility>

#include <flamingo/kernels/cpu/bf16_pairs.hpp>
#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/gemm_eigen.hpp>
#include <flamingo/kernels/cpu/linear_bias.hpp>
#include <flamingo/kernels/cpu/panels.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Linear<Cpu<R, Set, Products::eigen>> : LinearBias<Cpu<R, Set, Products::eigen>> {
  using P = Cpu<R, Set, Products::eigen>;
  using G = EigenGemm<R, Set>;

  /// The scales of int8 rows multiply their sums, as in our own product.
  template <class W>
  static void forward(Context<P>& ctx, In<P> x, W w, Out<P> y) {
    const float* scales = nullptr;
    if constexpr (requires { w.panels; }) {
      if (ctx.rounds_to_bf16 && w.format == Format::bf16)
        x.data = rounded_to_bf16(ctx.threads(), x.data, static_cast<std::size_t>(x.width), x.rows, x.width);
      scales = std::exchange(w.scales, nullptr);
    }
    const auto source = source_of<R>(w);
    G::template run_source<true>(ctx.threads(), x.rows, w.rows, w.columns, rows_of(x), result(y), source,
                                 [&](int k0, int kn, int n0, int nn, R* panels) {
                                   if constexpr (requires { w.panels; })
                                     if (w.panels) return pack(w, k0, kn, n0, nn, panels);
                                   G::pack_columns(source, k0, kn, n0, nn, panels);
                                 });
    if (!scales) return;
    const Eigen::Map<const Eigen::ArrayXf> s(scales, y.width);
    for (int n = 0; n < y.rows; ++n) line(y, n) *= s.template cast<R>();
  }

  template <class W>
  static void backward_input(Context<P>& ctx, const W& w, In<P> dy, Out<P> dx) {
    if constexpr (requires { w.panels; })
      if (ctx.rounds_to_bf16 && w.format == Format::bf16)
        dy.data = rounded_to_bf16(ctx.threads(), dy.data, static_cast<std::size_t>(dy.width), dy.rows, dy.width);
    const auto source = source_of<R>(w);
    G::template run_source<false>(
        ctx.threads(), dy.rows, w.columns, w.rows, rows_of(dy), result(dx), source,
        [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_rows(source, k0, kn, n0, nn, panels); });
  }

  template <int O, int D>
  static void backward_weight(Context<P>& ctx, In<P> x, In<P> dy, const MatrixView<P, O, D, R>& dw) {
    const AnySource<R> source(PlainSource<R, R>{x.data, static_cast<std::size_t>(x.width)});
    G::template run_source<false>(
        ctx.threads(), dw.rows, dw.columns, x.rows, {dy.data, 1, static_cast<std::size_t>(dy.width)},
        {dw.data, static_cast<std::size_t>(dw.columns), true}, source,
        [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_rows(source, k0, kn, n0, nn, panels); });
  }

 private:
  static typename G::Left rows_of(In<P> x) { return {x.data, static_cast<std::size_t>(x.width), 1}; }
  static typename G::Result result(Out<P> y) { return {y.data, static_cast<std::size_t>(y.width), false}; }

  /// Columns n0 .. n0 + nn of wᵀ out of the weights' own panels, which are narrower.
  template <int O, int D>
  static void pack(const PackedMatrix<P, O, D>& w, int k0, int kn, int n0, int nn, R* to) {
    const int width = G::whole(nn);
    with_format(w.format, [&]<Format F>() {
      alignas(64) R numbers[std::size_t{G::kc} * panel_rows];
      for (int n = n0; n < n0 + nn;) {
        // A task's columns may begin within a panel.
        const int j = n % panel_rows, count = std::min(panel_rows - j, n0 + nn - n);
        widen<Set, R, F, panel_rows>(w.data + static_cast<std::size_t>(n - j) * w.row_bytes(), 0, k0, kn, numbers);
        for (int k = 0; k < kn; ++k) std::copy_n(numbers + k * panel_rows + j, count, to + k * width + n - n0);
        n += count;
      }
    });
    for (int k = 0; k < kn; ++k) std::fill(to + k * width + nn, to + (k + 1) * width, R(0));
  }
};

}  // namespace flamingo::kernels
