/// LayerNorm and RmsNorm as layers, and Norm, which a NormKind picks: ops/norm.hpp with parameters of their own.
/// UnitNorm has none.
#pragma once
#include <cmath>
#include <type_traits>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/kinds.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/norm.hpp>

namespace flamingo::nn {

/// y = (x - mean) / deviation * scale + bias      x, y (N, D)
template <int D, Platform P, bool Biased = true>
struct LayerNorm {
  template <class S>
  struct Parameters {
    Vector<S, D> scale;
    If<Biased, Vector<S, D>> bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(vector_spec("scale", D, Init::one()), p.scale...);
    if constexpr (Biased) visit(vector_spec("bias", D, Init::zero()), p.bias...);
  }

  template <Need need>
  struct Saved {
    If<need.any(), Rows<P, D, const typename P::Real>> x;
    If<need.any(), Moments<P>> moments;
  };

  template <Need need, class W, RowsOn<P> X, RowsOn<P> Y>
  static Saved<need> forward(Context<P>& ctx, const W& w, float epsilon, const X& x, const Y& y) {
    const Moments<P> moments = take<need.any(), 2, AccumulateOf<P>>(ctx, x.rows);
    ops::layer_norm(ctx, x, w.scale, w.bias, epsilon, y, moments);
    return {x, moments};
  }
  template <Need need, class W, class G, RowsOn<P> Y, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Y& dy, const DX& dx, const G& g) {
    ops::layer_norm_backward(ctx, s.x, s.moments, w.scale, dy, dx, g.scale, g.bias);
  }
};

/// y = x / √(mean(x²) + ε) * scale, + bias where it has one      x, y (N, D)
template <int D, Platform P, bool Biased = false>
struct RmsNorm {
  template <class S>
  struct Parameters {
    Vector<S, D> scale;
    If<Biased, Vector<S, D>> bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(vector_spec("scale", D, Init::one()), p.scale...);
    if constexpr (Biased) visit(vector_spec("bias", D, Init::zero()), p.bias...);
  }

  template <Need need>
  struct Saved {
    If<need.any(), Rows<P, D, const typename P::Real>> x;
    If<need.any(), Moments<P>> moments;
  };

  template <Need need, class W, RowsOn<P> X, RowsOn<P> Y>
  static Saved<need> forward(Context<P>& ctx, const W& w, float epsilon, const X& x, const Y& y) {
    const Moments<P> moments = take<need.any(), 2, AccumulateOf<P>>(ctx, x.rows);
    ops::rms_norm(ctx, x, w.scale, epsilon, y, moments);
    if constexpr (Biased) ops::add_bias(ctx, w.bias, y);
    return {x, moments};
  }
  template <Need need, class W, class G, RowsOn<P> Y, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Y& dy, const DX& dx, const G& g) {
    if constexpr (Biased) ops::add_bias_backward(ctx, dy, g.bias);
    ops::rms_norm_backward(ctx, s.x, s.moments, w.scale, dy, dx, g.scale);
  }
};

/// The norm of a kind over D features.
template <NormKind N, int D, Platform P>
using Norm = std::conditional_t<N == NormKind::rms || N == NormKind::rms_biased,
                                RmsNorm<D, P, N == NormKind::rms_biased>, LayerNorm<D, P, N == NormKind::layer>>;

/// y = x / |x|, the Euclidean length; a row of zeros stays zero      x, y (N, D)
template <int D, Platform P>
struct UnitNorm {
  template <Need need>
  struct Saved {
    If<need.any(), Rows<P, D, const typename P::Real>> x;
    If<need.any(), Moments<P>> moments;
  };

  template <Need need, RowsOn<P> X, RowsOn<P> Y>
  static Saved<need> forward(Context<P>& ctx, const X& x, const Y& y) {
    const Moments<P> moments = take<need.any(), 2, AccumulateOf<P>>(ctx, x.rows);
    ops::rms_norm(ctx, x, scale(ctx), epsilon, y, moments);
    return {x, moments};
  }
  template <Need need, RowsOn<P> Y, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const Saved<need>& s, const Y& dy, const DX& dx) {
    ops::rms_norm_backward(ctx, s.x, s.moments, scale(ctx), dy, dx, NoGrad{});
  }

 private:
  static constexpr float epsilon = 1e-24f / D;  ///< of the mean square: PyTorch bounds the length by 1e-12
  /// |x|² is D times the mean square.
  static auto scale(Context<P>& ctx) {
    using A = AccumulateOf<P>;
    static const std::vector<A> all(static_cast<std::size_t>(D), static_cast<A>(1 / std::sqrt(double{D})));
    return VectorView<P, D, const A>{table(ctx, all).data, {}};
  }
};

}  // namespace flamingo::nn
