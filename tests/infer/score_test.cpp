#include <flamingo/infer/score.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/generate.hpp>

#include "infer/tiny.hpp"

namespace score_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("Candidates scored together have the bits of each scored alone", "", Platforms) {
  Tiny<TestType> tiny;
  const std::vector<std::vector<int>> candidates{{3, 7, 5}, {3, 7}, {2}, {3, 7, 5, 11, 3}, {3, 2, 5}, {7, 3}, {2}};
  for (TextState& prompt : tiny.prompts()) {
    const TextState before = prompt;
    const auto together = score(tiny.engine, prompt, candidates);
    CHECK(prompt.length() == before.length());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      TextState fresh = before;
      const Score alone = score(tiny.engine, fresh, candidates[i]);
      REQUIRE(alone.tokens.size() == candidates[i].size());
      CHECK(alone.tokens == together[i].tokens);
      CHECK(alone.mean() == together[i].sum / static_cast<double>(candidates[i].size()));

      // The same again from the logits of decoding token by token.
      TextState walk = before;
      TextState* const one[] = {&walk};
      for (std::size_t t = 0; t < candidates[i].size(); ++t) {
        const auto logits = tiny.engine.next_logits(one);
        using R = typename TestType::Real;
        const double expected = static_cast<double>(logits[static_cast<std::size_t>(candidates[i][t])]) -
                                detail::log_sum_exp(std::span<const R>(logits));
        CHECK(std::abs(alone.tokens[t] - expected) <= 1e2 * static_cast<double>(std::numeric_limits<R>::epsilon()));
        walk.append(candidates[i][t]);
      }
    }
    CHECK(best_of(together) < candidates.size());
  }
}

TEST_CASE("The likelihoods of all continuations of a length sum to 1") {
  Tiny<Cpu<double>> tiny;
  std::vector<std::vector<int>> all;
  for (int a = 0; a < tiny.V; ++a)
    for (int b = 0; b < tiny.V; ++b) all.push_back({a, b});
  for (TextState& prompt : tiny.prompts()) {
    double sum = 0;
    for (const Score& s : score(tiny.engine, prompt, all)) sum += std::exp(s.sum);
    CHECK(std::abs(sum - 1) <= 1e-6);
  }
}

TEST_CASE("The likeliest single token is the greedy one, with its likelihood") {
  Tiny<Cpu<double>> tiny;
  std::vector<std::vector<int>> all;
  for (int id = 0; id < tiny.V; ++id) all.push_back({id});
  for (TextState& prompt : tiny.prompts()) {
    const auto scores = score(tiny.engine, prompt, all);
    const Generated greedy = generate(tiny.engine, prompt, {.max_new_tokens = 1});
    const std::size_t best = best_of(scores);
    CHECK(greedy.ids == all[best]);
    CHECK(std::abs(greedy.log_likelihoods[0] - scores[best].sum) <= 1e-12);
  }
}

TEST_CASE("The tree of candidates reads each common beginning once, and what it may hold at a time") {
  const std::vector<std::vector<int>> candidates{{4, 5, 6}, {4, 5, 7}, {8}, {4, 5, 6}, {4}};
  const std::vector<std::size_t> order{4, 0, 3, 1, 2};
  std::size_t from = 0;
  const CandidateTree tree = CandidateTree::of(3, candidates, order, from, 100);
  CHECK(from == 5);
  CHECK(tree.ids == std::vector{3, 4, 5});
  CHECK(tree.parents == std::vector{-1, 0, 1});
  CHECK(tree.nodes.size() == 5);
  REQUIRE(tree.paths.size() == 5);
  CHECK((tree.paths[1].candidate == 0 && tree.paths[2].candidate == 3));
  CHECK(tree.paths[1].edges == tree.paths[2].edges);
  CHECK(tree.paths[0].edges == std::vector<std::size_t>{0});
  const std::vector<std::vector<int>> words{{1, 2, 3}, {1, 4, 5}, {6, 7}, {8, 9}};
  const std::vector<std::size_t> in_order{0, 1, 2, 3};
  for (const auto& [most, counts] : std::vector<std::pair<int, std::vector<std::size_t>>>{
           {1, {1, 1, 1, 1}}, {3, {1, 1, 2}}, {4, {2, 2}}, {5, {3, 1}}, {6, {4}}}) {
    from = 0;
    for (const std::size_t count : counts) {
      const CandidateTree part = CandidateTree::of(0, words, in_order, from, most);
      CHECK(part.paths.size() == count);
      CHECK((count == 1 || static_cast<int>(part.ids.size()) <= most));
    }
    CHECK(from == 4);
  }
}

TEST_CASE("A prompt and each node of the tree are read once, and passes of any size score the same") {
  Tiny<Cpu<float>> tiny;
  std::vector<std::vector<int>> names;
  for (int i = 0; i < 100; ++i) names.push_back({i % 13, i / 13, 5});
  TextState prompt = tiny.prompts()[0];
  const auto read = static_cast<long>(prompt.ids.size());
  const auto together = score(tiny.engine, prompt, names);
  CHECK(tiny.engine.tokens_read() == read - 1 + 1 + 13 + 100);
  for (const int most : {1, 7, 60}) {
    const auto parts = score(tiny.engine, prompt, names, {.tokens_a_pass = most});
    for (std::size_t i = 0; i < names.size(); ++i) CHECK(parts[i].tokens == together[i].tokens);
  }
  // A pass that fits where the whole tree does not.
  auto narrow = make_engine<Tiny<Cpu<float>>::Model>(tiny.ctx, tiny.connector.views, tiny.lm.views, {.text_rows = 30});
  TextState other = narrow.begin({{1, 2}, {}, {}});
  CHECK_THROWS_AS(score(narrow, other, names), CacheFull);
  CHECK(score(narrow, other, names, {.tokens_a_pass = 28}).size() == 100);
  CHECK_THROWS_WITH(score(tiny.engine, prompt, std::vector<std::vector<int>>{{2}, {}}), "[score] candidate 1 is empty");
  CHECK_THROWS_WITH(score(tiny.engine, prompt, std::vector<std::vector<int>>{{2}, {13}}),
                    "[score] candidate 1 has the id 13, expected 0 to 12");
}

TEMPLATE_LIST_TEST_CASE("The likeliest few of many names have their whole scores, others a bound below them", "",
                        Platforms) {
  Tiny<TestType> tiny;
  std::vector<std::vector<int>> names;
  for (int i = 0; i < 110; ++i) names.push_back({i % 13, i / 13, (i * 7) % 13});
  names.push_back({4});
  for (TextState& prompt : tiny.prompts()) {
    const auto all = score(tiny.engine, prompt, names);
    for (const std::size_t best : std::vector<std::size_t>{1, 5, 40, 111, 400}) {
      const auto before = tiny.engine.tokens_read();
      const BestScores found = score_best(tiny.engine, prompt, names, best);
      CHECK(tiny.engine.tokens_read() - before == found.tokens);
      std::vector<double> sums;
      for (const Score& s : all) sums.push_back(s.sum);
      std::sort(sums.begin(), sums.end(), std::greater<>());
      const double least = sums[std::min(best, sums.size()) - 1];
      int whole = 0;
      for (std::size_t i = 0; i < names.size(); ++i) {
        const bool is_whole = found.scores[i].tokens == all[i].tokens;
        whole += is_whole;
        CHECK((is_whole || (all[i].sum < least && found.scores[i].sum < least && found.scores[i].sum >= all[i].sum)));
      }
      CHECK(whole >= static_cast<int>(std::min(best, names.size())));
    }
    CHECK_THROWS_WITH(score_best(tiny.engine, prompt, names, 0),
                      "[score] the best 0 candidates are asked for, expected at least 1");
  }
}

TEST_CASE("Names that begin less likely than a whole one are not read to their end") {
  Tiny<Cpu<double>> tiny;
  TextState prompt = tiny.prompts()[0];
  const std::vector<int> likely = generate(tiny.engine, prompt, {.max_new_tokens = 1}).ids;
  std::vector<std::vector<int>> names{likely};
  for (int a = 0; a < tiny.V; ++a)
    for (int b = 0; b < tiny.V; ++b)
      for (int c = 0; c < tiny.V; ++c) names.push_back({a, b, c});
  std::int64_t all = tiny.engine.tokens_read();
  const ScoreOptions parts{.tokens_a_pass = 100};
  score(tiny.engine, prompt, names, parts);
  all = tiny.engine.tokens_read() - all;
  CHECK(score_best(tiny.engine, prompt, names, 1, parts).tokens < all);
}

TEST_CASE("Several prompts' scores become one by the mean that was named") {
  const auto of = [](double a, double b) {
    return std::vector<Score>{{{std::log(a) / 2, std::log(a) / 2}, std::log(a)}, {{std::log(b)}, std::log(b)}};
  };
  const std::vector<std::vector<Score>> scores{of(0.5, 0.1), of(0.001, 0.01)};
  const auto p = [&](Averaging how, bool by_mean = false) {
    std::vector<double> values = averaged(scores, how, by_mean);
    for (double& x : values) x = std::exp(x);
    return values;
  };
  const auto near = [](const std::vector<double>& a, double x, double y) {
    return std::abs(a[0] - x) <= 1e-12 && std::abs(a[1] - y) <= 1e-12;
  };
  CHECK(near(p(Averaging::log_likelihoods), std::sqrt(0.5 * 0.001), std::sqrt(0.1 * 0.01)));
  CHECK(near(p(Averaging::likelihoods), (0.5 + 0.001) / 2, (0.1 + 0.01) / 2));
  CHECK(near(p(Averaging::shares), (0.5 / 0.6 + 0.001 / 0.011) / 2, (0.1 / 0.6 + 0.01 / 0.011) / 2));
  CHECK(near(p(Averaging::likelihoods, true), (std::sqrt(0.5) + std::sqrt(0.001)) / 2, (0.1 + 0.01) / 2));
  CHECK(best_of(averaged(scores, Averaging::likelihoods)) == 0);
  CHECK(best_of(averaged(scores, Averaging::log_likelihoods)) == 1);
  const std::vector<std::vector<Score>> uneven{of(0.5, 0.1), {{{}, 0}}};
  CHECK_THROWS_WITH(averaged(uneven, Averaging::shares), "[score] a prompt has 1 scores, the first has 2");
  CHECK_THROWS_WITH(averaged({}, Averaging::shares), "[score] there are no scores to average");
}

TEMPLATE_LIST_TEST_CASE("A document's likelihood is that of its continuations, token by token", "", Platforms) {
  Tiny<TestType> tiny;
  for (const auto& d : Tiny<TestType>::documents()) {
    std::vector<CachedMedium> media;
    for (const int i : d.pictures) media.push_back(tiny.medium(i));
    const Sequence document = d.sequence();
    const Score whole = log_likelihood(tiny.engine, document, media);
    REQUIRE(whole.tokens.size() + 1 == document.ids.size());
    double sum = 0;
    for (std::size_t t = 1; t < document.ids.size(); ++t) {
      Sequence before = document;
      before.ids.resize(t);
      before.phi.resize(t);
      TextState state = tiny.engine.begin(before, media);
      const double alone = score(tiny.engine, state, std::vector<int>{document.ids[t]}).sum;
      CHECK(whole.tokens[t - 1] == alone);  // rows do not see each other
      sum += alone;
    }
    CHECK(whole.sum == sum);
  }
  Sequence short_one;
  short_one.ids = {3};
  short_one.phi = {0};
  CHECK_THROWS_WITH(log_likelihood(tiny.engine, short_one),
                    Catch::Contains("the document has 1 tokens, expected at least 2"));
}

}  // namespace score_test
