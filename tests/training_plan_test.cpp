#include <flamingo/training_plan.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>

#include "memory_plan_case.hpp"

// What the process holds is asked of glibc's allocator; a sanitizer puts its own in its place.
#ifdef __has_feature
#define FLAMINGO_SANITIZED __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#else
#define FLAMINGO_SANITIZED 0
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !(FLAMINGO_SANITIZED)
#if __GLIBC_PREREQ(2, 33)
#include <malloc.h>
#define FLAMINGO_TELLS_HELD
#endif
#endif

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Model = model::Flamingo<planned, P>;

/// Bytes that the process holds, where its allocator tells.
#ifdef FLAMINGO_TELLS_HELD
constexpr bool tells_held = true;
double held() {
  const auto now = mallinfo2();
  return static_cast<double>(now.uordblks + now.hblkhd);
}
#else
constexpr bool tells_held = false;
double held() { return 0; }
#endif

}  // namespace

TEST_CASE("a plan of training is what the trainer takes", "[training_plan]") {
  const bool recompute = GENERATE(false, true);
  const MomentFormat moments = recompute ? MomentFormat::block8 : MomentFormat::full;
  Context<P> ctx(1, std::size_t{1} << 26);
  const Store<Model::Decoder, P> lm(2);
  Trainer<planned, P, std::remove_cvref_t<decltype(lm.views)>> trainer(ctx, lm.views, 1, {}, {.moments = moments},
                                                                       {.recompute = recompute});
  const TrainingPlan plan = training_plan(trainer, work);
  const auto batch = planned_batch();
  trainer.update({{"all", 1, [&](long) { return batch; }}});
  const auto bytes = [](const auto&... buffers) {
    return (static_cast<double>(buffers.size() * sizeof(*buffers.data())) + ...);
  };
  const auto& [first, second] = std::tie(trainer.optimizer.first, trainer.optimizer.second);
  CHECK(plan.weights == bytes(trainer.weights.flat));
  CHECK(plan.gradients == bytes(trainer.gradients.flat));
  CHECK(plan.moments == bytes(first.flat, first.codes, first.exponents, second.flat, second.codes, second.exponents));
  // The rooms of a Store's parameters begin at multiples of 16 numbers.
  CHECK((plan.frozen_lm <= bytes(lm.flat) && plan.frozen_lm > 0.98 * bytes(lm.flat)));
  // The trainer's features are its batch's own, not the arena's.
  CHECK(static_cast<double>(ctx.arena().peak()) == plan.activations + plan.workspace - bytes(batch.features));
  CHECK(plan.text().find("\n  activations, features among them") != std::string::npos);

  // Where processes divide the state, it is this one's share.
  CHECK((training_plan<planned, P>(work, {.moments = moments}).moments == plan.moments));
  const dist::Range share{0, 16};
  trainer.optimizer.keep({&share, 1});
  CHECK(training_plan(trainer, work).moments == 32 * moment_bytes<float>(moments));
}

TEST_CASE("a plan counts all batches that an update draws, and a part's copy of its own", "[training_plan]") {
  using Trains = Trainer<planned, P, Store<Model::Decoder, P>::Views>;
  constexpr int datasets = 4;
  Workload mixed = work;
  mixed.batches = datasets;
  const auto large = planned_batch();
  const auto bytes = static_cast<double>(large.features.size() * sizeof(float));
  for (const int at_once : {0, 1}) {
    Context<P> ctx(1, std::size_t{1} << 26);
    const Store<Model::Decoder, P> lm(2);
    Trains trainer(ctx, lm.views, 1, {}, {}, {.sequences_at_once = at_once});
    const TrainingPlan plan = training_plan(trainer, mixed);
    double before = 0, most = 0;
    std::vector<DatasetStream<float>> mixture;
    for (int m = 0; m < datasets; ++m)
      mixture.push_back({std::to_string(m), 1, [&, m](long) {
                           if (m == 0) before = held();
                           auto batch = large;
                           most = std::max(most, held() - before);
                           return batch;
                         }});
    trainer.update(mixture);
    const double part = at_once ? bytes * at_once / work.sequences : 0;
    CHECK(plan.drawn + (at_once ? 0 : bytes) == datasets * bytes);
    if (!tells_held) continue;
    CHECK(most > 0.95 * datasets * bytes);
    const double taken = most + part + static_cast<double>(ctx.arena().peak());
    CHECK(std::abs(plan.activations + plan.workspace + plan.drawn - taken) < 0.05 * taken);
  }
}

TEST_CASE("a plan of a batch of many gigabytes takes no memory", "[training_plan]") {
  const double before = held();
  const auto batch = detail::batch_of<planned, Dry<P>, TrainedParts{.vision = true}>(
      {.sequences = 1, .tokens = 4, .media = 4, .frames = 8, .image = 6000});
  CHECK(batch.pixels.size() == std::size_t{3} * 4 * 8 * 6000 * 6000);
  CHECK(held() < before + (1 << 20));
}

TEST_CASE("a plan counts more pixels than an int does", "[training_plan]") {
  constexpr auto large = [] {
    auto c = planned;
    c.vision.image = 2400;
    c.vision.patch = 60;
    return c;
  }();
  const auto bytes = [](int media) {
    return training_memory<large, P, TrainedParts{.vision = true}>(
               {.sequences = 1, .tokens = 4, .media = media, .frames = 3})
        .most();
  };
  const double pixels = 42.0 * 3 * 2400 * 2400 * 3;
  CHECK(pixels > std::numeric_limits<int>::max());
  CHECK(bytes(42) > pixels * sizeof(float));
  CHECK(std::abs(bytes(42) / bytes(21) - 2) < 0.01);
}

TEST_CASE("as many sequences are taken at a time as fit", "[training_plan]") {
  Workload many = work;
  many.sequences = 7;
  const auto bytes = [](int sequences) {
    Workload w = work;
    w.sequences = sequences;
    return training_memory<planned, P>(w).most();
  };
  CHECK(sequences_that_fit<planned, P>(many, bytes(3)) == 3);
  CHECK(sequences_that_fit<planned, P>(many, bytes(4) - 1) == 3);
  CHECK(sequences_that_fit<planned, P>(many, 10 * bytes(7)) == 7);
  CHECK(sequences_that_fit<planned, P>(many, bytes(1) - 1) == 0);
}

TEST_CASE("a plan of a divided model is of one process's part", "[training_plan]") {
  constexpr auto divided = [] {
    auto c = planned;
    c.xattn.split = 2;
    return c;
  }();
  const TrainingMemory whole = training_memory<planned, P>(work), part = training_memory<divided, P>(work);
  CHECK(part.activations < whole.activations);
  CHECK(part.activations > whole.activations / 2);
  CHECK(training_plan<divided, P>(work, {}).weights < training_plan<planned, P>(work, {}).weights);
}

TEST_CASE("computing blocks again takes the memory of one of them", "[training_plan]") {
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
