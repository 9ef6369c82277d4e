/// A Chinchilla on Cuda: trained, asked through its cache of distances, and trained in bf16.
#include <algorithm>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

#include "kernels/cuda/text_model.hpp"

namespace flamingo::test {
extern template std::vector<double> text_model<text_chinchilla, Cpu<double, Isa::portable>>();
extern template std::vector<double> asked_text<text_chinchilla, Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace chinchilla_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a decoder of relative positions trains and writes on Cuda as on the CPU", "[cuda]") {
  check_alike(text_model<text_chinchilla, Cuda<double>>(), text_model<text_chinchilla, Cpu<double, Isa::portable>>());
  check_alike(asked_text<text_chinchilla, Cuda<double>>(), asked_text<text_chinchilla, Cpu<double, Isa::portable>>());
}

TEST_CASE("decoders train in bf16 beside masters in fp32", "[cuda]") {
  using P = Cuda<bfloat16>;
  const std::vector<double> expected = text_model<text_chinchilla, Cpu<double, Isa::portable>>();
  Context<P> ctx = small_context<P>();
  LanguageModelTrainer<text_chinchilla, P> trainer(ctx, 5, {.peak = 0.02});
  const std::vector<double> got = trained_text(trainer, 3);
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(expected[i]).epsilon(i % 2 ? 0.1 : 0.01));
  const auto weights = host_copy(ctx, trainer.weights.flat.data(), trainer.weights.flat.size());
  CHECK(std::any_of(weights.begin(), weights.end(), [](float w) { return float(bfloat16(w)) != w; }));  // not rounded
}

}  // namespace chinchilla_test
