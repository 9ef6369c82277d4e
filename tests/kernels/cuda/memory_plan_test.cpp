/// Plans of memory for Cuda against what its arena held at most: a context of exactly that size serves the run.
#include <flamingo/memory_plan.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>
#include <flamingo/training_plan.hpp>

#include "kernels/cuda/packed_model.hpp"
#include "memory_plan_case.hpp"

namespace memory_plan_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cuda<float>;
using Model = model::Flamingo<planned, P>;
using Vision = Encoder<planned.vision, P>;

template <class Layer>
PackedWeights<Layer, P> held_in(Format format, std::uint64_t seed) {
  return PackedWeights<Layer, P>::copy_of(packed_weights<Layer, HostOf<P>>(seed, {format}));
}
std::size_t bytes_of(double planned_bytes) { return static_cast<std::size_t>(planned_bytes); }
/// The planned run in a context that has no byte more.
template <class Model>
void check_reading(const InferenceMemory& plan, const Workload& w, int written, const auto& connector, const auto& lm) {
  const typename Buffer<P, float>::type features(planned_features(std::max(1, w.sequences * w.media)));
  Context<P> ctx(bytes_of(plan.caches + plan.reading), 4096);
  auto engine = make_engine<Model>(ctx, connector, lm,
                                   {.text_rows = w.sequences * w.tokens, .media = std::max(1, w.sequences * w.media)});
  CHECK(ctx.arena().kept() == bytes_of(plan.caches));
  std::vector<TextState> states;
  for (int s = 0; s < w.sequences; ++s) {
    std::vector<CachedMedium> media;
    for (int m = 0; m < w.media; ++m)
      media.push_back(
          engine.add_medium(Rows<P, 24, const float>{features.data() + (s * w.media + m) * 2 * 16 * 24, 32, {}}, 2, m));
    Sequence sequence = flamingo::detail::spread_media(w);
    sequence.ids.resize(static_cast<std::size_t>(w.tokens - written));
    sequence.phi.resize(sequence.ids.size());
    states.push_back(engine.begin(sequence, media));
  }
  std::vector<TextState*> all;
  for (TextState& state : states) all.push_back(&state);
  for (int step = 0; step < written; ++step) {
    engine.next_logits(all);
    for (TextState* state : all) state->append(1);
  }
  CHECK(ctx.arena().peak() == bytes_of(plan.caches + plan.reading));
}

}  // namespace

TEST_CASE("a plan of inference is what Cuda's arena holds at most", "[cuda][memory_plan]") {
  const InferenceMemory plan = inference_memory<planned, P>(work, 3, Format::int8);
  const auto vision = held_in<Vision>(Format::int8, 1);
  const auto connector = held_in<Model::Connect>(Format::int8, 2);
  const auto lm = held_in<Model::Decoder>(Format::int8, 3);
  {
    Context<P> ctx(bytes_of(plan.encoding), 4096);
    const std::array grid{Grid{0, 24, 24}};
    const auto pixels = scratch<3>(ctx, 24 * 24);
    ops::clear(ctx, pixels);
    Vision::forward<no_gradients>(ctx, vision.views, pixels, grid, scratch<Vision::D>(ctx, 16));
    CHECK(ctx.arena().peak() == bytes_of(plan.encoding));
  }
  check_reading<Model>(plan, work, 3, connector.views, lm.views);
  // Steps of decoding have rows of their own, and attention a workspace: here they are what takes most.
  const Workload single{.sequences = 8, .tokens = 3, .media = 0};
  check_reading<Model>(inference_memory<planned, P>(single, 2, Format::int8), single, 2, connector.views, lm.views);

  const InferenceMemory narrow = inference_memory<planned, Cuda<bfloat16>>(work, 3, Format::int8);
  CHECK(narrow.caches == plan.caches / 2);

  // Weights that lie as numbers are read where they are.
  const InferenceMemory floats = inference_memory<planned, P>(work, 3);
  CHECK(floats.reading <= plan.reading - 4 * 32 * 64);
  CHECK(floats.caches == plan.caches);
}

TEST_CASE("on Cuda distances have room for a whole context", "[cuda][memory_plan]") {
  constexpr FlamingoConfig<Vit, Chinchilla> by_distance{.vision = planned.vision,
                                                        .resampler = planned.resampler,
                                                        .xattn = planned.xattn,
                                                        .lm = {.dim = 32,
                                                               .layers = 2,
                                                               .heads = 4,
                                                               .head_dim = 8,
                                                               .hidden = 64,
                                                               .vocabulary = 100,
                                                               .added = 1,
                                                               .context = 128}};
  using Far = model::Flamingo<by_distance, P>;
  const auto connector = held_in<Far::Connect>(Format::bf16, 2);
  const auto lm = held_in<Far::Decoder>(Format::bf16, 3);
  const Workload w{.sequences = 2, .tokens = 37, .media = 0};
  check_reading<Far>(inference_memory<by_distance, P>(w, 2, Format::bf16), w, 2, connector.views, lm.views);
}

TEST_CASE("a plan of training is what Cuda's arena holds at most", "[cuda][memory_plan]") {
  const auto lm = held_in<Model::Decoder>(Format::bf16, 3);
  Context<P> ctx(std::size_t{1} << 22, 4096);
  Trainer<planned, P, std::remove_cvref_t<decltype(lm.views)>> trainer(ctx, lm.views, 1, {});
  const TrainingPlan plan = training_plan(trainer, work);
  trainer.pass(planned_batch(), 1);
  CHECK(ctx.arena().kept_peak() == bytes_of(plan.activations));  // the features' copy too
  CHECK(ctx.arena().peak() == bytes_of(plan.activations + plan.workspace));
  CHECK(training_plan<planned, P>(work, {.frozen = Format::f32}).workspace < plan.workspace);
}

}  // namespace memory_plan_test
