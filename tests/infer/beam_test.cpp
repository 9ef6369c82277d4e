#include <flamingo/infer/beam.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "support/golden.hpp"

namespace beam_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Model = LanguageModel<lm_llama, P>;

struct Golden {
  io::Safetensors file{golden_path("lm_llama_io.safetensors")};
  Store<Model::Decoder, P> lm = load_lm_llama<Model::Decoder, P>();
  Context<P> ctx{1};
  Engine<Model, Nothing, decltype(lm.views)> engine = make_engine<Model>(ctx, lm.views);

  std::vector<TextState> prompts() const {
    std::vector<TextState> states;
    for (int b = 0; b < 2; ++b) {
      Sequence s;
      s.ids = unpadded(file, b);
      s.phi.assign(s.ids.size(), 0);
      states.push_back(engine.begin(s));
    }
    return states;
  }
};

}  // namespace

TEST_CASE("Beam search returns transformers' tokens and scores") {
  Golden golden;
  const io::Json runs = metadata(golden.file, "generation");
  int checked = 0;
  for (const io::JsonMember& member : runs.as_object()) {
    if (!member.value.find("num_beams")) continue;
    INFO(member.name);
    const auto option = [&](std::string_view name, double missing) {
      const io::Json* found = member.value.find(name);
      return found ? found->as_double() : missing;
    };
    BeamOptions o{.beams = static_cast<int>(option("num_beams", 0)),
                  .max_new_tokens = static_cast<int>(option("max_new_tokens", 0)),
                  .returned = static_cast<int>(option("num_return_sequences", 1)),
                  .length_penalty = option("length_penalty", 1)};
    if (const io::Json* early = member.value.find("early_stopping"))
      o.early_stopping = early->as_bool() ? EarlyStopping::yes : EarlyStopping::no;
    const int end = static_cast<int>(option("eos_token_id", -1)), pad = static_cast<int>(option("pad_token_id", 0));
    if (end >= 0) o.end_ids = {end};

    const auto found = beam_search(golden.engine, golden.prompts(), o);
    std::vector<Hypothesis> all;
    for (const auto& hypotheses : found) all.insert(all.end(), hypotheses.begin(), hypotheses.end());
    const io::TensorView& tokens = golden.file.at("gen." + member.name + ".tokens");
    const auto expected = numbers<int>(tokens);
    const auto scores = numbers<double>(golden.file.at("gen." + member.name + ".scores"));
    const auto rows = padded(all, end, pad, o.max_new_tokens);
    REQUIRE(all.size() == scores.size());
    const std::size_t width = static_cast<std::size_t>(tokens.shape[1]), prompt = 14;
    for (std::size_t i = 0; i < all.size(); ++i) {
      CHECK(rows[i] == std::vector<int>(expected.begin() + static_cast<std::ptrdiff_t>(i * width + prompt),
                                        expected.begin() + static_cast<std::ptrdiff_t>((i + 1) * width)));
      CHECK(std::abs(all[i].score - scores[i]) <= 1e-4 * std::max(1.0, std::abs(scores[i])));
    }
    ++checked;
  }
  CHECK(checked == 5);
  CHECK(golden.engine.text_rows_used() == 0);
}

TEST_CASE("Beams of full width find what exhaustive search finds") {
  // The four ids that are not banned, three steps: 64 answers, fewer where an end id stands.
  Golden golden;
  std::vector<int> banned;
  for (int id = 4; id < lm_llama.vocabulary; ++id) banned.push_back(id);
  const double penalty = GENERATE(0.0, 1.0, -1.5);
  const BeamOptions o{.beams = 64,
                      .max_new_tokens = 3,
                      .returned = 64,
                      .length_penalty = penalty,
                      .early_stopping = EarlyStopping::never,
                      .end_ids = {2},
                      .banned = banned};
  const auto prompts = golden.prompts();
  const auto found = beam_search(golden.engine, prompts, o);
  for (std::size_t p = 0; p < 2; ++p) {
    std::vector<Hypothesis> all;
    const auto walk = [&](const auto& self, const TextState& state, const std::vector<int>& ids, double log_p) -> void {
      TextState copy = state;
      TextState* const one[] = {&copy};
      for (const auto& [id, log_p_of_id] : golden.engine.likeliest_next(one, 4, banned)) {
        const double sum = log_p + log_p_of_id;
        const auto length = static_cast<double>(ids.size() + 1);
        auto longer = ids;
        if (id == 2) {
          all.push_back({ids, sum / std::pow(length, penalty), true});
          continue;
        }
        longer.push_back(id);
        if (longer.size() == 3) {
          all.push_back({longer, sum / std::pow(length, penalty), false});
          continue;
        }
        TextState next = copy;
        next.append(id);
        self(self, next, longer, sum);
      }
    };
    walk(walk, prompts[p], {}, 0);
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
    REQUIRE(found[p].size() == all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      CHECK(found[p][i].ids == all[i].ids);
      CHECK(found[p][i].ended == all[i].ended);
      CHECK(found[p][i].score == all[i].score);  // the same sums in the same order: rows do not see each other
    }
  }
}

TEST_CASE("One beam is greedy decoding, and prompts do not see each other") {
  Golden golden;
  const BeamOptions one{.beams = 1, .max_new_tokens = 7}, three{.beams = 3, .max_new_tokens = 7, .returned = 3};
  auto prompts = golden.prompts();
  const auto together = beam_search(golden.engine, prompts, three);
  for (std::size_t p = 0; p < 2; ++p) {
    const auto alone = beam_search(golden.engine, prompts[p], three);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(alone[i].ids == together[p][i].ids);
      CHECK(alone[i].score == together[p][i].score);
    }
    const auto single = beam_search(golden.engine, prompts[p], one);
    CHECK(single[0].ids == generate(golden.engine, prompts[p], {.max_new_tokens = 7}).ids);
  }
}

TEST_CASE("Beam search refuses options without a sense") {
  Golden golden;
  const auto prompts = golden.prompts();
  CHECK_THROWS_WITH(beam_search(golden.engine, prompts, {.beams = 0}),
                    "[beam_search] beams is 0, expected a positive number");
  CHECK_THROWS_WITH(beam_search(golden.engine, prompts, {.beams = 2, .returned = 3}),
                    "[beam_search] returned is 3, expected 1 to beams = 2");
  CHECK_THROWS_WITH(beam_search(golden.engine, prompts, {.banned = {84}}),
                    "[beam_search] banned has the id 84, expected 0 to 83");
}

}  // namespace beam_test
