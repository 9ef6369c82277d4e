#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>
#include <flamingo/train/state_file.hpp>

#include "io/files.hpp"
#include "kernels/cuda/text_model.hpp"

namespace flamingo::test {
extern template std::vector<double> text_model<text_mpt, Cpu<double, Isa::portable>>();
extern template std::vector<double> text_model<text_neox, Cpu<double, Isa::portable>>();
extern template SteppedText stepped_text<text_mpt, Cpu<double, Isa::portable>>();
extern template SteppedText stepped_text<text_neox, Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace text_model_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("decoders of other types train on Cuda as on the CPU", "[cuda]") {
  check_alike(text_model<text_mpt, Cuda<double>>(), text_model<text_mpt, Cpu<double, Isa::portable>>());
  check_alike(text_model<text_neox, Cuda<double>>(), text_model<text_neox, Cpu<double, Isa::portable>>());
}

TEST_CASE("steps of decoding on Cuda give the CPU's logits, captured and replayed", "[cuda]") {
  const SteppedText rotary = stepped_text<text_neox, Cuda<double>>(), alibi = stepped_text<text_mpt, Cuda<double>>();
  check_alike(rotary.logits, stepped_text<text_neox, Cpu<double, Isa::portable>>().logits);
  check_alike(alibi.logits, stepped_text<text_mpt, Cpu<double, Isa::portable>>().logits);
  CHECK(rotary.captured == 11);  // all of 12 but the first: no table moves while sequences grow
  CHECK(alibi.captured == rotary.captured);
}

TEST_CASE("a run on Cuda that is stopped and resumed goes on bit for bit", "[cuda]") {
  using P = Cuda<double>;
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "state.safetensors";
  Context<P> ctx = small_context<P>();
  LanguageModelTrainer<text_mpt, P> straight(ctx, 5, {.peak = 0.02}), resumed(ctx, 6, {.peak = 0.02});
  trained_text(straight, 2);
  save_state(ctx, path, straight.weights, straight.optimizer);
  CHECK(load_state(path, resumed.weights, resumed.optimizer) == 2);
  CHECK(trained_text(resumed, 1) == trained_text(straight, 1));
}

}  // namespace text_model_test
