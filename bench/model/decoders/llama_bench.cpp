#include <flamingo/model/decoders/llama.hpp>

#include <flamingo/cpu.hpp>

#include "support/models.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

template <Platform Q>
using Layer = model::LlamaBlock<sizes.lm, Q>;

/// Frozen, as Flamingo has it: backward gives the rows' gradients alone.
template <Need need, Platform Q, class W>
void pass(Context<Q>& ctx, const W& w, const DecoderPlan& plan, const Rows<Q, D>& x) {
  using L = Layer<Q>;
  const std::size_t mark = ctx.arena().kept();
  const auto scope = ctx.scope();
  const auto k = keep<L::KV>(ctx, x.rows), v = keep<L::KV>(ctx, x.rows);
  const auto z = scratch<D>(ctx, x.rows), dx = scratch<D>(ctx, x.rows);
  const auto positions = table(ctx, plan.positions);
  const auto spans = table(ctx, plan.self);
  Pools<Q> pools;
  pools.add({k, v});
  const auto saved = L::template forward<need>(ctx, w, x, positions, k, v, pools, spans, z);
  if constexpr (need.any()) L::backward(ctx, w, saved, positions, spans, z, dx, frozen<L>);
  ctx.arena().release(mark);
}

template <Need need>
bool time_pass(const char* name) {
  static const Documents documents(1, N, 0);
  static const auto plan = DecoderPlan::of(documents.sequences, sizes.xattn, sizes.resampler.latents);
  const double operations = operations_of([](Context<Dry<bench::P>>& dry) {
    typename Layer<Dry<bench::P>>::template Parameters<Stored<Dry<bench::P>>> w{};
    pass<need>(dry, w, plan, Rows<Dry<bench::P>, D>{nullptr, N, {}});
  });
  return time_op(name, {.operations = operations}, [](Context<bench::P>& ctx) {
    auto w = std::make_shared<Store<Layer<bench::P>, bench::P>>();
    const auto x = filled<D>(ctx, N);
    return [=, &ctx] { pass<need>(ctx, w->views, plan, x); };
  });
}

const bool registered = time_pass<no_gradients>("llama_block/forward/200_tokens") &&
                        time_pass<input_gradients>("llama_block/forward_backward_frozen/200_tokens");

}  // namespace
