// What the tasks of open_flamingo.cpp take, by their code on Dry. A file of its own: both compile at the same time.
#include <flamingo/memory_plan.hpp>

#include "peers/open_flamingo.hpp"

namespace flamingo::bench {

namespace {

using Q = Dry<P>;
using Model = model::Flamingo<config, Q>;

/// The operations that run(a context) counts.
template <class Run>
double operations_of(const Run& run) {
  Context<Q> ctx;
  const auto scope = ctx.scope();
  run(ctx);
  return ctx.operations();
}

}  // namespace

double vision_operations() {
  using Vision = Encoder<config.vision, Q>;
  return operations_of([](Context<Q>& ctx) {
    const typename Vision::Parameters<Packed<Q>> w{};
    const std::array grid{Grid{0, config.vision.image, config.vision.image}};
    Vision::forward<no_gradients>(ctx, w, scratch<3>(ctx, grid[0].rows()), grid, scratch<Vision::D>(ctx, cells));
  });
}

double resample_operations() {
  using Resampler = Model::ResamplerLayer;
  return operations_of([](Context<Q>& ctx) {
    const typename Resampler::Parameters<Packed<Q>> w{};
    const ResamplerPlan plan = ResamplerPlan::of(config.resampler, std::array{Medium{0, cells, 1, 0}});
    Resampler::forward<no_gradients>(ctx, w, scratch<Resampler::E>(ctx, cells), plan,
                                     scratch<Resampler::O>(ctx, Model::R));
  });
}

double prefill_operations(const Sequence& asked) {
  return operations_of([&](Context<Q>& ctx) {
    const typename Model::Connect::Parameters<Packed<Q>> connector{};
    const typename Model::Decoder::Parameters<Packed<Q>> lm{};
    auto engine = make_engine<Model>(ctx, connector, lm, {.text_rows = 8192, .media = asked.media});
    std::vector<float> features(std::size_t{cells} * Model::ResamplerLayer::E);
    std::vector<CachedMedium> media;
    for (int m = 0; m < asked.media; ++m) {
      features[0] += 1;  // an engine knows media by their numbers
      media.push_back(engine.add_medium(Rows<Q, Model::ResamplerLayer::E, const float>{features.data(), cells, {}}));
    }
    ctx.forget_operations();
    const int rows = asked.media * Model::R;
    for (const auto& gated : connector.gated)
      Model::Gated::project<no_gradients>(ctx, gated, scratch<Model::E>(ctx, rows),
                                          scratch<Model::Gated::KV>(ctx, rows), scratch<Model::Gated::KV>(ctx, rows));
    TextState state = engine.begin(asked, media);
    TextState* const one[] = {&state};
    engine.read(one);
    Model::Decoder::logits(ctx, lm, scratch<Model::D>(ctx, 1), scratch<Model::V>(ctx, 1));
  });
}

double planned_bytes(Format format, int tokens, int media, int written) {
  return weight_memory<Encoder<config.vision, P>, P>(format).bytes() +
         weight_memory<model::Flamingo<config, P>::Connect, P>(format).bytes() +
         weight_memory<model::Flamingo<config, P>::Decoder, P>(format).bytes() +
         (format == Format::f32 ? inference_memory<config, P>({.tokens = tokens, .media = media}, written)
                                : inference_memory<config, P, bfloat16>({.tokens = tokens, .media = media}, written))
             .most();
}

}  // namespace flamingo::bench
