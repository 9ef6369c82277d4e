/// Where a model looked: which latents a text token attends to, and which grid cells the latents come from. Both
/// together, as a heat map over a picture, are attention_heat (attention_overlay.hpp).
///
/// Probabilities come from what a forward pass saves for its backward pass: queries, keys and log-sum-exps.
#pragma once
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/model/flamingo.hpp>

namespace flamingo {

/// Attention of one document. Probabilities of one query and head sum to 1, or are all 0 where it sees nothing.
struct AttentionMaps {
  int media = 0, latents = 0;  ///< M, R
  int gated_blocks = 0, heads = 0;
  int layers = 0, resampler_heads = 0;
  std::vector<int> tokens;  ///< the tokens asked for
  std::vector<Medium> of;   ///< the media

  /// Cross-attention of the i-th token asked for, in a gated block's head, to the latents of a medium: R numbers.
  std::span<const double> cross(int i, int block, int head, int medium) const {
    return std::span(cross_).subspan(cross_at(i, block, head, medium), static_cast<std::size_t>(latents));
  }
  /// Attention of a medium's latent, in a Resampler layer's head, to the medium's feature rows (frames by cells). The
  /// rest of 1 goes to the latents themselves. Without a Resampler: one layer, in which latent r is row r.
  std::span<const double> resampled(int medium, int layer, int head, int latent) const {
    const Medium& m = of[static_cast<std::size_t>(medium)];
    const auto rows = static_cast<std::size_t>(m.rows);
    const int at = (layer * resampler_heads + head) * latents + latent;
    return std::span(resampled_[static_cast<std::size_t>(medium)]).subspan(static_cast<std::size_t>(at) * rows, rows);
  }

  std::size_t cross_at(int i, int block, int head, int medium) const {
    return static_cast<std::size_t>(((i * gated_blocks + block) * heads + head) * media + medium) *
           static_cast<std::size_t>(latents);
  }
  std::vector<double> cross_;
  std::vector<std::vector<double>> resampled_;
};

namespace detail {

/// What attention saved, where the host can read it.
template <Platform P, class Saved>
class LookedAt {
 public:
  LookedAt(Context<P>& ctx, const AttentionShape& shape, const Saved& saved)
      : shape_(shape), q_(host_copy(ctx, saved.q)), lse_(host_copy(ctx, saved.lse)) {
    for (const KeyValue<P>& pool : saved.pools.view()) keys_.push_back(host_copy(ctx, pool.k));
  }

  /// Calls f(pool, row of the pool, probability) for each key that query row `row` sees in head h.
  template <class F>
  void each_probability(const SpanList& list, int row, int h, const F& f) const {
    const auto K = static_cast<std::size_t>(shape_.head_dim), head = static_cast<std::size_t>(h),
               heads = static_cast<std::size_t>(shape_.heads), kv_heads = static_cast<std::size_t>(shape_.kv_heads),
               kv_head = head / (heads / kv_heads), query = static_cast<std::size_t>(row) * heads + head;
    const double lse = static_cast<double>(lse_[query]);
    for (const Span& span : list.spans) {
      if (row < span.first_row || row >= span.first_row + span.rows) continue;
      for (int i = span.first_segment; i < span.first_segment + span.segments; ++i) {
        const Segment& segment = list.segments[static_cast<std::size_t>(i)];
        const auto& keys = keys_[static_cast<std::size_t>(segment.pool)];
        for (int key = segment.first; key < segment.first + segment.count; ++key) {
          double score = 0;
          if (!span.uniform)
            for (std::size_t c = 0; c < K; ++c)
              score += static_cast<double>(q_[query * K + c]) *
                       static_cast<double>(keys[(static_cast<std::size_t>(key) * kv_heads + kv_head) * K + c]);
          f(segment.pool, key, std::exp(score * static_cast<double>(shape_.scale) - lse));
        }
      }
    }
  }

 private:
  template <class X>
  using Copy = decltype(host_copy(std::declval<Context<P>&>(), std::declval<const X&>()));

  AttentionShape shape_;
  Copy<Rows<P, dynamic, const typename P::Real>> q_;
  Copy<Rows<P, dynamic, AccumulateOf<P>>> lse_;
  std::vector<Copy<In<P>>> keys_;
};

}  // namespace detail

/// Attention of `tokens` of one document. `media` names its pictures among the feature rows, in the order of its tags;
/// read the whole document with what was generated after it.
template <class M, Platform P, class Connector, class Lm, class F>
AttentionMaps attention_maps(Context<P>& ctx, const Connector& connector, const Lm& lm, const Sequence& document,
                             const F& features, std::span<const Medium> media, std::span<const int> tokens) {
  using Resampler = typename M::ResamplerLayer;
  static_assert(M::config.resampler.kind == ResamplerKind::perceiver,
                "attention_maps: of what makes latents the Perceiver alone shows where each comes from");
  check(int(features.width) == Resampler::E, "attention_maps", "features are ", features.shape(), ", expected width ",
        Resampler::E);
  check(document.media == static_cast<int>(media.size()), "attention_maps", "the document has ", document.media,
        " media, ", media.size(), " are given");
  for (const int t : tokens)
    check(t >= 0 && t < static_cast<int>(document.ids.size()), "attention_maps", "token ", t, " of ",
          document.ids.size());
  const auto scope = ctx.scope();
  const auto kept = ctx.kept_scope();
  const int media_count = static_cast<int>(media.size());
  const auto resampling = ResamplerPlan::of(M::config.resampler, media);
  const auto latents = keep<M::E>(ctx, media_count * M::R);
  const auto looked = Resampler::template forward<input_gradients>(
      ctx, connector.resampler, {features.data, features.rows, Extent<Resampler::E>(int(features.width))}, resampling,
      latents);
  Sequence alone = document;
  alone.first_medium = 0;
  const auto plan = DecoderPlan::of(std::span(&alone, 1), M::config.xattn, M::R, visible_rows(media, M::R));
  const auto hidden = keep<M::D>(ctx, plan.rows());
  const auto read = M::template forward<typename M::Trained{.connector = false, .lm = false}>(ctx, connector, lm, plan,
                                                                                              latents, hidden);

  constexpr bool resamples = Resampler::L > 0;
  const AttentionShape cross_shape = M::Gated::Attend::shape();
  AttentionMaps maps;
  maps.media = media_count;
  maps.latents = M::R;
  maps.gated_blocks = static_cast<int>(M::gated_blocks);
  maps.heads = cross_shape.heads;
  maps.layers = resamples ? Resampler::L : 1;
  maps.resampler_heads = resamples ? M::config.resampler.heads : 1;
  maps.tokens.assign(tokens.begin(), tokens.end());
  maps.of.assign(media.begin(), media.end());
  maps.cross_.assign(maps.cross_at(static_cast<int>(tokens.size()), 0, 0, 0), 0);
  for (int j = 0; j < maps.gated_blocks; ++j) {
    const detail::LookedAt looked_at(ctx, cross_shape, read.gated[static_cast<std::size_t>(j)].attention);
    for (int i = 0; i < static_cast<int>(tokens.size()); ++i)
      for (int h = 0; h < maps.heads; ++h)
        looked_at.each_probability(plan.cross, tokens[static_cast<std::size_t>(i)], h, [&](int, int key, double p) {
          maps.cross_[maps.cross_at(i, j, h, key / M::R) + static_cast<std::size_t>(key % M::R)] = p;
        });
  }
  std::vector<std::size_t> at(media.size(), 0);
  for (const Medium& medium : media)
    maps.resampled_.emplace_back(static_cast<std::size_t>(maps.layers * maps.resampler_heads * M::R) *
                                 static_cast<std::size_t>(medium.rows));
  const auto each_medium = [&](const auto& f) {
    for (std::size_t m = 0; m < media.size(); ++m) f(m, media[m], maps.resampled_[m], at[m]);
  };
  if constexpr (resamples) {
    for (const auto& block : looked.blocks) {
      const detail::LookedAt looked_at(ctx, Resampler::Block::Attend::shape(), block.attention);
      each_medium([&](std::size_t m, const Medium& medium, std::vector<double>& all, std::size_t& next) {
        for (int h = 0; h < maps.resampler_heads; ++h)
          for (int r = 0; r < M::R; ++r, next += static_cast<std::size_t>(medium.rows))
            looked_at.each_probability(resampling.spans, static_cast<int>(m) * M::R + r, h,
                                       [&](int pool, int key, double p) {
                                         if (pool == 0) all[next + static_cast<std::size_t>(key - medium.first)] = p;
                                       });
      });
    }
  } else {
    each_medium([&](std::size_t, const Medium& medium, std::vector<double>& all, std::size_t& next) {
      for (; next < all.size(); next += static_cast<std::size_t>(medium.rows) + 1) all[next] = 1;
    });
  }
  return maps;
}

}  // namespace flamingo
