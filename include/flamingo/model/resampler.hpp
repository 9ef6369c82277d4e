/// The Perceiver Resampler: any number of frames and grid cells in, R latents out (Alayrac et al. 2022, §2.1, App.
/// A.1.1). The paper's ablation puts a plain Transformer or an MLP in its place: they have other layers between the
/// same ends (model/resampler_layers.hpp).
#pragma once
#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/config/resampler.hpp>
#include <flamingo/model/projector.hpp>
#include <flamingo/model/resampler_layers.hpp>
#include <flamingo/model/video_times.hpp>
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
  SpanList spans;  ///< span m: the latents of medium m over its features (pool 0) and themselves (pool 1); a plain
                   ///< Transformer's rows are all in pool 0, the features of all media before their latents
  std::vector<int> latents;  ///< 0 .. R - 1 for each medium
  std::vector<Tap> means;    ///< of an MLP's rows, each latent's
  std::vector<Blend> times;  ///< of each feature row; empty without time embeddings
  std::vector<int> places;   ///< of each feature row

  static ResamplerPlan of(const ResamplerConfig& c, std::span<const Medium> media);

 private:
  void add_spans(const ResamplerConfig& c, const Medium& medium, int m, int feature_rows);
  void add_means(const Medium& medium, int R, int most);
};

namespace model {

/// features (ΣTS, E) -> latents (M R, O), each image or video by itself. The layers change the latents, or a plain
/// Transformer's the features with them, or an MLP's the features alone.
template <ResamplerConfig C, Platform P>
struct Resampler {
  static_assert(C.dim > 0 && C.latents > 0 && C.layers > 0,
                "ResamplerConfig: dim, latents and layers must be positive");
  static_assert(C.heads > 0 && C.head_dim > 0, "ResamplerConfig: heads and head_dim must be positive");

  static constexpr int D = C.dim, E = C.features(), O = C.out(), R = C.latents, L = C.layers;
  static constexpr bool leads_in = E != D, leads_out = O != D, has_time = C.frames > 0, has_places = C.media > 0;
  static constexpr auto layers = static_cast<std::size_t>(L);
  static constexpr bool has_latents = C.kind != ResamplerKind::mlp,
                        changes_features = C.kind != ResamplerKind::perceiver;
  using Block = typename ResamplerLayerOf<C, P>::type;
  using NormLayer = nn::LayerNorm<D, P>;
  using InputNorm = nn::LayerNorm<E, P>;

  template <class S>
  struct Parameters {
    If<C.norm_input, typename InputNorm::template Parameters<S>> norm_input;
    If<leads_in, Matrix<S, D, E>> lead_in;
    If<has_latents, Learned<S, R, D>> latents;
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
    if constexpr (has_latents) visit(table_spec("latents", R, D, Init::normal(1)), p.latents...);
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
    const int N = features.rows, MR = plan.media * R;
    Saved<need> saved;
    saved.rows = N;
    auto input = features;
    if constexpr (C.norm_input) {
      const auto normed = take<kept, E>(ctx, N);
      saved.norm_input = InputNorm::template forward<need>(ctx, w.norm_input, C.epsilon, features, normed);
      input = normed;
    }
    saved.features = input;
    auto rows = take<kept, D>(ctx, (changes_features ? N : 0) + (has_latents ? MR : 0));
    const auto x = changes_features ? rows.slice(0, N) : take<kept, D>(ctx, N);
    if constexpr (leads_in)
      ops::linear(ctx, input, w.lead_in, x);  // (ΣTS, D)
    else
      ops::copy(ctx, input, x);
    if constexpr (has_time) ops::blend(ctx, ops::rows_of(w.times), table(ctx, plan.times), x);
    if constexpr (has_places) add_places(ctx, w, plan, x);
    if constexpr (has_latents)
      ops::gather(ctx, ops::rows_of(w.latents), table(ctx, plan.latents), latents_of(rows, MR));

    const auto spans = table(ctx, plan.spans);
    Rows<P, D> last;
    if constexpr (leads_out)
      last = take<need.weights, D>(ctx, MR);
    else
      last = y;
    for (std::size_t i = 0; i < layers; ++i) {
      const bool ends = !C.final_norm && !changes_features && i + 1 == layers;
      const auto next = ends ? last : take<kept, D>(ctx, rows.rows);
      saved.blocks[i] = Block::template forward<need>(ctx, w.blocks[i], x, rows, spans, next);
      rows = next;
    }
    auto latents = rows;
    if constexpr (!has_latents) {
      latents = C.final_norm ? take<kept, D>(ctx, MR) : last;
      ops::combine(ctx, rows, table(ctx, plan.means), latents);  // (M R, D)
    } else if constexpr (changes_features) {
      latents = latents_of(rows, MR);
      if constexpr (!C.final_norm) ops::copy(ctx, latents, last);
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
    const int N = s.rows, MR = dy.rows;
    const auto dlatents = scratch<D>(ctx, MR);
    auto drows = dlatents;
    if constexpr (changes_features) drows = scratch<D>(ctx, N + (has_latents ? MR : 0));
    auto dnext = scratch<D>(ctx, drows.rows);
    Rows<P, D> dlast;
    if constexpr (leads_out) {
      dlast = scratch<D>(ctx, MR);
      ops::linear_backward(ctx, s.last, w.lead_out, dy, dlast, g.lead_out);
    } else {
      dlast = dy;
    }
    if constexpr (C.final_norm)
      NormLayer::backward(ctx, w.norm, s.norm, dlast, dlatents, g.norm);
    else
      ops::copy(ctx, dlast, dlatents);
    if constexpr (changes_features) ops::clear(ctx, drows);
    if constexpr (!has_latents)
      ops::combine_backward(ctx, dlatents, table(ctx, plan.means), drows);
    else if constexpr (changes_features)
      ops::copy(ctx, dlatents, latents_of(drows, MR));

    auto dx = scratch<D>(ctx, changes_features ? 0 : N);  // what layers that leave the features alone give them
    ops::clear(ctx, dx);
    for (std::size_t i = layers; i-- > 0;) {
      Block::backward(ctx, w.blocks[i], s.blocks[i], spans, drows, dnext, dx, g.blocks[i]);
      std::swap(drows, dnext);
    }
    if constexpr (changes_features) dx = drows.slice(0, N);
    if constexpr (has_latents)
      ops::scatter_add(ctx, latents_of(drows, MR), table(ctx, plan.latents), ops::rows_of(g.latents));
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
  /// The latents are the last of the rows.
  static Rows<P, D> latents_of(const Rows<P, D>& rows, int MR) { return rows.slice(rows.rows - MR, MR); }
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

inline void ResamplerPlan::add_spans(const ResamplerConfig& c, const Medium& medium, int m, int feature_rows) {
  const int R = c.latents;
  if (c.kind == ResamplerKind::transformer) {
    const int own = feature_rows + m * R;  // the latents
    for (const auto& [from, count] : {std::pair(medium.first, medium.rows), std::pair(own, R)}) {
      spans.begin(from, count);
      spans.add({0, medium.first, medium.rows, 0, 0});
      spans.add({0, own, R, 0, 0});
    }
  } else if (c.kind == ResamplerKind::perceiver) {
    spans.begin(m * R, R);
    spans.add({0, medium.first, medium.rows, 0, 0});
    spans.add({1, m * R, R, 0, 0});
  }
}
/// Latent r of R is the mean of the rows that the r-th of R equal shares of N rows touches, at most `most` of them; of
/// R rows it is row r.
inline void ResamplerPlan::add_means(const Medium& medium, int R, int most) {
  const int N = medium.rows;
  for (int r = 0; r < R; ++r) {
    const int from = r * N / R, to = ((r + 1) * N + R - 1) / R;
    for (int i = 0; i < most; ++i) {
      const bool read = from + i < to;
      means.push_back({medium.first + (read ? from + i : from), read ? 1 / static_cast<float>(to - from) : 0});
    }
  }
}

inline ResamplerPlan ResamplerPlan::of(const ResamplerConfig& c, std::span<const Medium> media) {
  ResamplerPlan plan;
  plan.media = static_cast<int>(media.size());
  int rows = 0, longest = 0;
  for (const Medium& medium : media) {
    rows += medium.rows;
    longest = std::max(longest, medium.rows);
  }
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
    plan.add_spans(c, medium, m, rows);
    if (c.kind == ResamplerKind::mlp) plan.add_means(medium, c.latents, longest / c.latents + 2);
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
