#include <flamingo/train/trainer.hpp>

#include <flamingo/cpu.hpp>

#include "support/models.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

/// One update over ten documents of 20 tokens, 15 of them asked for: tokens a second of the decoder.
void training_step(benchmark::State& state) {
  using Q = bench::P;
  using Lm = DecoderOf<sizes.lm, Q>;
  using Weights = Store<Lm, Q>::Views;
  static const Store<Lm, Q> lm;
  Context<Q> ctx(static_cast<int>(state.range(0)));
  Trainer<sizes, Q, Weights> trainer(ctx, lm.views, 1, {});
  const Documents documents(10, 20, 15);
  TrainingBatch<float> batch;
  batch.features.assign(10 * 25 * 1280, 0.5f);
  batch.media = documents.media;
  batch.sequences = documents.sequences;
  const std::vector<DatasetStream<float>> mixture{{"documents", 1, [&](long) { return batch; }}};
  for (auto _ : state) trainer.update(mixture);
  state.counters["tokens"] = benchmark::Counter(200, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(training_step)->Arg(1)->Arg(2)->ArgName("threads")->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
