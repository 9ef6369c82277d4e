/// Flamingo: frozen features -> Resampler -> gated blocks inside a decoder (Alayrac et al. 2022).
///
/// B sequences, T tokens, N rows (all tokens of the batch), M media, S grid cells, R latents, D width, V vocabulary.
#pragma once
#include <array>
#include <utility>
#include <vector>

#include <flamingo/config/flamingo.hpp>
#include <flamingo/model/decoder.hpp>
#include <flamingo/model/gated_cross_attention.hpp>
#include <flamingo/model/media.hpp>
#include <flamingo/model/resampler.hpp>

namespace flamingo::model {

/// What Flamingo adds between two frozen models: the Resampler and the gated blocks. It is what is trained and saved.
template <auto C, Platform P>
struct Connector {
  using ResamplerLayer = typename ResamplerOf<C.resampler, P>::type;
  using GatedLayer = GatedCrossAttention<C.xattn, C.lm.dim, C.resampler.out(), P>;
  static constexpr auto gated_blocks = static_cast<std::size_t>(C.gated_blocks());

  template <class S>
  struct Parameters {
    typename ResamplerLayer::template Parameters<S> resampler;
    std::array<typename GatedLayer::template Parameters<S>, gated_blocks> gated;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto resampler = within(visit, "resampler");
    ResamplerLayer::each(resampler, p.resampler...);
    for (std::size_t i = 0; i < gated_blocks; ++i) {
      auto gated = within(visit, "gated", static_cast<int>(i));
      GatedLayer::each(gated, p.gated[i]...);
    }
  }
};

/// The width of an encoder's features by its config, or dynamic where a host's config does not tell.
template <class Vision>
constexpr int vision_width(const Vision& v) {
  if constexpr (requires { v.features(); })
    return v.features();
  else if constexpr (requires { v.dim(); })
    return v.dim();
  else if constexpr (requires { v.dim; })
    return v.dim;
  else
    return dynamic;
}

/// The decoder with its gated blocks, over latents that the Resampler made.
template <auto C, Platform P>
struct Flamingo {
  static_assert(C.xattn.every > 0 && C.xattn.offset >= 0 && C.xattn.offset < C.xattn.every,
                "XattnConfig: every must be positive and offset below it");
  static_assert(C.gated_blocks() > 0, "XattnConfig: no decoder block has a gated block before it");

  static_assert(agree(vision_width(C.vision), C.resampler.features()),
                "FlamingoConfig: resampler.vision_dim differs from the width of the encoder's features");

  using Real = typename P::Real;
  using Connect = Connector<C, P>;
  using ResamplerLayer = typename Connect::ResamplerLayer;
  using Gated = typename Connect::GatedLayer;
  using Decoder = DecoderOf<C.lm, P>;
  using Block = typename Decoder::Block;
  static constexpr auto config = C;
  static constexpr int D = C.lm.dim, E = C.resampler.out(), R = C.resampler.latents, V = written_ids(C.lm);
  static constexpr auto layers = static_cast<std::size_t>(C.lm.layers), gated_blocks = Connect::gated_blocks;
  static constexpr std::size_t none = ~std::size_t{0};

  /// Which gated block stands before decoder block i, or after the last where i is `layers`; or none.
  static constexpr std::size_t gated_before(std::size_t i) {
    const int block = static_cast<int>(i);
    return C.gated(block) ? static_cast<std::size_t>(C.gated_blocks(block)) : none;
  }
  static constexpr bool gated_last = gated_before(layers) != none;

  /// What is trained: the connector always, the decoder if asked. Below the first trained layer nothing runs backward.
  struct Trained {
    bool connector = true;
    bool lm = false;
  };
  static constexpr Need need_of_connector(Trained t) { return t.connector ? all_gradients : input_gradients; }
  static constexpr Need need_of_lm(Trained t) { return t.lm ? all_gradients : input_gradients; }
  static constexpr std::size_t first_kept(Trained t) { return t.lm ? 0 : static_cast<std::size_t>(C.first_gated()); }

  template <Trained t>
  struct Saved {
    std::array<typename Block::template Saved<need_of_lm(t)>, layers> blocks;
    std::array<typename Gated::template Saved<need_of_connector(t)>, gated_blocks> gated;
    std::array<typename Gated::template SavedMedia<need_of_connector(t)>, gated_blocks> media;
  };

  /// hidden (N, D) of all tokens, for training: everything that backward reads is kept. latents (M R, E).
  template <Trained t, class WC, class WL>
  static Saved<t> forward(Context<P>& ctx, const WC& connector, const WL& lm, const DecoderPlan& plan,
                          const Rows<P, E>& latents, const Rows<P, D>& hidden) {
    const auto scope = ctx.scope();
    constexpr Need gated_need = need_of_connector(t), lm_need = need_of_lm(t);
    const int N = plan.rows();
    const Positions<P> positions{table(ctx, plan.positions), plan.distances()};
    const auto self = table(ctx, plan.self), cross = table(ctx, plan.cross);
    const auto blind = table(ctx, plan.blind);
    Saved<t> saved;
    auto x = keep<D>(ctx, N);
    Decoder::embed(ctx, lm, table(ctx, plan.ids), x);
    for (std::size_t i = 0; i <= layers; ++i) {
      if (const std::size_t j = gated_before(i); j != none) {
        const auto k = keep<Gated::KV>(ctx, latents.rows), v = keep<Gated::KV>(ctx, latents.rows);
        saved.media[j] = Gated::template project<gated_need>(ctx, connector.gated[j], latents, k, v);
        Pools<P> pools;
        pools.add({k, v});
        const auto z = i == layers ? hidden : keep<D>(ctx, N);
        saved.gated[j] = Gated::template forward<gated_need>(ctx, connector.gated[j], x, pools, cross, z, blind);
        x = z;
      }
      if (i == layers) break;
      const bool last = i + 1 == layers && !gated_last;
      if (i < first_kept(t)) {
        const auto inner = ctx.scope();
        const auto k = scratch<Block::KV>(ctx, N), v = scratch<Block::KV>(ctx, N);
        const auto z = scratch<D>(ctx, N);
        Block::template forward<no_gradients>(ctx, lm.blocks[i], x, positions, k, v, own(k, v), self, z);
        ops::copy(ctx, z, x);
      } else {
        const auto k = keep<Block::KV>(ctx, N), v = keep<Block::KV>(ctx, N);
        const auto z = last ? hidden : keep<D>(ctx, N);
        saved.blocks[i] = Block::template forward<lm_need>(ctx, lm.blocks[i], x, positions, k, v, own(k, v), self, z);
        x = z;
      }
    }
    return saved;
  }

  /// Writes dlatents and adds to the gradients of connector and decoder (NoGrad where frozen).
  template <Trained t, class WC, class WL, class GC, class GL>
  static void backward(Context<P>& ctx, const WC& connector, const WL& lm, const Saved<t>& s, const DecoderPlan& plan,
                       const Rows<P, D>& dhidden, const Rows<P, E>& dlatents, const GC& gconnector, const GL& glm) {
    const auto scope = ctx.scope();
    const int N = plan.rows(), MR = dlatents.rows;
    const Positions<P> positions{table(ctx, plan.positions), plan.distances()};
    const auto self = table(ctx, plan.self), cross = table(ctx, plan.cross);
    const auto blind = table(ctx, plan.blind);
    auto dx = scratch<D>(ctx, N), dnext = scratch<D>(ctx, N);
    const auto dk = scratch<Gated::KV>(ctx, MR), dv = scratch<Gated::KV>(ctx, MR);
    const auto dpart = scratch<E>(ctx, MR);
    ops::copy(ctx, dhidden, dx);
    ops::clear(ctx, dlatents);
    for (std::size_t i = layers + 1; i-- > first_kept(t);) {
      if (i < layers) {
        Block::backward(ctx, lm.blocks[i], s.blocks[i], positions, self, dx, dnext, glm.blocks[i]);
        std::swap(dx, dnext);
      }
      if (const std::size_t j = gated_before(i); j != none) {
        const PoolGradients<P> dpools{{{dk, dv}}};
        Gated::backward(ctx, connector.gated[j], s.gated[j], cross, dx, dnext, dpools, gconnector.gated[j], blind);
        std::swap(dx, dnext);
        Gated::project_backward(ctx, connector.gated[j], s.media[j], dk, dv, dpart, gconnector.gated[j]);
        ops::accumulate(ctx, dpart, dlatents);
      }
    }
    if constexpr (t.lm) Decoder::embed_backward(ctx, table(ctx, plan.ids), dx, glm);
  }

 private:
  static Pools<P> own(const Rows<P, Block::KV>& k, const Rows<P, Block::KV>& v) {
    Pools<P> pools;
    pools.add({k, v});
    return pools;
  }
};

}  // namespace flamingo::model
