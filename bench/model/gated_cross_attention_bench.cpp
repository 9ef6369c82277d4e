#include <flamingo/model/gated_cross_attention.hpp>

#include <flamingo/cpu.hpp>

#include "support/models.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr int pictures = 10, tokens = 20;

template <Platform Q>
using Layer = model::GatedCrossAttention<sizes.xattn, D, 384, Q>;

template <Need need, Platform Q, class W, class G>
void pass(Context<Q>& ctx, const W& w, const G& g, const DecoderPlan& plan, const Rows<Q, D>& x,
          const Rows<Q, 384>& media) {
  using L = Layer<Q>;
  const std::size_t mark = ctx.arena().kept();
  const auto scope = ctx.scope();
  const auto k = keep<L::KV>(ctx, media.rows), v = keep<L::KV>(ctx, media.rows);
  const auto z = scratch<D>(ctx, x.rows);
  const auto spans = table(ctx, plan.cross);
  const auto projected = L::template project<need>(ctx, w, media, k, v);
  Pools<Q> pools;
  pools.add({k, v});
  const auto saved = L::template forward<need>(ctx, w, x, pools, spans, z);
  if constexpr (need.any()) {
    const auto dk = scratch<L::KV>(ctx, media.rows), dv = scratch<L::KV>(ctx, media.rows);
    const auto dx = scratch<D>(ctx, x.rows);
    const auto dmedia = scratch<384>(ctx, media.rows);
    const PoolGradients<Q> dpools{{{dk, dv}}};
    L::backward(ctx, w, saved, spans, z, dx, dpools, g);
    L::project_backward(ctx, w, projected, dk, dv, dmedia, g);
  }
  ctx.arena().release(mark);
}

template <Need need>
bool time_pass(const char* name) {
  static const Documents documents(pictures, tokens, 0);
  static const auto plan = DecoderPlan::of(documents.sequences, sizes.xattn, sizes.resampler.latents);
  constexpr int rows = pictures * sizes.resampler.latents;
  const double operations = operations_of([](Context<Dry<bench::P>>& dry) {
    using Q = Dry<bench::P>;
    typename Layer<Q>::template Parameters<Stored<Q>> w{}, g{};
    pass<need>(dry, w, g, plan, Rows<Q, D>{nullptr, pictures * tokens, {}}, Rows<Q, 384>{nullptr, rows, {}});
  });
  return time_op(name, {.operations = operations}, [](Context<bench::P>& ctx) {
    auto w = std::make_shared<Store<Layer<bench::P>, bench::P>>(),
         g = std::make_shared<Store<Layer<bench::P>, bench::P>>();
    const auto x = filled<D>(ctx, pictures * tokens);
    const auto media = filled<384>(ctx, rows);
    return [=, &ctx] { pass<need>(ctx, w->views, g->views, plan, x, media); };
  });
}

const bool registered = time_pass<no_gradients>("gated_cross_attention/forward/200_tokens") &&
                        time_pass<all_gradients>("gated_cross_attention/forward_backward/200_tokens");

}  // namespace
