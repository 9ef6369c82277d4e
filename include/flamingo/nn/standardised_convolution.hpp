/// StandardisedConvolution: y = Ŵ * x + b with standardised filters Ŵ (ops/standardise.hpp), NFNet's only kind.
#pragma once
#include <span>

#include <flamingo/core/context.hpp>
#include <flamingo/core/kinds.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/convolution.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/standardise.hpp>

namespace flamingo {

struct StandardisedConvolutionConfig {
  int in = 64, out = 64;  ///< channels
  int kernel = 1, stride = 1, groups = 1;
  Standardisation rule{};
  bool folded = false;  ///< the weights are Ŵ itself: no gains, nothing to standardise
};

namespace nn {

/// 1 / √n while compiling: the deviation of weights that keep the variance of n inputs.
constexpr float inverse_root(int n) {
  double root = n;
  for (int i = 0; i < 40; ++i) root = (root + n / root) / 2;  // Newton's steps
  return static_cast<float>(1 / root);
}

/// x (cells, I) on `grids`   y (windows, O)   weight (O, kernel² I / groups)   padding SAME
template <StandardisedConvolutionConfig C, Platform P>
struct StandardisedConvolution {
  static_assert(C.in > 0 && C.out > 0 && C.groups > 0 && C.in % C.groups == 0 && C.out % C.groups == 0,
                "StandardisedConvolutionConfig: channels must be positive and groups divide them");

  static constexpr int I = C.in, O = C.out, N = C.kernel * C.kernel * C.in / C.groups;
  static constexpr Window window = square(C.kernel, C.stride);

  template <class S>
  struct Parameters {
    Matrix<S, O, N> weight;
    If<!C.folded, Vector<S, O>> gain;
    Vector<S, O> bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("weight", O, N, Init::normal(inverse_root(N))), p.weight...);
    if constexpr (!C.folded) visit(vector_spec("gain", O, Init::one()), p.gain...);
    visit(vector_spec("bias", O, Init::zero()), p.bias...);
  }

  template <class W, RowsOn<P> X, RowsOn<P> Y>
  static void forward(Context<P>& ctx, const W& w, const X& x, std::span<const Grid> grids, const Y& y) {
    const auto scope = ctx.scope();
    with_filters(ctx, w, [&](const auto& filters) {
      if constexpr (window.is_cell() && C.groups == 1)
        ops::linear(ctx, x, filters, w.bias, y);
      else
        ops::convolution(ctx, x, grids, filters, w.bias, window, C.groups, y);
    });
  }

  /// Writes dx and adds to g. x is read for g alone.
  template <class W, RowsOn<P> X, RowsOn<P> Y, RowsSink<P> DX, class G>
  static void backward(Context<P>& ctx, const W& w, const X& x, std::span<const Grid> grids, const Y& dy, const DX& dx,
                       const G& g) {
    const auto scope = ctx.scope();
    constexpr bool trained = wanted<decltype(g.weight)>;
    static_assert(!(C.folded && trained), "StandardisedConvolution: folded weights are not trained");
    const auto back = [&](const auto& filters, const auto& dfilters) {
      if constexpr (window.is_cell() && C.groups == 1)
        ops::linear_backward(ctx, x, filters, dy, dx, dfilters, g.bias);
      else
        ops::convolution_backward(ctx, x, grids, filters, window, C.groups, dy, dx, dfilters, g.bias);
    };
    with_filters(ctx, w, [&](const auto& filters) {
      if constexpr (trained) {
        const auto rows = scratch<N>(ctx, O);
        const MatrixView<P, O, N> dfilters{rows.data, {}, {}};
        ops::clear(ctx, rows);
        back(filters, dfilters);
        ops::standardise_backward(ctx, C.rule, w.weight, w.gain, dfilters, g.weight, g.gain);
      } else {
        back(filters, NoGrad{});
      }
    });
  }

 private:
  template <class W, class F>
  static void with_filters(Context<P>& ctx, const W& w, const F& f) {
    if constexpr (C.folded) {
      f(w.weight);
    } else {
      const MatrixView<P, O, N> filters{scratch<N>(ctx, O).data, {}, {}};
      ops::standardise(ctx, C.rule, w.weight, w.gain, filters);
      f(filters);
    }
  }
};

}  // namespace nn
}  // namespace flamingo
