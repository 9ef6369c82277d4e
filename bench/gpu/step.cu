/// A training step of a Flamingo by the library's own trainer: bf16, masters in fp32, the decoder frozen.
///
///   step B L M     Flamingo-3B's sizes around a LLaMA of its language model's: B sequences of L tokens with M pictures
///   each
///
/// The trained half is drawn as any new one; the decoder's numbers are drawn here. Pictures are given as features.
#include <chrono>
#include <numeric>

#include <flamingo/train/trainer.hpp>

#include "flamingo_3b.cuh"

namespace flamingo::bench {

/// New gates are zero, and so would be most gradients: open, they leave nothing to be multiplied by zeros.
template <class Connect>
void open_gates(Store<Connect, P, float>& weights) {
  const auto open = [](const Spec& spec, auto& leaf) {
    if (spec.size() == 1) check_cuda(raw::fill(leaf.data, 0.5f, 1, nullptr), "open_gates");
  };
  Connect::each(open, weights.views);
  check_cuda(cudaDeviceSynchronize(), "open_gates");
}

TrainingBatch<bfloat16> batch_of(int B, int L, int M, std::uint64_t seed) {
  Random draw(seed, 0);
  TrainingBatch<bfloat16> batch;
  const int rows = B * M * features_of_picture;
  batch.features.resize(static_cast<std::size_t>(rows) * feature_width);
  for (bfloat16& x : batch.features) x = bfloat16(2 * draw.uniform() - 1);
  for (int i = 0; i < B * M; ++i) batch.media.push_back({i * features_of_picture, features_of_picture});
  for (int b = 0; b < B; ++b) {
    Sequence s{.first_medium = b * M, .media = M};
    for (int t = 0; t < L; ++t) {
      s.ids.push_back(draw.below(words));
      s.phi.push_back(t * M / L + 1);
      s.targets.push_back(draw.below(words));
    }
    batch.sequences.push_back(std::move(s));
  }
  return batch;
}

/// A template, because nvcc cannot write down types that depend on a config.
template <auto C>
void step(const Case& c) {
  using Model = model::Flamingo<C, P>;
  using Trained = typename Model::Connect;
  using Decoder = typename Model::Decoder;
  using Frozen = RoundedWeights<Decoder, P>;
  const int B = c[0], L = c[1], M = c[2];
  constexpr std::size_t updates = 8;
  std::vector<TrainingBatch<bfloat16>> batches;  // handed over as a loader's would be
  for (std::size_t i = 0; i < updates; ++i) batches.push_back(batch_of(B, L, M, i));
  const std::vector<DatasetStream<bfloat16>> mixture{
      {"drawn", 1, [&](long at) { return std::move(batches[static_cast<std::size_t>(at - 1)]); }}};
  // A master, a gradient, two moments and the rounded weight of what is trained, both weights of what is frozen; the
  // arena has what is left.
  const std::size_t weights =
      flat_size<Trained>() * (4 * sizeof(float) + 2) + flat_size<Decoder>() * (sizeof(float) + 2);
  const std::size_t spare = std::size_t{3} << 30;
  check(free_memory() > weights + spare, "bench", "the weights alone have ", weights, " bytes, the device ",
        free_memory());
  Context<P> ctx(free_memory() - weights - spare, std::size_t{64} << 20);
  Store<Decoder, P, float> masters;
  draw_weights(masters);
  Frozen frozen;
  frozen.round(ctx, masters);
  Trainer<C, P, typename Frozen::Views> trainer(ctx, frozen.views, 1, {.peak = 1e-4, .warmup = 1});
  open_gates(trainer.weights);

  using Clock = std::chrono::steady_clock;  // a step waits for its losses and norm: the host's clock tells all of it
  std::vector<double> times;
  UpdateReport report;
  for (std::size_t i = 0; i < updates; ++i) {
    const auto begin = Clock::now();
    report = trainer.update(mixture);
    ctx.wait();
    if (i > 1) times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  std::fprintf(stderr, "step: loss %.3f, gradient's norm %.3g\n", report.datasets[0].loss, report.gradient_norm);
  c.report("step", "ours", times[times.size() / 2]);
}

}  // namespace flamingo::bench

int main() {
  using namespace flamingo::bench;
  return measure_cases([&](const Case& c) {
    if (c.kind == "step") step<config>(c);
  });
}
