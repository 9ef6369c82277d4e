#include <flamingo/train/lora.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/decoders/llama_names.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/train/checkpoint.hpp>

#include "io/files.hpp"
#include "support/layer.hpp"

namespace lora_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::TemporaryFolder;

namespace {

using P = Cpu<double>;
struct NoVision {};

constexpr FlamingoConfig<NoVision, Llama> config{
    .vision = {},
    .resampler = {.dim = 5, .latents = 2, .layers = 1, .heads = 1, .head_dim = 3, .widening = 1},
    .xattn = {.every = 2, .offset = 1, .heads = 1, .head_dim = 3, .widening = 1, .activation = Activation::gelu},
    .lm = {.dim = 6,
           .layers = 2,
           .heads = 2,
           .kv_heads = 1,
           .head_dim = 4,
           .hidden = 7,
           .vocabulary = 9,
           .added = 2,
           .context = 16}};
constexpr TrainedParts parts{.added_rows = true, .lora = 3};
using Decoder = DecoderOf<config.lm, P>;
using Weights = Store<Decoder, P>::Views;
using Trains = Trainer<config, P, Weights, parts>;
using Bare = Trainer<config, P, Weights>;
using Factors = Lora<Decoder, 3, true>;

TrainingBatch<double> batch() {
  TrainingBatch<double> b;
  b.media = {{0, 4, 1, 0}, {4, 3, 1, 0}};
  Random draw(5);
  for (int i = 0; i < 7 * 5; ++i) b.features.push_back(2 * static_cast<double>(draw.uniform()) - 1);
  b.sequences = {{.ids = {10, 3, 1, 9}, .phi = {1, 1, 1, 1}, .targets = {3, 1, 9, -1}, .first_medium = 0, .media = 1},
                 {.ids = {2, 10, 7}, .phi = {0, 1, 1}, .targets = {10, 7, 9}, .first_medium = 1, .media = 1}};
  return b;
}

struct Machine {
  Context<P> ctx{1, std::size_t{1} << 24};
  Store<Decoder, P> lm = drawn<Decoder, P>(41);
  Trains trainer{ctx, lm.views, 43, {.peak = 0.01, .warmup = 1}};

  /// The connector's and the added rows' numbers as drawn, factors as given.
  void draw() { trainer.weights = drawn<Trains::Layer, P>(53); }
};

/// The loss of a decoder without factors, between the same connector.
double loss_of(Machine& m, const Weights& lm) {
  Bare bare(m.ctx, lm, 43, {});
  const auto copy = [](const Spec&, auto& to, const auto& from) { std::copy_n(from.data, to.size(), to.data); };
  using Connect = model::Connector<config, P>;
  Connect::each(copy, bare.weights.views, m.trainer.weights.views);
  return bare.pass(batch(), 0).loss;
}

}  // namespace

TEST_CASE("low-rank factors learn by the gradients of differences, and nothing frozen is kept", "[lora]") {
  Machine m;
  m.draw();
  m.trainer.gradients.clear();
  m.trainer.pass(batch(), 0.75);
  check_weight_directions(m.trainer.weights, m.trainer.gradients,
                          [&] { return 0.75 * m.trainer.pass(batch(), 0).loss; });
  CHECK((m.ctx.arena().kept() == 0 && m.ctx.arena().scratched() == 0));

  std::vector<std::string> names;
  std::size_t numbers = 0;
  auto add = [&](const Spec& spec) {
    names.emplace_back(std::string_view(spec.name));
    numbers += spec.size();
  };
  Factors::each(add);
  CHECK((names.front() == "added" && names[1] == "blocks.0.attention.query.lora_a" &&
         names[2] == "blocks.0.attention.query.lora_b" && names.back() == "added_output"));
  // Of each block q (8, 6), k and v (4, 6), out (6, 8), gate and up (7, 6), down (6, 7).
  CHECK(numbers == 2 * 3 * (14 + 2 * 10 + 14 + 3 * 13) + 2 * 2 * 6);
}

TEST_CASE("a new addition gives the bits of the bare model; merged it gives the trained one", "[lora]") {
  Machine m;
  const auto show = [](const Spec& spec, auto& leaf) {  // the connector's gates open, the factors as new
    if (std::string_view(spec.name).ends_with("_gate")) leaf.data[0] = 0.5;
  };
  using Connect = model::Connector<config, P>;
  Connect::each(show, m.trainer.weights.views);
  Store<Decoder, P> merged(m.lm.flat);
  Factors::merge(m.ctx, merged.views, m.trainer.weights.views.lm);
  const double begun = m.trainer.pass(batch(), 0).loss;
  CHECK(begun == loss_of(m, merged.views));  // a merge of nothing places the added rows alone

  for (int i = 0; i < 20; ++i) m.trainer.update({{"a", 1, [](long) { return batch(); }}});
  const double learned = m.trainer.pass(batch(), 0).loss;
  CHECK(learned < 0.8 * begun);
  merged = Store<Decoder, P>(m.lm.flat);
  Factors::merge(m.ctx, merged.views, m.trainer.weights.views.lm);
  CHECK(loss_of(m, merged.views) == Approx(learned).epsilon(1e-12));
  CHECK(loss_of(m, m.lm.views) > 1.01 * learned);  // the factors are what learned, not the connector alone

  // Saved, and read again; merged, and written as a published decoder.
  const TemporaryFolder folder;
  save_checkpoint(folder.path() / "run.safetensors", m.trainer);
  Machine again;
  CHECK(load_checkpoint(folder.path() / "run.safetensors", again.trainer) == 20);
  CHECK(again.trainer.pass(batch(), 0).loss == learned);
  TensorWriter writer(io::DType::f64);
  writer.add<Decoder>(merged.views);
  writer.save(folder.path() / "merged.safetensors", {});
  Store<Decoder, P> read;
  load_numbers<Decoder>(io::Safetensors(folder.path() / "merged.safetensors"), read.views);
  CHECK(loss_of(m, read.views) == loss_of(m, merged.views));
}

}  // namespace lora_test
