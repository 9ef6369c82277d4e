/// Your own decoder block: attention and feed-forward side by side over one norm, as PaLM's (Chowdhery et al. 2022).
///
///   n = norm(x)      z = x + attend(n) + feed_forward(n)
///
/// The library's decoders have a norm for each half. DecoderStack makes a decoder of any block; a config type of your
/// own picks it (DecoderLayer below).
#pragma once
#include <flamingo/model/decoder.hpp>

namespace little {

struct OneNorm {
  int dim = 32, layers = 2, heads = 2, head_dim = 16, hidden = 64;
  int vocabulary = 32, added = 0, context = 256;
  bool tied = true;
  float epsilon = 1e-5f;

  constexpr flamingo::AttentionConfig attention() const {
    return {.dim = dim, .source_dim = dim, .heads = heads, .kv_heads = heads, .head_dim = head_dim, .rotary = true};
  }
  constexpr flamingo::FeedForwardConfig dense() const {
    return {.dim = dim, .hidden = hidden, .activation = flamingo::Activation::gelu_tanh};
  }
};

template <OneNorm C, flamingo::Platform P>
struct OneNormBlock {
  static constexpr int D = C.dim;
  using NormLayer = flamingo::nn::Norm<flamingo::NormKind::rms, D, P>;
  using Attend = flamingo::nn::Attention<C.attention(), P>;
  using Dense = flamingo::nn::FeedForward<C.dense(), P>;
  static constexpr int KV = Attend::KV;
  using X = flamingo::Rows<P, D>;

  template <class S>
  struct Parameters {
    typename NormLayer::template Parameters<S> norm;
    typename Attend::template Parameters<S> attention;
    typename Dense::template Parameters<S> dense;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto norm = within(visit, "norm"), attention = within(visit, "attention"), dense = within(visit, "dense");
    NormLayer::each(norm, p.norm...);
    Attend::each(attention, p.attention...);
    Dense::each(dense, p.dense...);
  }

  template <flamingo::Need need>
  struct Saved {
    typename NormLayer::template Saved<need> norm;
    flamingo::If<need.weights, X> n;
    typename Attend::template Saved<need> attention;
    typename Dense::template Saved<need> dense;
  };
  template <flamingo::Need need, class W, class Seen, class Between = flamingo::nn::Straight>
  static Saved<need> forward(flamingo::Context<P>& ctx, const W& w, const X& x, const flamingo::Positions<P>& positions,
                             const flamingo::Rows<P, KV>& k, const flamingo::Rows<P, KV>& v, const Seen& pools,
                             const flamingo::Spans<P>& spans, const X& z, const Between& = {}) {
    const auto scope = ctx.scope();
    const auto n = flamingo::take<need.weights, D>(ctx, x.rows), branch = flamingo::scratch<D>(ctx, x.rows);
    Saved<need> s;
    s.norm = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, x, n);
    s.n = n;
    Attend::project(ctx, w.attention, n, positions, k, v);  // (N, KV) into the cache, or the arena
    s.attention = Attend::template attend<need>(ctx, w.attention, n, positions, pools, spans, branch);
    flamingo::ops::add(ctx, x, branch, z);
    s.dense = Dense::template forward<need>(ctx, w.dense, n, branch);
    flamingo::ops::accumulate(ctx, branch, z);
    return s;
  }
  template <flamingo::Need need, class W, class G, class Between = flamingo::nn::Straight>
  static void backward(flamingo::Context<P>& ctx, const W& w, const Saved<need>& s,
                       const flamingo::Positions<P>& positions, const flamingo::Spans<P>& spans, const X& dz,
                       const X& dx, const G& g, const Between& = {}) {
    const auto scope = ctx.scope();
    const int N = dz.rows;
    const auto dn = flamingo::scratch<D>(ctx, N), part = flamingo::scratch<D>(ctx, N);
    const auto dk = flamingo::scratch<KV>(ctx, N), dv = flamingo::scratch<KV>(ctx, N);
    Dense::backward(ctx, w.dense, s.dense, dz, dn, g.dense);
    Attend::attend_backward(ctx, w.attention, s.attention, positions, spans, dz, part, {{{dk, dv}}}, g.attention);
    flamingo::ops::accumulate(ctx, part, dn);
    Attend::project_backward(ctx, w.attention, s.n, positions, dk, dv, part, g.attention);
    flamingo::ops::accumulate(ctx, part, dn);
    NormLayer::backward(ctx, w.norm, s.norm, dn, dx, g.norm);
    flamingo::ops::accumulate(ctx, dz, dx);  // the residual path
  }
};

template <OneNorm C, flamingo::Platform P>
using OneNormDecoder =
    flamingo::model::DecoderStack<flamingo::value_of(C), OneNormBlock<C, P>, flamingo::NormKind::rms, P>;

}  // namespace little

template <little::OneNorm C, flamingo::Platform P>
struct flamingo::DecoderLayer<C, P> {
  using type = little::OneNormDecoder<C, P>;
};
