/// The residual block of NFNet (Brock et al. 2021, fig. 9): a bottleneck of standardised convolutions, squeeze and
/// excitation, and a learned gain that begins at 0.
#pragma once
#include <span>

#include <flamingo/config/nfnet.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/nn/standardised_convolution.hpp>
#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/excitation.hpp>
#include <flamingo/ops/pooling.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo::model {

/// γ, by which f(x) has variance 1 where x is standard normal; 0 where it is not known.
constexpr double variance_gain(Activation f) {
  switch (f) {
    case Activation::identity:
      return 1;
    case Activation::gelu:
    case Activation::gelu_tanh:
      return 1.7015043497085571;
    case Activation::relu:
      return 1.7139588594436646;
    case Activation::relu6:
      return 1.7131484746932983;
    case Activation::silu:
      return 1.7881293296813965;
    case Activation::quick_gelu:
    case Activation::squared_relu:
      break;
  }
  return 0;
}

template <NfNet C>
inline constexpr Standardisation standardisation{
    C.variance, C.epsilon, C.gamma_in_weights ? static_cast<float>(variance_gain(C.activation)) : 1.0f};

/// A standardised convolution of an NFNet.
template <NfNet C, int D, int O, int kernel, int stride, int groups, Platform P>
using NfNetConvolution = nn::StandardisedConvolution<StandardisedConvolutionConfig{.in = D,
                                                                                   .out = O,
                                                                                   .kernel = kernel,
                                                                                   .stride = stride,
                                                                                   .groups = groups,
                                                                                   .rule = standardisation<C>,
                                                                                   .folded = C.folded},
                                                     P>;

/// What the non-linearity is multiplied with.
template <NfNet C>
inline constexpr double activation_scale = C.gamma_in_weights ? 1 : variance_gain(C.activation);

/// With f = γ activation and picture m's a = α [branch kept]:
///
///   x̂ = β f(x)      h = expand(f(spatial_again(f(spatial(f(reduce x̂))))))      e = excite(relu(squeeze(mean h)))
///   y = shortcut + a skip_gain 2 σ(e) h      shortcut = x, or shortcut(mean of 2 x 2 x̂) where width or size change
///
/// x (cells, D)   h0 (cells, F)   h1, h2 (windows, F)   h, y (windows, O)   mean, e, factor (M, O)   hidden (M, H)
template <NfNet C, NfNetBlock B, Platform P>
struct NfBlock {
  static constexpr int D = B.in, F = B.middle, O = B.out, H = B.squeeze;
  static constexpr bool transition = B.transition();
  static constexpr Window moved = square(3, B.stride), pool = square(2, B.stride);
  static constexpr double scale = activation_scale<C>;
  static constexpr Activation f = C.activation;
  using Real = typename P::Real;
  using Reduce = NfNetConvolution<C, D, F, 1, 1, 1, P>;
  using Spatial = NfNetConvolution<C, F, F, 3, B.stride, B.groups, P>;
  using SpatialAgain = NfNetConvolution<C, F, F, 3, 1, B.groups, P>;
  using Expand = NfNetConvolution<C, F, O, 1, 1, 1, P>;
  using Shortcut = NfNetConvolution<C, D, O, 1, 1, 1, P>;
  using Amounts = View<P, 1, const AccumulateOf<P>>;
  using Grids = std::span<const Grid>;

  template <class S>
  struct Parameters {
    typename Reduce::template Parameters<S> reduce;
    typename Spatial::template Parameters<S> spatial;
    typename SpatialAgain::template Parameters<S> spatial_again;
    typename Expand::template Parameters<S> expand;
    If<transition, typename Shortcut::template Parameters<S>> shortcut;
    Matrix<S, H, O> squeeze;
    Vector<S, H> squeeze_bias;
    Matrix<S, O, H> excite;
    Vector<S, O> excite_bias;
    Vector<S, 1> skip_gain;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto reduce = within(visit, "reduce"), spatial = within(visit, "spatial"), again = within(visit, "spatial_again"),
         expand = within(visit, "expand");
    Reduce::each(reduce, p.reduce...);
    Spatial::each(spatial, p.spatial...);
    SpatialAgain::each(again, p.spatial_again...);
    Expand::each(expand, p.expand...);
    if constexpr (transition) {
      auto shortcut = within(visit, "shortcut");
      Shortcut::each(shortcut, p.shortcut...);
    }
    visit(matrix_spec("squeeze", H, O, Init::normal(nn::inverse_root(O))), p.squeeze...);
    visit(vector_spec("squeeze_bias", H, Init::zero()), p.squeeze_bias...);
    visit(matrix_spec("excite", O, H, Init::normal(nn::inverse_root(H))), p.excite...);
    visit(vector_spec("excite_bias", O, Init::zero()), p.excite_bias...);
    visit(vector_spec("skip_gain", 1, Init::zero()), p.skip_gain...);
  }

  /// What stands before each non-linearity; what stands behind is computed again.
  template <Need need>
  struct Saved {
    If<need.any(), Rows<P, D, const Real>> x;
    If<need.any(), Rows<P, F>> h0, h1, h2;
    If<need.any(), Rows<P, O>> h, mean, e, factor;
    If<need.any(), Rows<P, H>> hidden;
  };

  /// `amounts` (M) are 2 α, or 0 where the picture's branch is dropped; `out` are windows_of(grids, moved). y is not x.
  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D, const Real>& x, Grids grids, Grids out,
                             double beta, Amounts amounts, const Rows<P, O>& y) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    const int M = static_cast<int>(grids.size()), N = x.rows, windows = y.rows;
    const auto h0 = take<kept, F>(ctx, N), h1 = take<kept, F>(ctx, windows), h2 = take<kept, F>(ctx, windows);
    const auto h = take<kept, O>(ctx, windows);
    const auto mean = take<kept, O>(ctx, M), e = take<kept, O>(ctx, M), factor = take<kept, O>(ctx, M);
    const auto hidden = take<kept, H>(ctx, M);
    {
      const auto inner = ctx.scope();
      const auto active = scratch<D>(ctx, N);
      ops::scaled_activate<f>(ctx, scale * beta, x, active);  // x̂ (cells, D)
      Reduce::forward(ctx, w.reduce, active, grids, h0);
      if constexpr (transition) shortcut(ctx, w, active, grids, out, y);
    }
    Spatial::forward(ctx, w.spatial, activated<kept>(ctx, h0), grids, h1);
    SpatialAgain::forward(ctx, w.spatial_again, activated<kept>(ctx, h1), out, h2);
    Expand::forward(ctx, w.expand, activated<kept>(ctx, h2), out, h);

    ops::picture_mean(ctx, h, out, mean);
    ops::linear(ctx, mean, w.squeeze, w.squeeze_bias, hidden);
    const auto rectified = scratch<H>(ctx, M);
    ops::activate<Activation::relu>(ctx, hidden, rectified);
    ops::linear(ctx, rectified, w.excite, w.excite_bias, e);
    ops::excitation(ctx, e, amounts, w.skip_gain, factor);
    if constexpr (transition)
      ops::excite(ctx, y, h, out, factor, y);
    else
      ops::excite(ctx, x, h, out, factor, y);
    return {x, h0, h1, h2, h, mean, e, factor, hidden};
  }

  /// Writes dx and adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, Grids grids, Grids out, double beta,
                       Amounts amounts, const Rows<P, O, const Real>& dy, const Rows<P, D>& dx, const G& g) {
    const auto scope = ctx.scope();
    const int M = static_cast<int>(grids.size()), N = s.x.rows, windows = dy.rows;
    const auto dh = scratch<O>(ctx, windows), dpart = scratch<O>(ctx, windows);
    {
      const auto inner = ctx.scope();
      const auto de = scratch<O>(ctx, M), dmean = scratch<O>(ctx, M);
      const auto rectified = scratch<H>(ctx, M), dhidden = scratch<H>(ctx, M);
      ops::excite_backward(ctx, s.h, out, s.factor, dy, dh, de);
      ops::excitation_backward(ctx, s.e, amounts, w.skip_gain, de, de, g.skip_gain);
      ops::activate<Activation::relu>(ctx, s.hidden, rectified);
      ops::linear_backward(ctx, rectified, w.excite, de, dhidden, g.excite, g.excite_bias);
      ops::activate_backward<Activation::relu>(ctx, s.hidden, dhidden, dhidden);
      ops::linear_backward(ctx, s.mean, w.squeeze, dhidden, dmean, g.squeeze, g.squeeze_bias);
      ops::picture_mean_backward(ctx, out, dmean, dpart);
      ops::accumulate(ctx, dpart, dh);
    }
    const auto d0 = scratch<F>(ctx, N), d1 = scratch<F>(ctx, windows), d2 = scratch<F>(ctx, windows);
    convolution_backward<Expand>(ctx, w.expand, s.h2, out, dh, d2, g.expand);
    convolution_backward<SpatialAgain>(ctx, w.spatial_again, s.h1, out, d2, d1, g.spatial_again);
    convolution_backward<Spatial>(ctx, w.spatial, s.h0, grids, d1, d0, g.spatial);

    const auto active = scratch<D>(ctx, N), dactive = scratch<D>(ctx, N);
    if constexpr (wanted<decltype(g.reduce.weight)>) ops::scaled_activate<f>(ctx, scale * beta, s.x, active);
    Reduce::backward(ctx, w.reduce, active, grids, d0, dactive, g.reduce);
    if constexpr (transition) {
      const auto dshortcut = scratch<D>(ctx, N);
      shortcut_backward(ctx, w, active, grids, out, dy, dshortcut, g);
      ops::accumulate(ctx, dshortcut, dactive);
      ops::scaled_activate_backward<f>(ctx, scale * beta, s.x, dactive, dx);
    } else {
      ops::scaled_activate_backward<f>(ctx, scale * beta, s.x, dactive, dx);
      ops::accumulate(ctx, dy, dx);
    }
  }

 private:
  /// f(z); in place where z is not kept.
  template <bool kept, int Width>
  static Rows<P, Width> activated(Context<P>& ctx, const Rows<P, Width>& z) {
    const auto y = kept ? scratch<Width>(ctx, z.rows) : z;
    ops::scaled_activate<f>(ctx, scale, z, y);
    return y;
  }
  /// The gradient of conv(f(z)) by z.
  template <class Layer, class W, int Width, class DY, class G>
  static void convolution_backward(Context<P>& ctx, const W& w, const Rows<P, Width>& z, Grids grids, const DY& dy,
                                   const Rows<P, Width>& dz, const G& g) {
    const auto scope = ctx.scope();
    const auto active = scratch<Width>(ctx, z.rows);
    if constexpr (wanted<decltype(g.weight)>) ops::scaled_activate<f>(ctx, scale, z, active);
    Layer::backward(ctx, w, active, grids, dy, dz, g);
    ops::scaled_activate_backward<f>(ctx, scale, z, dz, dz);
  }

  template <class W>
  static void shortcut(Context<P>& ctx, const W& w, const Rows<P, D>& active, Grids grids, Grids out,
                       const Rows<P, O>& y) {
    if constexpr (B.stride > 1) {
      const auto pooled = scratch<D>(ctx, y.rows);
      ops::average_pool(ctx, active, grids, pool, pooled);
      Shortcut::forward(ctx, w.shortcut, pooled, out, y);
    } else {
      Shortcut::forward(ctx, w.shortcut, active, out, y);
    }
  }
  template <class W, class G>
  static void shortcut_backward(Context<P>& ctx, const W& w, const Rows<P, D>& active, Grids grids, Grids out,
                                const Rows<P, O, const Real>& dy, const Rows<P, D>& dactive, const G& g) {
    if constexpr (B.stride > 1) {
      const auto pooled = scratch<D>(ctx, dy.rows), dpooled = scratch<D>(ctx, dy.rows);
      if constexpr (wanted<decltype(g.shortcut.weight)>) ops::average_pool(ctx, active, grids, pool, pooled);
      Shortcut::backward(ctx, w.shortcut, pooled, out, dy, dpooled, g.shortcut);
      ops::average_pool_backward(ctx, grids, pool, dpooled, dactive);
    } else {
      Shortcut::backward(ctx, w.shortcut, active, out, dy, dactive, g.shortcut);
    }
  }
};

}  // namespace flamingo::model
