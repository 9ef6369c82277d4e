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

TEST_CASE("The tree of candidates reads each common beginning once") {
  const std::vector<std::vector<int>> candidates{{4, 5, 6}, {4, 5, 7}, {8}, {4, 5, 6}, {4}};
  const CandidateTree tree = CandidateTree::of(3, candidates);
  CHECK(tree.ids == std::vector{3, 4, 5});
  CHECK(tree.parents == std::vector{-1, 0, 1});
  CHECK(tree.edges.size() == 5);
  CHECK(tree.paths[0] == tree.paths[3]);
  CHECK(tree.paths[4] == std::vector<std::size_t>{0});
  CHECK_THROWS_WITH(CandidateTree::of(3, std::vector<std::vector<int>>{{2}, {}}), "[score] candidate 1 is empty");
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
