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
  const TrainingMemory plan = training_memory<planned, P>(work);
  Context<P> ctx(1, std::size_t{1} << 26);
  const Store<Model::Decoder, P> lm(2);
  Trainer<planned, P, std::remove_cvref_t<decltype(lm.views)>> trainer(ctx, lm.views, 1, {});
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
