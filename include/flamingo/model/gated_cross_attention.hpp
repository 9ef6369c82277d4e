/// GATED XATTN-DENSE: what stands before a frozen decoder block (Alayrac et al. 2022, §2.2).
///
///   y = x + tanh(α) attend(norm(x), media)      z = y + tanh(β) feed_forward(norm(y))
///
/// Gates begin at 0, so a new block is the identity, bit for bit. The paper's ablations: without gates both branches
/// are added as they are; VANILLA XATTN is the first line alone.
#pragma once
#include <flamingo/config/xattn.hpp>
#include <flamingo/nn/attention.hpp>
#include <flamingo/nn/feed_forward.hpp>
#include <flamingo/nn/norm.hpp>
#include <flamingo/ops/arrange.hpp>

namespace flamingo::model {

/// x, z (N, D)   media (M R, E)
template <XattnConfig C, int Dim, int MediaDim, Platform P>
struct GatedCrossAttention {
  static constexpr int D = Dim, E = MediaDim, gate_size = C.vector_gates ? D : 1;
  static constexpr bool gated = C.gate == Gate::tanh, has_dense = C.conditioning != Conditioning::vanilla_xattn;
  static_assert(gated || !C.vector_gates, "XattnConfig: vector_gates without a gate");
  static_assert(has_dense || !C.mask_dense, "XattnConfig: VANILLA XATTN has no dense half to mask");
  using NormLayer = nn::Norm<C.norm, D, P>;
  using MediaNorm = nn::LayerNorm<E, P>;
  using Attend = nn::Attention<AttentionConfig{.dim = D,
                                               .source_dim = E,
                                               .heads = C.heads,
                                               .kv_heads = C.key_heads(),
                                               .head_dim = C.head_dim,
                                               .qk_norm = C.qk_norm,
                                               .epsilon = C.epsilon,
                                               .split = C.split},
                               P>;
  static constexpr FeedForwardConfig dense_config{
      .dim = D, .hidden = C.hidden ? C.hidden : C.widening * D, .activation = C.activation, .split = C.split};
  using Dense =
      std::conditional_t<C.gated_dense, nn::GatedFeedForward<dense_config, P>, nn::FeedForward<dense_config, P>>;
  static constexpr int KV = Attend::KV;

  template <class S>
  struct Parameters {
    typename NormLayer::template Parameters<S> norm;
    If<has_dense, typename NormLayer::template Parameters<S>> norm_dense;
    If<C.norm_media, typename MediaNorm::template Parameters<S>> norm_media;
    typename Attend::template Parameters<S> attention;
    If<has_dense, typename Dense::template Parameters<S>> dense;
    If<gated, Vector<S, gate_size>> attention_gate;
    If<gated && has_dense, Vector<S, gate_size>> dense_gate;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto norm = within(visit, "norm"), attention = within(visit, "attention"), second = within(visit, "norm_dense"),
         dense = within(visit, "dense");
    NormLayer::each(norm, p.norm...);
    if constexpr (C.norm_media) {
      auto media = within(visit, "norm_media");
      MediaNorm::each(media, p.norm_media...);
    }
    Attend::each(attention, p.attention...);
    if constexpr (gated) visit(vector_spec("attention_gate", gate_size, Init::zero()), p.attention_gate...);
    if constexpr (has_dense) {
      NormLayer::each(second, p.norm_dense...);
      Dense::each(dense, p.dense...);
      if constexpr (gated) visit(vector_spec("dense_gate", gate_size, Init::zero()), p.dense_gate...);
    }
  }

  /// The keys and values of media, which depend on the media alone: made once for each, then read by every token.
  template <Need need>
  struct SavedMedia {
    typename MediaNorm::template Saved<need> norm;
    If<need.any(), Rows<P, E, const typename P::Real>> media;  ///< after its norm, where it has one
  };
  template <Need need, class W, RowsOn<P> M>
  static SavedMedia<need> project(Context<P>& ctx, const W& w, const M& media, const Rows<P, KV>& k,
                                  const Rows<P, KV>& v) {
    if constexpr (C.norm_media) {
      const auto scope = ctx.scope();
      const auto normed = take<need.any(), E>(ctx, media.rows);
      const auto n = MediaNorm::template forward<need>(ctx, w.norm_media, C.epsilon, media, normed);
      Attend::project(ctx, w.attention, normed, {}, k, v);
      return {n, normed};
    } else {
      Attend::project(ctx, w.attention, media, {}, k, v);
      return {{}, media};
    }
  }
  /// Writes dmedia and adds to g.
  template <Need need, class W, class G, RowsSink<P> DM>
  static void project_backward(Context<P>& ctx, const W& w, const SavedMedia<need>& s, const Rows<P, KV>& dk,
                               const Rows<P, KV>& dv, const DM& dmedia, const G& g) {
    if constexpr (C.norm_media) {
      const auto scope = ctx.scope();
      const auto dnormed = scratch<E>(ctx, dk.rows);
      Attend::project_backward(ctx, w.attention, s.media, {}, dk, dv, dnormed, g.attention);
      MediaNorm::backward(ctx, w.norm_media, s.norm, dnormed, dmedia, g.norm_media);
    } else {
      Attend::project_backward(ctx, w.attention, s.media, {}, dk, dv, dmedia, g.attention);
    }
  }

  template <Need need>
  struct Saved {
    typename NormLayer::template Saved<need> norm;
    If<has_dense, typename NormLayer::template Saved<need>> norm_dense;
    typename Attend::template Saved<need> attention;
    If<has_dense, typename Dense::template Saved<need>> dense;
    If<gated && need.weights, Rows<P, D>> attended;  ///< the branches before their gates
    If<gated && need.weights && has_dense, Rows<P, D>> widened{};
  };

  /// Reads the media's keys and values from `pools`, as `spans` say; rows in no span get nothing from them, and `blind`
  /// rows nothing from the dense half where the config masks it.
  template <Need need, class W, class Seen>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>& x, const Seen& pools, const Spans<P>& spans,
                             const Rows<P, D>& z, View<P, 1, const int> blind = {}) {
    const auto scope = ctx.scope();
    const int N = x.rows;
    constexpr bool branches_kept = gated && need.weights;
    const auto normed = take<need.weights, D>(ctx, N), attended = take<branches_kept, D>(ctx, N);
    const auto n = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, x, normed);
    const auto branch_of = [&](const auto& sum) {
      return Attend::template attend<need>(ctx, w.attention, normed, {}, pools, spans,
                                           onto<branches_kept>(x, w.attention_gate, attended, sum));  // (N, D)
    };
    if constexpr (!has_dense) {
      const auto a = branch_of(z);
      return {n, {}, a, {}, attended};
    } else {
      const auto y = take<need.any(), D>(ctx, N);
      const auto a = branch_of(y);

      const auto normed_y = take<need.weights, D>(ctx, N), widened = take<branches_kept, D>(ctx, N);
      const auto nd = NormLayer::template forward<need>(ctx, w.norm_dense, C.epsilon, y, normed_y);
      const auto end = onto<branches_kept>(y, w.dense_gate, widened, z);
      const auto d = [&] {
        if constexpr (C.mask_dense) {
          const auto masked = Dense::template forward<need>(ctx, w.dense, normed_y, widened);  // (N, D)
          ops::clear_rows(ctx, blind, widened);
          end.add(ctx);
          return masked;
        } else {
          return Dense::template forward<need>(ctx, w.dense, normed_y, end);  // (N, D)
        }
      }();
      return {n, nd, a, d, attended, widened};
    }
  }

  /// Writes dx and the media pool's gradients, and adds to g.
  template <Need need, class W, class G, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Spans<P>& spans, const Rows<P, D>& dz,
                       const DX& dx, const PoolGradients<P>& dpools, const G& g, View<P, 1, const int> blind = {}) {
    const auto scope = ctx.scope();
    const int N = dz.rows;
    const auto dbranch = scratch<D>(ctx, N), dnormed = scratch<D>(ctx, N), dy = scratch<D>(ctx, N);
    if constexpr (has_dense) {
      through_gate(ctx, w.dense_gate, s.widened, dz, dbranch, g.dense_gate);
      if constexpr (C.mask_dense) ops::clear_rows(ctx, blind, dbranch);
      Dense::backward(ctx, w.dense, s.dense, dbranch, dnormed, g.dense);
      NormLayer::backward(ctx, w.norm_dense, s.norm_dense, dnormed, dy, g.norm_dense);
      ops::accumulate(ctx, dz, dy);  // the residual path
    } else {
      ops::copy(ctx, dz, dy);
    }

    through_gate(ctx, w.attention_gate, s.attended, dy, dbranch, g.attention_gate);
    Attend::attend_backward(ctx, w.attention, s.attention, {}, spans, dbranch, dnormed, dpools, g.attention);
    NormLayer::backward(ctx, w.norm, s.norm, dnormed, dx, g.norm);
    ops::accumulate(ctx, dy, dx);  // the residual path
  }

 private:
  /// Writes the gradient of a branch.
  template <class G, class Branch, class DG>
  static void through_gate(Context<P>& ctx, const G& gate, const Branch& branch, const Rows<P, D>& dy,
                           const Rows<P, D>& dbranch, const DG& dgate) {
    if constexpr (gated)
      ops::gated_add_backward(ctx, gate, branch, dy, dbranch, dgate);
    else
      ops::copy(ctx, dy, dbranch);
  }
};

}  // namespace flamingo::model
