#include <flamingo/model/resampler.hpp>

#include <flamingo/cpu.hpp>

#include "support/models.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr int pictures = 16, cells = 25;

template <Platform Q>
using Layer = model::Resampler<sizes.resampler, Q>;

template <Need need, Platform Q, class W, class G>
void pass(Context<Q>& ctx, const W& w, const G& g, const ResamplerPlan& plan,
          const Rows<Q, 1280, const float>& features) {
  const std::size_t mark = ctx.arena().kept();
  const auto scope = ctx.scope();
  const auto y = scratch<384>(ctx, pictures * sizes.resampler.latents);
  const auto saved = Layer<Q>::template forward<need>(ctx, w, features, plan, y);
  if constexpr (need.any()) Layer<Q>::backward(ctx, w, saved, plan, y, NoGrad{}, g);
  ctx.arena().release(mark);
}

template <Need need>
bool time_pass(const char* name) {
  static const Documents documents(pictures, 1, 0);
  static const auto plan = ResamplerPlan::of(sizes.resampler, documents.media);
  const double operations = operations_of([](Context<Dry<bench::P>>& dry) {
    typename Layer<Dry<bench::P>>::template Parameters<Stored<Dry<bench::P>>> w{}, g{};
    pass<need>(dry, w, g, plan, Rows<Dry<bench::P>, 1280, const float>{nullptr, pictures * cells, {}});
  });
  return time_op(name, {.operations = operations}, [](Context<bench::P>& ctx) {
    auto w = std::make_shared<Store<Layer<bench::P>, bench::P>>(),
         g = std::make_shared<Store<Layer<bench::P>, bench::P>>();
    const Rows<bench::P, 1280, const float> features = filled<1280>(ctx, pictures * cells);
    return [=, &ctx] { pass<need>(ctx, w->views, g->views, plan, features); };
  });
}

const bool registered = time_pass<no_gradients>("resampler/forward/16_pictures") &&
                        time_pass<weight_gradients>("resampler/forward_backward/16_pictures");

}  // namespace
