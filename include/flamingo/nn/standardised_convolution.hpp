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

  constexpr Window window() const { return square(kernel, stride); }
  /// A product of rows: the matrix product reads them in place.
  constexpr bool is_product() const { return window().is_cell() && groups == 1; }
};

namespace nn {

/// 1 / √n while compiling: the deviation of weights that keep the variance of n inputs.
constexpr float inverse_root(int n) {
  double root = n;
  for (int i = 0; i < 40; ++i) root = (root + n / root) / 2;  // Newton's steps
  return static_cast<float>(1 / root);
}

namespace detail {

/// The computation, compiled once and not once for each shape: an NFNet has dozens.
template <Platform P>
struct StandardisedConvolutionOf {
  using Filters = MatrixView<P, dynamic, dynamic>;
  using Numbers = VectorView<P, dynamic>;
  using Grids = std::span<const Grid>;
  const StandardisedConvolutionConfig& c;

  /// `gain` is nothing where the weights are folded.
  template <class W, class Gain>
  void forward(Context<P>& ctx, const W& weight, const Gain& gain, const Numbers& bias, In<P> x, Grids grids,
               Out<P> y) const {
    const auto scope = ctx.scope();
    with_filters(ctx, weight, gain, [&](const auto& filters) {
      if (c.is_product())
        ops::linear(ctx, x, filters, bias, y);
      else
        ops::convolution(ctx, x, grids, filters, bias, c.window(), c.groups, y);
    });
  }
  template <class W, class Gain, RowsSink<P> DX, class DW, class DGain, class DBias>
  void backward(Context<P>& ctx, const W& weight, const Gain& gain, In<P> x, Grids grids, In<P> dy, const DX& dx,
                const DW& dweight, const DGain& dgain, const DBias& dbias) const {
    const auto scope = ctx.scope();
    const auto back = [&](const auto& filters, const auto& dfilters) {
      if (c.is_product())
        ops::linear_backward(ctx, x, filters, dy, dx, dfilters, dbias);
      else
        ops::convolution_backward(ctx, x, grids, filters, c.window(), c.groups, dy, dx, dfilters, dbias);
    };
    with_filters(ctx, weight, gain, [&](const auto& filters) {
      if constexpr (wanted<DW> && wanted<Gain>) {
        const auto rows = scratch<dynamic, AccumulateOf<P>>(ctx, weight.rows, weight.columns);
        const MatrixView<P, dynamic, dynamic, AccumulateOf<P>> dfilters{rows.data, weight.rows, weight.columns};
        ops::clear(ctx, rows);
        back(filters, dfilters);
        ops::standardise_backward(ctx, c.rule, weight, gain, dfilters, dweight, dgain);
      } else {
        back(filters, dweight);
      }
    });
  }

 private:
  template <class W, class Gain, class F>
  void with_filters(Context<P>& ctx, const W& weight, const Gain& gain, const F& f) const {
    if constexpr (wanted<Gain>) {
      const Filters filters{scratch(ctx, weight.rows, weight.columns).data, weight.rows, weight.columns};
      ops::standardise(ctx, c.rule, weight, gain, filters);
      f(filters);
    } else {
      f(weight);
    }
  }
};

}  // namespace detail

/// x (cells, D) on `grids`   y (windows, O)   weight (O, kernel² D / groups)   padding SAME
template <StandardisedConvolutionConfig C, Platform P>
struct StandardisedConvolution {
  static_assert(C.in > 0 && C.out > 0 && C.groups > 0 && C.in % C.groups == 0 && C.out % C.groups == 0,
                "StandardisedConvolutionConfig: channels must be positive and groups divide them");

  static constexpr int D = C.in, O = C.out, N = C.kernel * C.kernel * C.in / C.groups;
  static constexpr StandardisedConvolutionConfig config = C;
  using Real = typename P::Real;

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

  template <class W>
  static void forward(Context<P>& ctx, const W& w, const Rows<P, D, const Real>& x, std::span<const Grid> grids,
                      const Rows<P, O>& y) {
    detail::StandardisedConvolutionOf<P>{config}.forward(ctx, any(w.weight), any(w.gain), any(w.bias), x, grids,
                                                         any(y));
  }
  /// Writes dx and adds to g. x is read for g alone.
  template <class W, RowsSink<P> DX, class G>
  static void backward(Context<P>& ctx, const W& w, const Rows<P, D, const Real>& x, std::span<const Grid> grids,
                       const Rows<P, O, const Real>& dy, const DX& dx, const G& g) {
    static_assert(agree(width_of<DX>, D), "StandardisedConvolution: the width of dx differs from that of x");
    detail::StandardisedConvolutionOf<P>{config}.backward(ctx, any(w.weight), any(w.gain), x, grids, dy, any(dx),
                                                          any(g.weight), any(g.gain), any(g.bias));
  }
};

}  // namespace nn
}  // namespace flamingo
