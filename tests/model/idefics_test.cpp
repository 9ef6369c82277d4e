#include "check/idefics.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include <flamingo/model/load.hpp>

#include "check/agree.hpp"
#include "support/layer.hpp"

namespace idefics_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// idefics_base as its config.json has it.
constexpr FlamingoConfig<Vit, Llama> base{
    .vision = {.image = 30,
               .patch = 10,
               .dim = 24,
               .layers = 2,
               .heads = 3,
               .hidden = 40,
               .activation = Activation::gelu,
               .class_out = true,
               .other_sizes = OtherSizes::bicubic},
    .resampler =
        {.dim = 24, .latents = 5, .layers = 2, .heads = 3, .head_dim = 8, .activation = Activation::relu, .frames = 0},
    .xattn = {.every = 2,
              .heads = 4,
              .head_dim = 8,
              .hidden = 44,
              .activation = Activation::silu,
              .gated_dense = true,
              .norm = NormKind::rms,
              .end_of_document = 2,
              .epsilon = 1e-6f},
    .lm = {.dim = 32,
           .layers = 4,
           .heads = 4,
           .kv_heads = 4,
           .hidden = 44,
           .vocabulary = 96,
           .added = 2,
           .epsilon = 1e-6f}};
using P = Cpu<float>;
using Parts = IdeficsParts<base, P>;
using Model = Parts::Model;
constexpr int image = 97;

/// Prompts of different lengths with different numbers of pictures, none among them.
struct Prompts {
  Parts parts{io::Safetensors(golden_path("idefics_base/model.safetensors"))};
  Context<P> ctx{1};
  Engine<Model, decltype(parts.connector.views), decltype(parts.lm.views)> engine =
      make_engine<Model>(ctx, parts.connector.views, parts.lm.views, {.media = 4});

  std::vector<TextState> states() {
    std::vector<TextState> all;
    for (const std::vector<int>& ids : {std::vector<int>{1, image, 90, 35, 75, 38, image, 57, 23},
                                        {1, 40, 92, 67},
                                        {image, 5, 2, 44, 13, image, image, 8, 61, 3, 17}}) {
      std::vector<int> tags;
      std::vector<CachedMedium> media;
      for (std::size_t t = 0; t < ids.size(); ++t)
        if (ids[t] == image) {
          tags.push_back(static_cast<int>(t));
          Tensor<float> features = drawn_rows<float>(10, 24, static_cast<std::uint64_t>(tags.size()));
          media.push_back(engine.add_medium(features.rows_on<P, 24>()));
        }
      Sequence s;
      s.ids = ids;
      s.phi = phi_of(tags, static_cast<int>(ids.size()));
      s.media = static_cast<int>(media.size());
      all.push_back(engine.begin(s, media));
    }
    return all;
  }
};

}  // namespace

TEST_CASE("Idefics agrees with transformers in every block, gradient and token", "[idefics][golden]") {
  check_agreement(check_idefics<base>(golden_path("idefics_base_io.safetensors")));
}

TEST_CASE("Idefics' folder opens as one value, read where it is mapped", "[idefics]") {
  const auto folder = golden_path("idefics_base");
  const auto loaded = load<base, P>(folder);
  const Parts parts{io::Safetensors(folder / "model.safetensors")};
  const auto same = [](const Spec& spec, const auto& a, const auto& b) {
    INFO(std::string(std::string_view(spec.name)));
    CHECK(std::memcmp(a.data, b.data, spec.size() * sizeof(float)) == 0);
  };
  Parts::Vision::each(same, loaded.vision.views, parts.vision.views);
  Parts::Connect::each(same, loaded.connector.views, parts.connector.views);
  Parts::Decoder::each(same, loaded.lm.views, parts.lm.views);
  constexpr auto other = [] {
    auto c = base;
    c.xattn.every = 4;
    return c;
  }();
  CHECK_THROWS_WITH((load<other, P>(folder)), Catch::Contains("xattn.every: compiled 4, the checkpoint has 2"));
}

TEST_CASE("a batch of prompts gives the tokens that each gives alone", "[idefics]") {
  Prompts p;
  auto together = p.states();
  const GenerateOptions o{.max_new_tokens = 11};
  const auto all = generate(p.engine, std::span(together), o);
  const auto alone = p.states();
  const BeamOptions beams{.beams = 3, .max_new_tokens = 7, .returned = 2, .end_ids = {13}};
  const auto searched = beam_search(p.engine, std::span(alone), beams);
  for (std::size_t i = 0; i < alone.size(); ++i) {
    TextState one = alone[i];
    const Generated g = generate(p.engine, one, o);
    CHECK(g.ids == all[i].ids);
    CHECK(g.log_likelihoods == all[i].log_likelihoods);
    const auto hypotheses = beam_search(p.engine, alone[i], beams);
    REQUIRE(hypotheses.size() == searched[i].size());
    for (std::size_t h = 0; h < hypotheses.size(); ++h) {
      CHECK(hypotheses[h].ids == searched[i][h].ids);
      CHECK(hypotheses[h].score == searched[i][h].score);
    }
  }
}

TEST_CASE("an image token that one sequence writes changes nothing in the others", "[idefics]") {
  Prompts p;
  const auto next = [&](int written) {
    auto states = p.states();
    std::vector<TextState*> batch;
    for (TextState& s : states) batch.push_back(&s);
    p.engine.next_logits(batch);
    states[0].append(5);
    states[1].append(written);
    states[2].append(5);
    CHECK((states[1].phi.back() == 0 && states[0].phi.back() == 2));
    return p.engine.next_logits(batch);
  };
  const auto text = next(5), tag = next(image);
  const auto row = [](const std::vector<float>& logits, int i) {
    const auto from = logits.begin() + i * Model::V;
    return std::vector<float>(from, from + Model::V);
  };
  CHECK(row(tag, 0) == row(text, 0));
  CHECK(row(tag, 1) != row(text, 1));
  CHECK(row(tag, 2) == row(text, 2));
}

TEST_CASE("generation can be kept from writing image tokens", "[idefics]") {
  Prompts p;
  const auto written = [&](const std::vector<int>& banned) {
    auto states = p.states();
    int tags = 0;
    for (const Generated& g : generate(p.engine, std::span(states), {.max_new_tokens = 40, .banned = banned}))
      for (const int id : g.ids) tags += id >= image - 1;
    return tags;
  };
  CHECK(written({}) > 0);
  CHECK(written({image - 1, image}) == 0);
}

}  // namespace idefics_test
