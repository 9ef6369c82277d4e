#include <flamingo/infer/logits.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/beam.hpp>
#include <flamingo/infer/generate.hpp>

#include "support/golden.hpp"

namespace logits_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Model = LanguageModel<lm_llama, P>;
constexpr int V = lm_llama.vocabulary;
constexpr double infinity = std::numeric_limits<double>::infinity();

struct GoldenRules {
  Store<Model::Decoder, P> lm = load_lm_llama<Model::Decoder, P>();
  Context<P> ctx{1};
  Engine<Model, Nothing, decltype(lm.views)> engine = make_engine<Model>(ctx, lm.views);

  TextState prompt(std::vector<int> ids = {3, 17, 5, 17, 60, 2}) const {
    Sequence s;
    s.phi.assign(ids.size(), 0);
    s.ids = std::move(ids);
    return engine.begin(s);
  }
  std::vector<double> logits(TextState& state) {
    TextState* const one[] = {&state};
    const auto row = engine.next_logits(one);
    return {row.begin(), row.end()};
  }
  /// Greedy by the definition: forbid and penalise the whole vocabulary, then take the first best.
  std::vector<int> naive(std::vector<int> ids, int steps, const std::vector<int>& banned, double penalty) {
    TextState state = prompt(ids);
    std::vector<int> written;
    for (int step = 0; step < steps; ++step) {
      std::vector<double> scores = logits(state);
      for (int id = 0; id < V; ++id) {
        double& score = scores[static_cast<std::size_t>(id)];
        if (std::find(ids.begin(), ids.end(), id) != ids.end()) score = score < 0 ? score * penalty : score / penalty;
        if (std::find(banned.begin(), banned.end(), id) != banned.end()) score = -infinity;
      }
      written.push_back(static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin()));
      ids.push_back(written.back());
      state.append(written.back());
    }
    return written;
  }
};

/// Forbids by a hook.
LogitsHook forbidding(std::vector<int> ids) {
  return [ids = std::move(ids)](std::span<const int>, std::span<double> scores) {
    for (const int id : ids) scores[static_cast<std::size_t>(id)] = -infinity;
  };
}

}  // namespace

TEST_CASE("A penalty counts once for each token, forbidden ids follow, the hook is last", "[logits]") {
  TextState state;
  state.read_ids = {1, 2, 2};
  state.ids = {4, 2};
  std::vector<double> scores{8, 8, -3, 5, 0, -1};
  const std::vector<int> banned{3};
  std::vector<int> seen_ids;
  std::vector<double> seen_scores;
  const LogitsHook hook = [&](std::span<const int> ids, std::span<double> given) {
    seen_ids.assign(ids.begin(), ids.end());
    seen_scores.assign(given.begin(), given.end());
    given[0] = -7;
  };
  LogitsRules{.repetition_penalty = 2, .banned = banned, .hook = &hook}.apply(state, scores);
  CHECK(seen_ids == std::vector<int>{1, 2, 2, 4, 2});
  CHECK(seen_scores == std::vector<double>{8, 4, -6, -infinity, 0, -1});
  CHECK(scores == std::vector<double>{-7, 4, -6, -infinity, 0, -1});
  CHECK_FALSE(LogitsRules{.banned = banned}.change());  // a row is not copied for forbidden ids
  const LogitsHook none;
  CHECK_FALSE(LogitsRules{.hook = &none}.change());
}

TEST_CASE("Ids that are read and never written have no score to penalise", "[logits]") {
  TextState state;
  state.read_ids = {1, 3};
  std::vector<double> scores{8, 8, -3, 5};  // of three ids: the last one lies beyond them
  LogitsRules{.repetition_penalty = 2}.apply(state, std::span(scores).first(3));
  CHECK(scores == std::vector<double>{8, 4, -3, 5});
}

TEST_CASE("Greedy decoding with rules is that of their definition", "[logits]") {
  GoldenRules golden;
  const std::vector<int> ids{3, 17, 5, 17, 60, 2};
  const auto written = [&](const GenerateOptions& o) {
    TextState state = golden.prompt(ids);
    return generate(golden.engine, state, o).ids;
  };
  const auto plain = written({.max_new_tokens = 9});
  CHECK(plain == golden.naive(ids, 9, {}, 1));
  const std::vector<int> banned{plain[0], plain[2], 11};
  const auto without = written({.max_new_tokens = 9, .banned = banned});
  CHECK(without == golden.naive(ids, 9, banned, 1));
  CHECK(without != plain);
  CHECK(written({.max_new_tokens = 9, .hook = forbidding(banned)}) == without);
  for (const float penalty : {0.5f, 1.3f, 4.0f}) {
    const auto expected = golden.naive(ids, 9, banned, static_cast<double>(penalty));
    CHECK(written({.max_new_tokens = 9, .banned = banned, .repetition_penalty = penalty}) == expected);
  }
  const auto penalised = golden.naive(ids, 9, {}, 4);
  CHECK(penalised != plain);
  CHECK(written({.max_new_tokens = 9, .repetition_penalty = 4}) == penalised);
}

TEST_CASE("Likelihoods are the model's, whatever the rules", "[logits]") {
  GoldenRules golden;
  TextState state = golden.prompt(), again = golden.prompt();
  const auto found = generate(golden.engine, state, {.max_new_tokens = 3, .repetition_penalty = 3});
  for (std::size_t i = 0; i < 3; ++i) {
    const auto logits = golden.logits(again);
    double sum = 0;
    for (const double x : logits) sum += std::exp(x);
    CHECK(std::abs(found.log_likelihoods[i] - (logits[static_cast<std::size_t>(found.ids[i])] - std::log(sum))) < 1e-9);
    again.append(found.ids[i]);
  }
}

TEST_CASE("Tokens of earlier turns count as repeated", "[logits]") {
  GoldenRules golden;
  TextState chat = golden.prompt({3, 17, 5});
  const auto first = generate(golden.engine, chat, {.max_new_tokens = 4});
  golden.engine.append(chat, std::vector{11, 29}, {});
  std::vector<int> all{3, 17, 5};
  all.insert(all.end(), first.ids.begin(), first.ids.end());
  all.insert(all.end(), {11, 29});
  CHECK(generate(golden.engine, chat, {.max_new_tokens = 5, .repetition_penalty = 4}).ids ==
        golden.naive(all, 5, {}, 4));
}

TEST_CASE("Sampling draws from what the rules leave", "[logits]") {
  GoldenRules golden;
  std::vector<int> banned;
  for (int id = 6; id < V; ++id) banned.push_back(id);
  const GenerateOptions by_list{.max_new_tokens = 12, .temperature = 2, .seed = 5, .banned = banned};
  GenerateOptions by_hook{.max_new_tokens = 12, .temperature = 2, .seed = 5, .hook = forbidding(banned)};
  TextState one = golden.prompt(), other = golden.prompt(), third = golden.prompt();
  const auto found = generate(golden.engine, one, by_list).ids;
  CHECK(generate(golden.engine, other, by_hook).ids == found);
  CHECK(*std::max_element(found.begin(), found.end()) < 6);
  // The hook acts before the temperature: what it sets is divided by it.
  std::vector<double> seen;
  by_hook.hook = [&](std::span<const int>, std::span<double> scores) {
    seen.assign(scores.begin(), scores.end());
    std::fill(scores.begin(), scores.end(), -infinity);
    scores[8] = 0;
  };
  TextState copy = third;
  CHECK(generate(golden.engine, third, by_hook).ids == std::vector<int>(12, 8));
  copy.append(8);
  for (int i = 1; i < 11; ++i) copy.append(8);
  CHECK(seen == golden.logits(copy));
}

TEST_CASE("Beam search with rules finds what exhaustive search with them finds", "[logits]") {
  GoldenRules golden;
  std::vector<int> banned;
  for (int id = 4; id < V; ++id) banned.push_back(id);
  const double penalty = 1.7;
  const LogitsHook hook = [](std::span<const int> ids, std::span<double> scores) {
    if (ids.back() == 3) scores[1] -= 2;
    if (ids.size() > 7) scores[0] = -infinity;
  };
  const BeamOptions o{.beams = 64,
                      .max_new_tokens = 3,
                      .returned = 64,
                      .early_stopping = EarlyStopping::never,
                      .end_ids = {2},
                      .banned = banned,
                      .repetition_penalty = penalty,
                      .hook = hook};
  const TextState prompt = golden.prompt({3, 17, 5, 1, 60, 9});
  std::vector<Hypothesis> all;
  const auto walk = [&](const auto& self, const TextState& from, std::vector<int> ids, std::vector<int> written,
                        double log_p) -> void {
    TextState state = from;
    std::vector<double> scores = golden.logits(state);
    double sum = 0;
    for (const double x : scores) sum += std::exp(x);
    for (int id = 0; id < V; ++id) {
      double& score = scores[static_cast<std::size_t>(id)];
      score -= std::log(sum);  // log-probabilities are negative: the penalty multiplies
      if (std::find(ids.begin(), ids.end(), id) != ids.end()) score *= penalty;
      if (id >= 4) score = -infinity;
    }
    hook(ids, scores);
    for (int id = 0; id < 4; ++id) {
      const double next = log_p + scores[static_cast<std::size_t>(id)];
      if (next == -infinity) continue;
      const auto length = static_cast<double>(written.size() + 1);
      auto longer = written;
      if (id != 2) longer.push_back(id);
      if (id == 2 || longer.size() == 3) {
        all.push_back({longer, next / length, id == 2});
        continue;
      }
      TextState then = state;
      then.append(id);
      auto more = ids;
      more.push_back(id);
      self(self, then, more, longer, next);
    }
  };
  walk(walk, prompt, {3, 17, 5, 1, 60, 9}, {}, 0);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  const auto found = beam_search(golden.engine, prompt, o);
  REQUIRE(found.size() == all.size());
  CHECK(all.size() < 40);  // the hook forbids some
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(found[i].ids == all[i].ids);
    CHECK(found[i].ended == all[i].ended);
    CHECK(std::abs(found[i].score - all[i].score) < 1e-6);
  }
}

TEST_CASE("One beam with rules is greedy decoding where they only forbid", "[logits]") {
  GoldenRules golden;
  const TextState prompt = golden.prompt();
  TextState state = prompt;
  const std::vector<int> banned{4, 9, 51, 58, 77};
  const auto greedy = generate(golden.engine, state, {.max_new_tokens = 7, .banned = banned}).ids;
  CHECK(beam_search(golden.engine, prompt, {.beams = 1, .max_new_tokens = 7, .banned = banned})[0].ids == greedy);
  CHECK(beam_search(golden.engine, prompt, {.beams = 1, .max_new_tokens = 7, .hook = forbidding(banned)})[0].ids ==
        greedy);
}

TEST_CASE("Rules that leave nothing or make no sense are refused", "[logits]") {
  GoldenRules golden;
  TextState state = golden.prompt();
  const auto with = [&](const GenerateOptions& o) {
    TextState copy = state;
    generate(golden.engine, copy, o);
  };
  std::vector<int> every;
  for (int id = 0; id < V; ++id) every.push_back(id);
  CHECK_THROWS_WITH(with({.banned = every}), "[generate] every id is forbidden");
  CHECK_THROWS_WITH(with({.hook = forbidding(every)}), "[generate] every id is forbidden");
  CHECK_THROWS_WITH(with({.hook = [](auto, std::span<double> scores) { scores[2] = std::nan(""); }}),
                    "[logits] the score of id 2 is nan, expected a number or -inf");
  CHECK_THROWS_WITH(with({.repetition_penalty = 0}), "[generate] repetition_penalty is 0, expected a positive number");
  CHECK_THROWS_WITH(with({.banned = {-1}}), "[generate] banned has the id -1, expected 0 to 83");
  CHECK_THROWS_WITH(beam_search(golden.engine, state, {.repetition_penalty = -1}),
                    "[beam_search] repetition_penalty is -1, expected a positive number");
  CHECK(beam_search(golden.engine, state, {.hook = forbidding(every)}).empty());  // no continuation, no hypothesis
}

}  // namespace logits_test
