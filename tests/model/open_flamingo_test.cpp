#include <algorithm>
#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/open_flamingo.hpp"
#include "support/compare.hpp"
#include "support/tolerance.hpp"

namespace open_flamingo_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr FlamingoConfig<Vit, Mpt> over_mpt{
    .vision = {.image = 28, .patch = 7, .dim = 24, .layers = 3, .heads = 3},
    .resampler =
        {.dim = 24, .latents = 6, .layers = 2, .heads = 4, .head_dim = 8, .activation = Activation::gelu, .frames = 0},
    .xattn = {.every = 2,
              .offset = 1,
              .heads = 4,
              .head_dim = 8,
              .activation = Activation::gelu,
              .beyond_last = NoImage::uniform},
    .lm = {.dim = 32, .layers = 4, .heads = 4, .vocabulary = 96, .added = 3, .context = 64}};

constexpr FlamingoConfig<Vit, GptNeox> over_neox{
    .vision = {.image = 30, .patch = 10, .dim = 24, .layers = 2, .heads = 2, .activation = Activation::gelu},
    .resampler =
        {.dim = 24, .latents = 5, .layers = 2, .heads = 3, .head_dim = 8, .activation = Activation::gelu, .frames = 0},
    .xattn = {.every = 1,
              .offset = 0,
              .heads = 3,
              .head_dim = 8,
              .activation = Activation::gelu,
              .beyond_last = NoImage::uniform},
    .lm = {.dim = 32,
           .layers = 3,
           .heads = 4,
           .hidden = 72,
           .vocabulary = 88,
           .added = 3,
           .context = 64,
           .rotary_share = 1,
           .parallel = false}};

}  // namespace

TEST_CASE("OpenFlamingo over MPT agrees with its own code", "[open_flamingo]") {
  check_agreement(check_open_flamingo<over_mpt>(golden_path("openflamingo_mpt.safetensors")));
}

TEST_CASE("OpenFlamingo over GPT-NeoX agrees with its own code", "[open_flamingo]") {
  check_agreement(check_open_flamingo<over_neox>(golden_path("openflamingo_neox.safetensors")));
}

TEST_CASE("The rows that OpenFlamingo adds to the vocabulary are trained while the rest of the decoder is frozen",
          "[open_flamingo]") {
  using P = Cpu<float>;
  using Case = OpenFlamingoCase<over_mpt, P>;
  Case c(golden_path("openflamingo_mpt.safetensors"));
  c.see();
  Case::Decoder::Parameters<Adapters<P>> gradients{};
  Tensor<float> added(over_mpt.lm.added, over_mpt.lm.dim);
  gradients.added.data = added.data();
  c.train(gradients);
  // The golden has the gradient of the whole table, of which OpenFlamingo keeps these rows.
  const auto table = c.golden.rows<float>("grad.lang_encoder.transformer.wte.weight");
  CHECK(distance(added, rows_of(table, over_mpt.lm.vocabulary, over_mpt.lm.added)).relative < 1e-4);
  CHECK(c.golden.report.outputs < 1e-5);
}

namespace {

/// The golden's two documents, of three and two pictures and of different lengths, and one without pictures.
struct Prompts {
  using P = Cpu<float>;
  using Case = OpenFlamingoCase<over_mpt, P>;
  static constexpr int tag = 97, V = Case::V;

  Case c{golden_path("openflamingo_mpt.safetensors")};
  Engine<Case::Model, decltype(c.connector.views), decltype(c.lm.views)> engine =
      make_engine<Case::Model>(c.ctx, c.connector.views, c.lm.views);
  std::vector<TextState> all;

  Prompts() {
    c.see();
    for (std::size_t b = 0; b < c.sequences.size(); ++b) all.push_back(c.begin(engine, b));
    all.push_back(engine.begin({.ids = {3, 50, 7}, .phi = {0, 0, 0}}));
  }
  std::vector<float> next(TextState& state) {
    TextState* const one[] = {&state};
    return engine.next_logits(one);
  }
};

}  // namespace

TEST_CASE("OpenFlamingo's prompts in a batch are answered as each alone", "[open_flamingo]") {
  Prompts prompts;
  auto together = prompts.all;
  const GenerateOptions o{.max_new_tokens = 9};
  const auto answers = generate(prompts.engine, std::span(together), o);
  const BeamOptions beams{.beams = 3, .max_new_tokens = 6, .returned = 3};
  const auto found = beam_search(prompts.engine, std::span<const TextState>(prompts.all), beams);
  for (std::size_t b = 0; b < prompts.all.size(); ++b) {
    INFO("prompt " << b);
    TextState alone = prompts.all[b];
    const Generated answer = generate(prompts.engine, alone, o);
    CHECK(answer.ids == answers[b].ids);
    CHECK(answer.log_likelihoods == answers[b].log_likelihoods);
    const auto own = beam_search(prompts.engine, prompts.all[b], beams);
    REQUIRE(own.size() == found[b].size());
    for (std::size_t i = 0; i < own.size(); ++i) {
      CHECK(own[i].ids == found[b][i].ids);
      CHECK(own[i].score == found[b][i].score);
    }
  }
}

TEST_CASE("OpenFlamingo reads its answer in one pass as it wrote it, from caches", "[open_flamingo]") {
  Prompts prompts;
  for (std::size_t b = 0; b < 2; ++b) {
    INFO("prompt " << b);
    TextState stepped = prompts.all[b], whole = prompts.all[b];
    std::vector<float> last = prompts.next(stepped);
    for (int step = 0; step < 7; ++step) {
      const int id = static_cast<int>(std::max_element(last.begin(), last.end()) - last.begin());
      whole.append(id);
      stepped.append(id);
      last = prompts.next(stepped);
    }
    const auto again = prompts.next(whole);
    CHECK(distance(again.data(), last.data(), last.size()).relative < chain_bound<float>(64));
  }
}

TEST_CASE("An <image> that OpenFlamingo writes stays with the last picture, and concerns no other sequence",
          "[open_flamingo]") {
  Prompts prompts;
  std::vector<TextState> plain = prompts.all, tagged = prompts.all;
  const std::vector<TextState*> of_plain{&plain[0], &plain[1], &plain[2]},
      of_tagged{&tagged[0], &tagged[1], &tagged[2]};
  CHECK(prompts.engine.next_logits(of_plain) == prompts.engine.next_logits(of_tagged));
  std::vector<int> written;
  for (const int id : {11, 12}) {
    for (TextState& state : plain) state.append(id);
    for (TextState& state : tagged) state.append(id == 11 && &state == &tagged[0] ? Prompts::tag : id);
    const auto a = prompts.engine.next_logits(of_plain), b = prompts.engine.next_logits(of_tagged);
    constexpr auto V = std::size_t{Prompts::V};
    CHECK(std::equal(a.begin() + V, a.end(), b.begin() + V));
    CHECK_FALSE(std::equal(a.begin(), a.begin() + V, b.begin()));

    // In one pass over all tokens, all that was written being as new as the last picture.
    written.push_back(id == 11 ? Prompts::tag : id);
    Sequence s = prompts.c.sequences[0];
    s.ids.insert(s.ids.end(), written.begin(), written.end());
    s.phi.resize(s.ids.size(), s.phi.back());
    TextState whole = prompts.engine.begin(s, prompts.all[0].media);
    const auto one_pass = prompts.next(whole);
    CHECK(distance(one_pass.data(), b.data(), V).relative < chain_bound<float>(64));
  }
}

}  // namespace open_flamingo_test
