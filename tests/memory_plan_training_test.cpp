#include <catch2/catch.hpp>

#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/train/trainer.hpp>

#include "memory_plan_case.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Model = model::Flamingo<planned, P>;

}  // namespace

TEST_CASE("a plan of training is what the trainer takes", "[memory_plan]") {
  const bool recompute = GENERATE(false, true);
  const TrainingMemory plan = training_memory<planned, P>(work, {.recompute = recompute});
  Context<P> ctx(1, std::size_t{1} << 26);
  const Store<Model::Decoder, P> lm(2);
  Trainer<planned, P, std::remove_cvref_t<decltype(lm.views)>> trainer(ctx, lm.views, 1, {}, {},
                                                                       {.recompute = recompute});
  TrainingBatch<float> batch;
  batch.features = planned_features(6);
  for (int m = 0; m < 6; ++m) batch.media.push_back({m * 32, 32, 2, m % 3});
  for (int s = 0; s < 2; ++s) {
    batch.sequences.push_back(detail::spread_media(work));
    batch.sequences.back().first_medium = 3 * s;
  }
  trainer.pass(batch, 1);
  // The trainer's features are its batch's own, not the arena's.
  const double own = static_cast<double>(batch.features.size() * sizeof(float));
  CHECK(static_cast<double>(ctx.arena().peak()) == plan.most() - own);
}

TEST_CASE("computing blocks again takes the memory of one of them", "[memory_plan]") {
  constexpr auto deeper = [] {
    auto c = planned;
    c.lm.layers = 12;
    return c;
  }();
  const TrainingMemory kept = training_memory<planned, P>(work),
                       again = training_memory<planned, P>(work, {.recompute = true}),
                       more_again = training_memory<deeper, P>(work, {.recompute = true});
  CHECK(again.activations < kept.activations / 2);
  CHECK(again.most() < 0.6 * kept.most());
  // Eight more blocks, four of them gated, keep what they read, and nothing else.
  const double rows = work.sequences * work.tokens * 32 * sizeof(float);
  CHECK(more_again.most() - again.most() < 8 * (rows + 64));
}
