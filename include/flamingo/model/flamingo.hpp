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

/// What Flamingo adds between two frozen models: the Resampler and the gated blocks; GRAFTING, decoder blocks of its
/// own too. It is what is trained and saved.
template <auto C, Platform P>
struct Connector {
  using ResamplerLayer = typename ResamplerOf<C.resampler, P>::type;
  using GatedLayer = GatedCrossAttention<C.xattn, C.lm.dim, C.resampler.out(), P>;
  using Block = typename DecoderOf<C.lm, P>::Block;
  static constexpr auto gated_blocks = static_cast<std::size_t>(C.gated_blocks()),
                        grafted_blocks = static_cast<std::size_t>(C.grafted());

  template <class S>
  struct Parameters {
    typename ResamplerLayer::template Parameters<S> resampler;
    std::array<typename GatedLayer::template Parameters<S>, gated_blocks> gated;
    If<(grafted_blocks > 0), std::array<typename Block::template Parameters<S>, grafted_blocks>> grafted;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto resampler = within(visit, "resampler");
    ResamplerLayer::each(resampler, p.resampler...);
    for (std::size_t i = 0; i < gated_blocks; ++i) {
      auto gated = within(visit, "gated", static_cast<int>(i));
      GatedLayer::each(gated, p.gated[i]...);
    }
    if constexpr (grafted_blocks > 0)
      for (std::size_t i = 0; i < grafted_blocks; ++i) {
        auto grafted = within(visit, "grafted", static_cast<int>(i));
        Block::each(grafted, p.grafted[i]...);
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

/// Whoever does not listen to what backward has completed.
struct Unheard {
  constexpr void operator()(std::size_t) const {}
};

/// The decoder with its gated blocks, over latents that the Resampler made.
template <auto C, Platform P>
struct Flamingo {
  static_assert(C.xattn.every > 0 && C.xattn.offset >= 0 && C.xattn.offset < C.xattn.every,
                "XattnConfig: every must be positive and offset below it");
  static_assert(C.gated_blocks() > 0, "XattnConfig: no decoder block has a gated block before it");
  static_assert(C.xattn.conditioning == Conditioning::grafting || C.xattn.grafted == 0,
                "XattnConfig: blocks are grafted by Conditioning::grafting alone");
  static_assert(C.xattn.conditioning != Conditioning::vanilla_xattn || !C.gated(C.lm.layers),
                "XattnConfig: VANILLA XATTN stands inside decoder blocks, not after the last");

  static_assert(agree(vision_width(C.vision), C.resampler.features()),
                "FlamingoConfig: resampler.vision_dim differs from the width of the encoder's features");

  using Real = typename P::Real;
  using Connect = Connector<value_of(C), P>;
  using ResamplerLayer = typename Connect::ResamplerLayer;
  using Gated = typename Connect::GatedLayer;
  using Decoder = DecoderOf<C.lm, P>;
  using Block = typename Decoder::Block;
  static constexpr auto config = C;
  static constexpr int D = C.lm.dim, E = C.resampler.out(), R = C.resampler.latents, V = written_ids(C.lm);
  static constexpr auto layers = static_cast<std::size_t>(C.lm.layers), gated_blocks = Connect::gated_blocks,
                        all_blocks = static_cast<std::size_t>(C.blocks());  ///< the decoder's, then the grafted ones
  static constexpr std::size_t none = ~std::size_t{0};
  static constexpr bool grafts = all_blocks > layers;
  /// Whether gated blocks stand inside decoder blocks: between their halves.
  static constexpr bool inside = C.xattn.conditioning == Conditioning::vanilla_xattn;

  /// gated_before() of each i, as a table: a loop at run time would be unrolled into every pass.
  static constexpr auto gated_at = [] {
    std::array<std::size_t, all_blocks + 1> at{};
    std::size_t n = 0;
    for (std::size_t i = 0; i <= all_blocks; ++i) at[i] = C.gated(static_cast<int>(i)) ? n++ : none;
    return at;
  }();
  /// Which gated block stands before decoder block i (or inside it), or after the last where i is `all_blocks`; or
  /// none.
  static constexpr std::size_t gated_before(std::size_t i) { return gated_at[i]; }
  static constexpr bool gated_last = gated_before(all_blocks) != none;

  /// Calls f(its weights) for decoder block i, which lie in the decoder or in the connector.
  template <class WC, class WL, class F>
  static void with_block(const WC& connector, const WL& lm, std::size_t i, const F& f) {
    if constexpr (grafts)
      if (i >= layers) return f(connector.grafted[i - layers]);
    f(lm.blocks[i]);
  }

  /// What is trained: the connector always, the decoder or its added rows if asked. Below the first trained layer
  /// nothing runs backward.
  struct Trained {
    bool connector = true;
    bool lm = false;
    bool added_rows = false;
  };
  static constexpr Need need_of_connector(Trained t) { return t.connector ? all_gradients : input_gradients; }
  static constexpr Need need_of_lm(Trained t) { return t.lm ? all_gradients : input_gradients; }
  static constexpr std::size_t first_kept(Trained t) {
    return t.lm || t.added_rows ? 0 : static_cast<std::size_t>(C.first_gated());
  }

  /// Blocks that run: the decoder's and the grafted ones, each with the gated block before it (or inside it), and the
  /// gated block after the last.
  static constexpr std::size_t steps = all_blocks + (gated_last ? 1 : 0);

  template <Trained t>
  struct Saved {
    std::array<typename Block::template Saved<need_of_lm(t)>, layers> blocks;
    std::array<typename Gated::template Saved<need_of_connector(t)>, gated_blocks> gated;
    std::array<typename Gated::template SavedMedia<need_of_connector(t)>, gated_blocks> media;
    If<grafts, std::array<typename Block::template Saved<need_of_connector(t)>, all_blocks - layers>> grafted;
    bool recomputes = false;                 ///< blocks were forgotten, and only what they read is there
    std::array<Rows<P, D>, steps> inputs{};  ///< of each of them
    Rows<P, E> latents{};
  };

  /// hidden (N, D) of all tokens, for training: everything that backward reads is kept. latents (M R, E). `recompute`:
  /// of each block only what it reads is kept, and backward computes it again (Chen et al. 2016): the same bits.
  template <Trained t, class WC, class WL>
  static Saved<t> forward(Context<P>& ctx, const WC& connector, const WL& lm, const DecoderPlan& plan,
                          const Rows<P, E>& latents, const Rows<P, D>& hidden, bool recompute = false) {
    const auto scope = ctx.scope();
    const int N = plan.rows();
    const Tables tables = tables_of(ctx, plan);
    Saved<t> saved;
    saved.recomputes = recompute;
    saved.latents = latents;
    auto x = keep<D>(ctx, N);
    Decoder::embed(ctx, lm, table(ctx, plan.ids), x);
    for (std::size_t i = 0; i < steps; ++i) {
      if (i + 1 <= first_kept(t)) {  // nvcc warns of i < 0
        const auto inner = ctx.scope();
        const auto k = scratch<Block::KV>(ctx, N), v = scratch<Block::KV>(ctx, N);
        const auto z = scratch<D>(ctx, N);
        Block::template forward<no_gradients>(ctx, lm.blocks[i], x, tables.positions, k, v, own(k, v), tables.self, z);
        ops::copy(ctx, z, x);
      } else {
        const auto z = i + 1 == steps ? hidden : keep<D>(ctx, N);
        const std::size_t before = ctx.arena().kept();
        step(ctx, connector, lm, tables, i, x, latents, z, saved);
        if (recompute) ctx.arena().release(before);
        saved.inputs[i] = x;
        x = z;
      }
    }
    return saved;
  }

  /// Writes dlatents and adds to the gradients of connector and decoder (NoGrad where frozen). Calls completed(j) when
  /// gated block j's gradients are complete, from the last block to the first.
  template <Trained t, class WC, class WL, class GC, class GL, class Completed = Unheard>
  static void backward(Context<P>& ctx, const WC& connector, const WL& lm, const Saved<t>& s, const DecoderPlan& plan,
                       const Rows<P, D>& dhidden, const Rows<P, E>& dlatents, const GC& gconnector, const GL& glm,
                       const Completed& completed = {}) {
    const auto scope = ctx.scope();
    const int N = plan.rows(), MR = dlatents.rows;
    const Tables tables = tables_of(ctx, plan);
    auto dx = scratch<D>(ctx, N), dnext = scratch<D>(ctx, N);
    const auto dk = scratch<Gated::KV>(ctx, MR), dv = scratch<Gated::KV>(ctx, MR);
    const auto dpart = scratch<E>(ctx, MR);
    ops::copy(ctx, dhidden, dx);
    ops::clear(ctx, dlatents);
    Saved<t> again;  // of one block at a time
    const Saved<t>& saved = s.recomputes ? again : s;
    const auto condition = [&](std::size_t j, const Rows<P, D>& dz, const Rows<P, D>& din) {
      const PoolGradients<P> dpools{{{dk, dv}}};
      Gated::backward(ctx, connector.gated[j], saved.gated[j], tables.cross, dz, din, dpools, gconnector.gated[j],
                      tables.blind);
      Gated::project_backward(ctx, connector.gated[j], saved.media[j], dk, dv, dpart, gconnector.gated[j]);
      ops::accumulate(ctx, dpart, dlatents);
      completed(j);
    };
    for (std::size_t i = steps; i-- > first_kept(t);) {
      const auto kept = ctx.kept_scope();
      if (s.recomputes) {
        const auto inner = ctx.scope();
        step(ctx, connector, lm, tables, i, s.inputs[i], s.latents, scratch<D>(ctx, N), again);
      }
      const std::size_t j = gated_before(i);
      if (i < all_blocks) {
        const auto between = between_halves([&](const Rows<P, D>& dout) {
          if (j == none) return dout;
          const auto din = scratch<D>(ctx, N);
          condition(j, dout, din);
          return din;
        });
        const auto run = [&](const auto& w, const auto& of_block, const auto& g) {
          Block::backward(ctx, w, of_block, tables.positions, tables.self, dx, dnext, g, between);
        };
        if constexpr (grafts) {
          if (i >= layers)
            run(connector.grafted[i - layers], saved.grafted[i - layers], gconnector.grafted[i - layers]);
          else
            run(lm.blocks[i], saved.blocks[i], glm.blocks[i]);
        } else {
          run(lm.blocks[i], saved.blocks[i], glm.blocks[i]);
        }
        std::swap(dx, dnext);
      }
      if (!inside && j != none) {
        condition(j, dx, dnext);
        std::swap(dx, dnext);
      }
    }
    if constexpr (t.lm || t.added_rows) Decoder::embed_backward(ctx, table(ctx, plan.ids), dx, glm);
  }

 private:
  /// A plan where P reads it.
  struct Tables {
    Positions<P> positions;
    Spans<P> self, cross;
    View<P, 1, const int> blind;
  };
  static Tables tables_of(Context<P>& ctx, const DecoderPlan& plan) {
    return {{table(ctx, plan.positions), plan.distances()},
            table(ctx, plan.self),
            table(ctx, plan.cross),
            table(ctx, plan.blind)};
  }

  /// One of the `steps`: x -> z, and what backward reads of it, which is kept.
  template <Trained t, class WC, class WL>
  static void step(Context<P>& ctx, const WC& connector, const WL& lm, const Tables& plan, std::size_t i, Rows<P, D> x,
                   const Rows<P, E>& latents, const Rows<P, D>& z, Saved<t>& saved) {
    constexpr Need gated_need = need_of_connector(t), lm_need = need_of_lm(t);
    const int N = x.rows;
    const std::size_t j = gated_before(i);
    const auto condition = [&](const Rows<P, D>& in, const Rows<P, D>& out) {
      const auto k = keep<Gated::KV>(ctx, latents.rows), v = keep<Gated::KV>(ctx, latents.rows);
      saved.media[j] = Gated::template project<gated_need>(ctx, connector.gated[j], latents, k, v);
      saved.gated[j] =
          Gated::template forward<gated_need>(ctx, connector.gated[j], in, own(k, v), plan.cross, out, plan.blind);
    };
    if (!inside && j != none) {
      const auto y = i == all_blocks ? z : keep<D>(ctx, N);
      condition(x, y);
      x = y;
    }
    if (i == all_blocks) return;
    const auto k = keep<Block::KV>(ctx, N), v = keep<Block::KV>(ctx, N);
    const auto between = between_halves([&](const Rows<P, D>& in) {
      if (j == none) return in;
      const auto out = keep<D>(ctx, N);
      condition(in, out);
      return out;
    });
    const auto run = [&]<Need need>(const auto& w) {
      return Block::template forward<need>(ctx, w, x, plan.positions, k, v, own(k, v), plan.self, z, between);
    };
    if constexpr (grafts) {
      if (i >= layers)
        saved.grafted[i - layers] = run.template operator()<gated_need>(connector.grafted[i - layers]);
      else
        saved.blocks[i] = run.template operator()<lm_need>(lm.blocks[i]);
    } else {
      saved.blocks[i] = run.template operator()<lm_need>(lm.blocks[i]);
    }
  }

  /// What a block runs between its halves.
  template <class F>
  static auto between_halves(const F& f) {
    if constexpr (inside)
      return f;
    else
      return nn::Straight{};
  }
  template <int KV>
  static Pools<P> own(const Rows<P, KV>& k, const Rows<P, KV>& v) {
    Pools<P> pools;
    pools.add({k, v});
    return pools;
  }
};

}  // namespace flamingo::model
