/// What the layers of a Resampler are: the Perceiver's (Alayrac et al. 2022, App. A.1.1), and those of a plain
/// Transformer and of an MLP, which the paper's ablation puts in its place.
///
/// All have one shape: `rows` are what the layer changes, `features` what it may read besides.
#pragma once
#include <flamingo/config/resampler.hpp>
#include <flamingo/nn/attention.hpp>
#include <flamingo/nn/feed_forward.hpp>
#include <flamingo/nn/norm.hpp>
#include <flamingo/nn/transformer_block.hpp>

namespace flamingo {

/// Attention and feed-forward of a Resampler's layer; all widths are D.
constexpr TransformerBlockConfig layer_of(const ResamplerConfig& c) {
  return {.attention = {.dim = c.dim,
                        .source_dim = c.dim,
                        .heads = c.heads,
                        .kv_heads = c.heads,
                        .head_dim = c.head_dim,
                        .qk_norm = c.qk_norm,
                        .epsilon = c.epsilon},
          .dense = {.dim = c.dim, .hidden = c.widening * c.dim, .activation = c.activation},
          .epsilon = c.epsilon};
}

namespace model {

/// x <- x + attend(norm(x), [norm(features), norm(x)])      x <- x + feed_forward(norm(x))
template <ResamplerConfig C, Platform P>
struct ResamplerBlock {
  static constexpr int D = C.dim;
  using NormLayer = nn::LayerNorm<D, P>;
  using Attend = nn::Attention<layer_of(C).attention, P>;
  using Dense = nn::FeedForward<layer_of(C).dense, P>;
  static constexpr int KV = Attend::KV;

  template <class S>
  struct Parameters {
    typename NormLayer::template Parameters<S> norm_features, norm_latents, norm_dense;
    typename Attend::template Parameters<S> attention;
    typename Dense::template Parameters<S> dense;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto features = within(visit, "norm_features"), latents = within(visit, "norm_latents"),
         attention = within(visit, "attention"), norm = within(visit, "norm_dense"), dense = within(visit, "dense");
    NormLayer::each(features, p.norm_features...);
    NormLayer::each(latents, p.norm_latents...);
    Attend::each(attention, p.attention...);
    NormLayer::each(norm, p.norm_dense...);
    Dense::each(dense, p.dense...);
  }

  template <Need need>
  struct Saved {
    typename NormLayer::template Saved<need> norm_features, norm_latents, norm_dense;
    If<need.any(), Rows<P, D>> features, latents;  ///< after their norms
    typename Attend::template Saved<need> attention;
    typename Dense::template Saved<need> dense;
  };

  /// features (ΣTS, D), x (M R, D), both before their norms; y may not be x.
  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>& features, const Rows<P, D>& x,
                             const Spans<P>& spans, const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    const int N = features.rows, R = x.rows;
    const auto normed_features = take<kept, D>(ctx, N), normed = take<kept, D>(ctx, R);
    const auto kf = take<kept, KV>(ctx, N), vf = take<kept, KV>(ctx, N);
    const auto kx = take<kept, KV>(ctx, R), vx = take<kept, KV>(ctx, R);
    const auto middle = take<kept, D>(ctx, R), branch = scratch<D>(ctx, R);

    const auto nf = NormLayer::template forward<need>(ctx, w.norm_features, C.epsilon, features, normed_features);
    const auto nx = NormLayer::template forward<need>(ctx, w.norm_latents, C.epsilon, x, normed);
    Attend::project(ctx, w.attention, normed_features, {}, kf, vf);  // (ΣTS, H K)
    Pools<P> pools;
    pools.add({kf, vf});
    pools.add({kx, vx});
    const auto a = Attend::template attend_self<need>(ctx, w.attention, normed, {}, kx, vx, pools, spans,
                                                      onto(x, branch, middle));  // (M R, D)

    const auto normed_middle = take<need.weights, D>(ctx, R);
    const auto nd = NormLayer::template forward<need>(ctx, w.norm_dense, C.epsilon, middle, normed_middle);
    const auto d = Dense::template forward<need>(ctx, w.dense, normed_middle, onto(middle, branch, y));  // (M R, D)
    return {nf, nx, nd, normed_features, normed, a, d};
  }

  /// Writes dx; adds to dfeatures, which every block's features share, and to g.
  template <Need need, class W, class G, RowsSink<P> DF>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Spans<P>& spans, const Rows<P, D>& dy,
                       const Rows<P, D>& dx, const DF& dfeatures, const G& g) {
    const auto scope = ctx.scope();
    const int N = s.features.rows, R = dy.rows;
    const auto dmiddle = scratch<D>(ctx, R), dbranch = scratch<D>(ctx, R), dnormed = scratch<D>(ctx, R);
    Dense::backward(ctx, w.dense, s.dense, dy, dbranch, g.dense);
    NormLayer::backward(ctx, w.norm_dense, s.norm_dense, dbranch, dmiddle, g.norm_dense);
    ops::accumulate(ctx, dy, dmiddle);  // the residual path

    const auto dkf = scratch<KV>(ctx, N), dvf = scratch<KV>(ctx, N), dkx = scratch<KV>(ctx, R),
               dvx = scratch<KV>(ctx, R);
    const PoolGradients<P> dpools{{{dkf, dvf}, {dkx, dvx}}};
    Attend::attend_backward(ctx, w.attention, s.attention, {}, spans, dmiddle, dnormed, dpools, g.attention);
    Attend::project_backward(ctx, w.attention, s.latents, {}, dkx, dvx, dbranch, g.attention);
    ops::accumulate(ctx, dbranch, dnormed);  // the latents ask and are asked
    NormLayer::backward(ctx, w.norm_latents, s.norm_latents, dnormed, dx, g.norm_latents);
    ops::accumulate(ctx, dmiddle, dx);  // the residual path

    const auto dnormed_features = scratch<D>(ctx, N), part = scratch<D>(ctx, N);
    Attend::project_backward(ctx, w.attention, s.features, {}, dkf, dvf, dnormed_features, g.attention);
    if constexpr (wanted<DF>) {
      NormLayer::backward(ctx, w.norm_features, s.norm_features, dnormed_features, part, g.norm_features);
      ops::accumulate(ctx, part, dfeatures);
    } else {
      NormLayer::backward(ctx, w.norm_features, s.norm_features, dnormed_features, NoGrad{}, g.norm_features);
    }
  }
};

/// rows <- rows + attend(norm(rows), norm(rows))      rows <- rows + feed_forward(norm(rows))
///
/// nn/transformer_block.hpp over features and latents alike, without positions.
template <ResamplerConfig C, Platform P>
struct ResamplerTransformerLayer : nn::TransformerBlock<layer_of(C), P> {
  using Base = nn::TransformerBlock<layer_of(C), P>;
  static constexpr int D = C.dim;

  template <Need need, class W>
  static typename Base::template Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>&,
                                                     const Rows<P, D>& x, const Spans<P>& spans, const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    const auto k = take<need.any(), Base::KV>(ctx, x.rows), v = take<need.any(), Base::KV>(ctx, x.rows);
    Pools<P> pools;
    pools.add({k, v});
    return Base::template forward<need>(ctx, w, x, {}, k, v, pools, spans, y);
  }
  /// Writes dx and adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const typename Base::template Saved<need>& s, const Spans<P>& spans,
                       const Rows<P, D>& dy, const Rows<P, D>& dx, const Rows<P, D>&, const G& g) {
    Base::template backward<need>(ctx, w, s, {}, spans, dy, dx, g);
  }
};

/// rows <- rows + feed_forward(norm(rows))
template <ResamplerConfig C, Platform P>
struct ResamplerMlpLayer {
  static constexpr int D = C.dim;
  using NormLayer = nn::LayerNorm<D, P>;
  using Dense = nn::FeedForward<layer_of(C).dense, P>;

  template <class S>
  struct Parameters {
    typename NormLayer::template Parameters<S> norm;
    typename Dense::template Parameters<S> dense;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto norm = within(visit, "norm"), dense = within(visit, "dense");
    NormLayer::each(norm, p.norm...);
    Dense::each(dense, p.dense...);
  }

  template <Need need>
  struct Saved {
    typename NormLayer::template Saved<need> norm;
    typename Dense::template Saved<need> dense;
  };

  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>&, const Rows<P, D>& x, const Spans<P>&,
                             const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    const auto normed = take<need.weights, D>(ctx, x.rows), branch = scratch<D>(ctx, x.rows);
    const auto n = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, x, normed);
    const auto d = Dense::template forward<need>(ctx, w.dense, normed, onto(x, branch, y));  // (ΣTS, D)
    return {n, d};
  }
  /// Writes dx and adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Spans<P>&, const Rows<P, D>& dy,
                       const Rows<P, D>& dx, const Rows<P, D>&, const G& g) {
    const auto scope = ctx.scope();
    const auto dnormed = scratch<D>(ctx, dy.rows);
    Dense::backward(ctx, w.dense, s.dense, dy, dnormed, g.dense);
    NormLayer::backward(ctx, w.norm, s.norm, dnormed, dx, g.norm);
    ops::accumulate(ctx, dy, dx);  // the residual path
  }
};

/// Names, as `type`, the layer of a kind of Resampler.
template <ResamplerConfig C, Platform P, ResamplerKind Kind = C.kind>
struct ResamplerLayerOf {
  using type = ResamplerBlock<C, P>;
};
template <ResamplerConfig C, Platform P>
struct ResamplerLayerOf<C, P, ResamplerKind::transformer> {
  using type = ResamplerTransformerLayer<C, P>;
};
template <ResamplerConfig C, Platform P>
struct ResamplerLayerOf<C, P, ResamplerKind::mlp> {
  using type = ResamplerMlpLayer<C, P>;
};

}  // namespace model
}  // namespace flamingo
