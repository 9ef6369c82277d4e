/// The Perceiver Resampler: any number of frames and grid cells in, R latents out (Alayrac et al. 2022, §2.1, App.
/// A.1.1).
#pragma once
#include <array>
#include <span>
#include <vector>

#include <flamingo/config/resampler.hpp>
#include <flamingo/model/projector.hpp>
#include <flamingo/model/video_times.hpp>
#include <flamingo/nn/attention.hpp>
#include <flamingo/nn/feed_forward.hpp>
#include <flamingo/nn/norm.hpp>
#include <flamingo/ops/arrange.hpp>

namespace flamingo {

/// One image or video among the feature rows: `frames` frames of rows / frames grid cells each, one after another.
struct Medium {
  int first = 0, rows = 0;
  int frames = 1;
  int place = 0;    ///< which medium of its document it is, from 0
  int visible = 0;  ///< how many of its R latents are there to be seen (the tiles that a picture has); 0: all
};

/// Of each medium, how many of its R latents are there to be seen.
inline std::vector<int> visible_rows(std::span<const Medium> media, int R) {
  std::vector<int> rows;
  for (const Medium& m : media) rows.push_back(m.visible ? m.visible : R);
  return rows;
}

/// The tables of one Resampler run: who attends to whom, and which embeddings each row gets. Keep it until backward is
/// done.
struct ResamplerPlan {
  int media = 0;
  SpanList spans;            ///< span m: the latents of medium m over its features (pool 0) and themselves (pool 1)
  std::vector<int> latents;  ///< 0 .. R - 1 for each medium
  std::vector<Blend> times;  ///< of each feature row; empty without time embeddings
  std::vector<int> places;   ///< of each feature row

  static ResamplerPlan of(const ResamplerConfig& c, std::span<const Medium> media);
};

namespace model {

/// x <- x + attend(norm(x), [norm(features), norm(x)])      x <- x + feed_forward(norm(x))
template <ResamplerConfig C, Platform P>
struct ResamplerBlock {
  static constexpr int D = C.dim;
  using NormLayer = nn::LayerNorm<D, P>;
  using Attend = nn::Attention<AttentionConfig{.dim = D,
                                               .source_dim = D,
                                               .heads = C.heads,
                                               .kv_heads = C.heads,
                                               .head_dim = C.head_dim,
                                               .qk_norm = C.qk_norm,
                                               .epsilon = C.epsilon},
                               P>;
  using Dense = nn::FeedForward<FeedForwardConfig{.dim = D, .hidden = C.widening* D, .activation = C.activation}, P>;
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
    Attend::project(ctx, w.attention, normed, {}, kx, vx);           // (M R, H K)
    Pools<P> pools;
    pools.add({kf, vf});
    pools.add({kx, vx});
    const auto a = Attend::template attend<need>(ctx, w.attention, normed, {}, pools, spans, branch);  // (M R, D)
    ops::add(ctx, x, branch, middle);

    const auto normed_middle = take<need.weights, D>(ctx, R);
    const auto nd = NormLayer::template forward<need>(ctx, w.norm_dense, C.epsilon, middle, normed_middle);
    const auto d = Dense::template forward<need>(ctx, w.dense, normed_middle, branch);  // (M R, D)
    ops::add(ctx, middle, branch, y);
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

/// features (ΣTS, E) -> latents (M R, O), each image or video by itself.
template <ResamplerConfig C, Platform P>
struct Resampler {
  static_assert(C.dim > 0 && C.latents > 0 && C.layers > 0,
                "ResamplerConfig: dim, latents and layers must be positive");
  static_assert(C.heads > 0 && C.head_dim > 0, "ResamplerConfig: heads and head_dim must be positive");

  static constexpr int D = C.dim, E = C.features(), O = C.out(), R = C.latents, L = C.layers;
  static constexpr bool leads_in = E != D, leads_out = O != D, has_time = C.frames > 0, has_places = C.media > 0;
  static constexpr auto layers = static_cast<std::size_t>(L);
  using Block = ResamplerBlock<C, P>;
  using NormLayer = nn::LayerNorm<D, P>;
  using InputNorm = nn::LayerNorm<E, P>;

  template <class S>
  struct Parameters {
    If<C.norm_input, typename InputNorm::template Parameters<S>> norm_input;
    If<leads_in, Matrix<S, D, E>> lead_in;
    Learned<S, R, D> latents;
    If<has_time, Learned<S, C.frames, D>> times;
    If<has_places, Learned<S, C.media, D>> places;
    std::array<typename Block::template Parameters<S>, layers> blocks;
    If<C.final_norm, typename NormLayer::template Parameters<S>> norm;
    If<leads_out, Matrix<S, O, D>> lead_out;
  };
  static constexpr void each(auto& visit, auto&... p) {
    if constexpr (C.norm_input) {
      auto norm = within(visit, "norm_input");
      InputNorm::each(norm, p.norm_input...);
    }
    if constexpr (leads_in) visit(matrix_spec("lead_in", D, E, Init::normal(0.02f)), p.lead_in...);
    visit(table_spec("latents", R, D, Init::normal(1)), p.latents...);
    if constexpr (has_time) visit(table_spec("times", C.frames, D, Init::normal(0.02f)), p.times...);
    if constexpr (has_places) visit(table_spec("places", C.media, D, Init::normal(0.02f)), p.places...);
    for (std::size_t i = 0; i < layers; ++i) {
      auto block = within(visit, "blocks", static_cast<int>(i));
      Block::each(block, p.blocks[i]...);
    }
    if constexpr (C.final_norm) {
      auto norm = within(visit, "norm");
      NormLayer::each(norm, p.norm...);
    }
    if constexpr (leads_out) visit(matrix_spec("lead_out", O, D, Init::normal(0.02f)), p.lead_out...);
  }

  template <Need need>
  struct Saved {
    typename InputNorm::template Saved<need> norm_input;
    If<need.weights, Rows<P, E, const typename P::Real>> features;  ///< after their norm, where they have one
    std::array<typename Block::template Saved<need>, layers> blocks;
    typename NormLayer::template Saved<need> norm;
    If<leads_out && need.weights, Rows<P, D>> last;  ///< what the last linear map reads
    int rows = 0;
  };

  /// y (M R, O)
  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, E, const typename P::Real>& features,
                             const ResamplerPlan& plan, const Rows<P, O>& y) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    const int N = features.rows;
    Saved<need> saved;
    saved.rows = N;
    auto input = features;
    if constexpr (C.norm_input) {
      const auto normed = take<kept, E>(ctx, N);
      saved.norm_input = InputNorm::template forward<need>(ctx, w.norm_input, C.epsilon, features, normed);
      input = normed;
    }
    saved.features = input;
    const auto x = take<kept, D>(ctx, N);
    if constexpr (leads_in)
      ops::linear(ctx, input, w.lead_in, x);  // (ΣTS, D)
    else
      ops::copy(ctx, input, x);
    if constexpr (has_time) ops::blend(ctx, ops::rows_of(w.times), table(ctx, plan.times), x);
    if constexpr (has_places) add_places(ctx, w, plan, x);

    auto latents = take<kept, D>(ctx, plan.media * R);
    ops::gather(ctx, ops::rows_of(w.latents), table(ctx, plan.latents), latents);  // (M R, D)
    const auto spans = table(ctx, plan.spans);
    Rows<P, D> last;
    if constexpr (leads_out)
      last = take<need.weights, D>(ctx, latents.rows);
    else
      last = y;
    for (std::size_t i = 0; i < layers; ++i) {
      const auto next = C.final_norm || i + 1 < layers ? take<kept, D>(ctx, latents.rows) : last;
      saved.blocks[i] = Block::template forward<need>(ctx, w.blocks[i], x, latents, spans, next);
      latents = next;
    }
    if constexpr (C.final_norm) saved.norm = NormLayer::template forward<need>(ctx, w.norm, C.epsilon, latents, last);
    if constexpr (leads_out) ops::linear(ctx, last, w.lead_out, y);  // (M R, O)
    saved.last = last;
    return saved;
  }

  /// Writes dfeatures (or nothing, for a frozen encoder) and adds to g.
  template <Need need, class W, class G, RowsSink<P> DF>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const ResamplerPlan& plan,
                       const Rows<P, O>& dy, const DF& dfeatures, const G& g) {
    const auto scope = ctx.scope();
    const auto spans = table(ctx, plan.spans);
    const auto dx = scratch<D>(ctx, s.rows);
    auto dlatents = scratch<D>(ctx, dy.rows), dnext = scratch<D>(ctx, dy.rows);
    ops::clear(ctx, dx);
    auto dlast = dnext;
    if constexpr (leads_out)
      ops::linear_backward(ctx, s.last, w.lead_out, dy, dlast, g.lead_out);
    else
      dlast = dy;
    if constexpr (C.final_norm)
      NormLayer::backward(ctx, w.norm, s.norm, dlast, dlatents, g.norm);
    else
      ops::copy(ctx, dlast, dlatents);
    for (std::size_t i = layers; i-- > 0;) {
      Block::backward(ctx, w.blocks[i], s.blocks[i], spans, dlatents, dnext, dx, g.blocks[i]);
      std::swap(dlatents, dnext);
    }
    ops::scatter_add(ctx, dlatents, table(ctx, plan.latents), ops::rows_of(g.latents));
    if constexpr (has_time) ops::blend_backward(ctx, dx, table(ctx, plan.times), ops::rows_of(g.times));
    if constexpr (has_places) ops::scatter_add(ctx, dx, table(ctx, plan.places), ops::rows_of(g.places));
    if constexpr (C.norm_input) {
      const auto dnormed = scratch<E>(ctx, s.rows);
      lead_in_backward(ctx, w, s.features, dx, dnormed, g);
      InputNorm::backward(ctx, w.norm_input, s.norm_input, dnormed, dfeatures, g.norm_input);
    } else {
      lead_in_backward(ctx, w, s.features, dx, dfeatures, g);
    }
  }

 private:
  template <class W, class F, class G, RowsSink<P> DF>
  static void lead_in_backward(Context<P>& ctx, const W& w, const F& features, const Rows<P, D>& dx,
                               const DF& dfeatures, const G& g) {
    if constexpr (leads_in)
      ops::linear_backward(ctx, features, w.lead_in, dx, dfeatures, g.lead_in);
    else if constexpr (wanted<DF>)
      ops::copy(ctx, dx, dfeatures);
  }
  template <class W>
  static void add_places(Context<P>& ctx, const W& w, const ResamplerPlan& plan, const Rows<P, D>& x) {
    const auto scope = ctx.scope();
    const auto rows = scratch<D>(ctx, x.rows);
    ops::gather(ctx, ops::rows_of(w.places), table(ctx, plan.places), rows);
    ops::accumulate(ctx, rows, x);
  }
};

/// No Resampler: the gated blocks read the encoder's rows themselves, R of them a medium (Idefics' use_resampler
/// false).
template <ResamplerConfig C, Platform P>
struct NoResampler {
  static_assert(C.dim > 0 && C.latents > 0, "ResamplerConfig: dim and latents must be positive");
  static_assert(C.features() == C.dim, "ResamplerConfig: without layers nothing leads from vision_dim to dim");
  static_assert(C.out() == C.dim, "ResamplerConfig: without layers nothing leads from dim to out_dim");

  static constexpr int D = C.dim, E = C.dim, R = C.latents, L = 0;

  template <class S>
  struct Parameters {};
  static constexpr void each(auto&, auto&...) {}

  template <Need need>
  struct Saved {};

  /// features, y (M R, D)
  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W&, const Rows<P, E, const typename P::Real>& features,
                             const ResamplerPlan&, const Rows<P, D>& y) {
    ops::copy(ctx, features, y);
    return {};
  }
  template <Need need, class W, class G, RowsSink<P> DF>
  static void backward(Context<P>& ctx, const W&, const Saved<need>&, const ResamplerPlan&, const Rows<P, D>& dy,
                       const DF& dfeatures, const G&) {
    if constexpr (wanted<DF>) ops::copy(ctx, dy, dfeatures);
  }
};

/// Names, as `type`, the Resampler of a config, or what stands in its place.
template <ResamplerConfig C, Platform P>
struct ResamplerOf {
  static_assert(C.layers == 0 || !C.project, "ResamplerConfig: a Resampler has no projector");
  using type = std::conditional_t<(C.layers > 0), Resampler<C, P>,
                                  std::conditional_t<C.project, Projector<C, P>, NoResampler<C, P>>>;
};

}  // namespace model

inline ResamplerPlan ResamplerPlan::of(const ResamplerConfig& c, std::span<const Medium> media) {
  ResamplerPlan plan;
  plan.media = static_cast<int>(media.size());
  for (int m = 0; m < plan.media; ++m) {
    const Medium& medium = media[static_cast<std::size_t>(m)];
    check(medium.frames > 0 && medium.rows > 0 && medium.rows % medium.frames == 0, "resampler", "medium ", m, " has ",
          medium.rows, " rows in ", medium.frames,
          " frames: each frame must have the same number of rows, at least one");
    check(medium.first == static_cast<int>(plan.places.size()), "resampler", "medium ", m, " begins at row ",
          medium.first, ", expected ", plan.places.size(), ": media lie one after another");
    check(c.layers > 0 || medium.rows == c.latents, "resampler", "medium ", m, " has ", medium.rows, " rows, expected ",
          c.latents, ": there is no Resampler");
    check(c.media == 0 || medium.place < c.media, "resampler", "medium ", medium.place,
          " of a document: the table of places has ", c.media, " rows");
    plan.spans.begin(m * c.latents, c.latents);
    plan.spans.add({0, medium.first, medium.rows, 0, 0});
    plan.spans.add({1, m * c.latents, c.latents, 0, 0});
    for (int r = 0; r < c.latents; ++r) plan.latents.push_back(r);
    for (int row = 0; row < medium.rows; ++row) {
      if (c.frames > 0)
        plan.times.push_back(time_of(row / (medium.rows / medium.frames), medium.frames, c.frames, c.time_ends));
      plan.places.push_back(medium.place);
    }
  }
  return plan;
}

}  // namespace flamingo
