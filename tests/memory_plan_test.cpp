#include <flamingo/memory_plan.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>

#include "memory_plan_case.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Model = model::Flamingo<planned, P>;
using Vision = Encoder<planned.vision, P>;
constexpr auto grafting = [] {
  auto c = planned;
  c.xattn.conditioning = Conditioning::grafting;
  c.xattn.grafted = 2;
  return c;
}();

}  // namespace

TEMPLATE_TEST_CASE("a plan of inference is what the engine takes", "[memory_plan]", float, bfloat16) {
  const InferenceMemory plan = inference_memory<planned, P, TestType>(work, 7);
  Context<P> ctx(1, std::size_t{1} << 26);
  {
    const auto scope = ctx.scope();
    const Store<Vision, P> weights(1);
    const std::array grid{Grid{0, 24, 24}};
    const auto pixels = scratch<3>(ctx, 24 * 24);
    ops::clear(ctx, pixels);
    Vision::forward<no_gradients>(ctx, weights.views, pixels, grid, scratch<Vision::D>(ctx, 16));
    // Dry does not count the windows that convolutions gather, which depend on the threads.
    const double gathered = static_cast<double>(ctx.arena().peak()) - plan.encoding;
    CHECK((gathered >= 0 && gathered < 256 * 1024));
  }
  ctx.arena().forget_peak();
  const Store<Model::Connect, P> connector(1);
  const Store<Model::Decoder, P> lm(2);
  auto engine = make_engine<Model, TestType>(ctx, connector.views, lm.views, {.text_rows = 74, .media = 6});
  CHECK(static_cast<double>(ctx.arena().kept()) == plan.caches);
  const std::vector<float> seen = planned_features(6);
  std::vector<TextState> states;
  for (int s = 0; s < 2; ++s) {
    std::vector<CachedMedium> media;
    for (int m = 0; m < 3; ++m)
      media.push_back(
          engine.add_medium(Rows<P, 24, const float>{seen.data() + (s * 3 + m) * 2 * 16 * 24, 32, {}}, 2, m));
    Sequence sequence = detail::spread_media(work);
    sequence.ids.resize(30);
    sequence.phi.resize(30);
    states.push_back(engine.begin(sequence, media));
  }
  std::vector<TextState*> all{&states[0], &states[1]};
  for (int step = 0; step < 7; ++step) {
    engine.next_logits(all);
    for (TextState* state : all) state->append(1);
  }
  CHECK(static_cast<double>(ctx.arena().peak()) == plan.caches + plan.reading);
  CHECK(plan.reading > 10'000);
}

TEST_CASE("weights are counted as they are held", "[memory_plan]") {
  const WeightMemory floats = weight_memory<Model::Decoder, P>(Format::f32);
  CHECK(floats.numbers == static_cast<double>(parameter_count<Model::Decoder>()));
  CHECK(floats.bytes() == 4 * floats.numbers);
  const WeightMemory narrow = weight_memory<Model::Decoder, P>(Format::bf16);
  CHECK(narrow.packed == floats.packed / 2);
  CHECK(narrow.plain == floats.plain);
  CHECK(narrow.plain == 4.0 * (4 * 2 + 1 + 2) * 32);  // the norms, and the added row, read and written
  // Bytes, and a float for each row.
  const WeightMemory bytes = weight_memory<Model::Gated, P>(Format::int8);
  const int rows = 3 * 32 + 32 + 4 * 32 + 32;
  CHECK(bytes.packed == weight_memory<Model::Gated, P>(Format::f32).packed / 4 + 4 * rows);
}

TEST_CASE("on several devices each has its share", "[memory_plan]") {
  constexpr auto half = share_of(planned, 2);
  using Half = model::Flamingo<half, P>;
  const double norms = weight_memory<Model::Decoder, P>(Format::f32).plain;
  CHECK(weight_memory<Model::Decoder, P>(Format::bf16, 2).packed ==
        weight_memory<Half::Decoder, P>(Format::bf16).packed);
  CHECK(weight_memory<Model::Decoder, P>(Format::bf16, 2).plain == norms);
  CHECK(weight_memory<Model::Gated, P>(Format::f32, 2).numbers == weight_memory<Half::Gated, P>(Format::f32).numbers);
  CHECK(connector_memory<planned, P>(Format::f32).numbers == static_cast<double>(parameter_count<Model::Connect>()));
  CHECK(connector_memory<grafting, P>(Format::f32).numbers ==
        static_cast<double>(parameter_count<model::Connector<grafting, P>>()));
  CHECK(connector_memory<grafting, P>(Format::bf16, 2).packed ==
        weight_memory<Model::ResamplerLayer, P>(Format::bf16).packed +
            2 * (weight_memory<Half::Gated, P>(Format::bf16).packed +
                 weight_memory<Half::Block, P>(Format::bf16).packed));
  // Whole and halved are enough to tell of other numbers.
  const detail::DividedBytes bytes{100, 60};
  CHECK((bytes.on(1) == 100 && bytes.on(2) == 60 && bytes.on(8) == 30));
}

TEST_CASE("a plan is told as comments", "[memory_plan]") {
  const std::string text =
      memory_plan_text<planned, P>({.inference = work, .training = work, .written = 7, .devices = {1, 2}});
  CHECK_THAT(text, Catch::StartsWith("// Memory for inference: 2 sequences of 37 tokens with 3 videos of 2 frames of "
                                     "24 x 24, 7 of them written; computing in float32\n") &&
                       Catch::Contains("//   optimiser: two moments as float32") &&
                       Catch::Contains("// Memory for training the connector: "));
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) CHECK(text.compare(at, 3, "// ") == 0);
}

TEST_CASE("work that makes no sense is refused", "[memory_plan]") {
  CHECK_THROWS_WITH((inference_memory<planned, P>({.tokens = 0})),
                    Catch::Contains("got 1 sequences of 0 tokens with 5 media of 1 frames"));
  CHECK_THROWS_WITH((inference_memory<planned, P>({.tokens = 5, .media = 1}, 5)),
                    Catch::Contains("5 of 5 tokens are written"));
}
