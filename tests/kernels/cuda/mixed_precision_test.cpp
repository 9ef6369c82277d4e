/// A connector trained in bf16 beside masters in fp32, between frozen parts in bf16.
#include "kernels/cuda/model.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template ModelReport mini_model<Cpu<double, Isa::portable>, connector_alone>(int);
}  // namespace flamingo::test

namespace mixed_precision_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("bf16 with masters in fp32 trains as double does", "[cuda]") {
  using P = Cuda<bfloat16>;
  using Decoder = model::Flamingo<mini_config, P>::Decoder;
  constexpr int updates = 8;
  const ModelReport expected = mini_model<Cpu<double, Isa::portable>, connector_alone>(updates);

  Context<P> ctx = small_context<P>();
  const Store<Decoder, P, float> masters(drawn<Decoder, Cpu<float, Isa::portable>>(41).flat);
  RoundedWeights<Decoder, P> lm;
  lm.round(ctx, masters);
  Trainer<mini_config, P, RoundedWeights<Decoder, P>::Views> trainer(ctx, lm.views, 43, {.peak = 0.02, .warmup = 5});
  const std::vector<DatasetStream<bfloat16>> mixture{
      {"a", 0.75, [](long step) { return mini_batch<bfloat16>(static_cast<std::uint64_t>(step)); }},
      {"b", 1.5, [](long step) { return mini_batch<bfloat16>(1000 + static_cast<std::uint64_t>(step)); }}};
  for (std::size_t i = 0; i < updates; ++i) {
    const UpdateReport update = trainer.update(mixture);
    for (std::size_t j : {0u, 1u}) {
      CAPTURE(i, j);
      CHECK(update.datasets[j].loss == Approx(expected.losses[2 * i + j]).epsilon(0.02));
    }
  }
  const auto weights = host_copy(ctx, trainer.weights.flat.data(), trainer.weights.flat.size());
  CHECK(std::any_of(weights.begin(), weights.end(), [](float w) { return float(bfloat16(w)) != w; }));  // not rounded
}

}  // namespace mixed_precision_test
