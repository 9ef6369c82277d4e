/// How likely given texts are: closed-ended answers, captions to be ranked, perplexities.
///
/// All candidates are read in one pass over the tree of their tokens: what they have in common is computed once, and
/// all share the prompt's keys, values and media.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/infer/engine.hpp>

namespace flamingo {

/// log p of a continuation: of each token, in all, and a token.
struct Score {
  std::vector<double> tokens;
  double sum = 0;
  double mean() const { return tokens.empty() ? 0 : sum / static_cast<double>(tokens.size()); }
};

/// The tree of candidates' tokens, as one batch reads it: parents before children, a child right after its parent where
/// it is the first. Node 0 is the prompt's last token; a candidate's last token is asked for, never read.
struct CandidateTree {
  std::vector<int> ids, parents;  ///< of each node
  std::vector<int> nodes, next;   ///< each (node, following id) that some candidate has, once
  struct Path {
    std::size_t candidate;
    std::vector<std::size_t> edges;  ///< places in `nodes` and `next`
  };
  std::vector<Path> paths;  ///< of the candidates in the tree, in the order of their tokens

  /// The tree of as many candidates as have no more than `most` nodes together, one at least: those of `order` from
  /// place `from` on, which becomes the place of the first one that is left. `order` sorts them by their tokens, so
  /// that those with a common beginning follow one another: nodes are numbered depth first, and what a candidate shares
  /// with any before it it shares with the last.
  static CandidateTree of(int root, std::span<const std::vector<int>> candidates, std::span<const std::size_t> order,
                          std::size_t& from, int most) {
    CandidateTree tree;
    tree.ids = {root};
    tree.parents = {-1};
    std::vector<int> along{0};  // the node before each token of the last candidate
    for (; from < order.size(); ++from) {
      const std::vector<int>& ids = candidates[order[from]];
      std::size_t shared = 0;
      if (!tree.paths.empty()) {
        const std::vector<int>& last = candidates[tree.paths.back().candidate];
        while (shared < std::min(last.size(), ids.size()) && last[shared] == ids[shared]) ++shared;
        const std::size_t known = std::min(shared + 1, along.size());  // nodes that are there
        if (tree.ids.size() + ids.size() - std::min(known, ids.size()) > static_cast<std::size_t>(most)) break;
      }
      Path path{order[from], {}};
      for (std::size_t t = 0; t < ids.size(); ++t) {
        if (t >= along.size()) {  // the token before this one leads to a node of its own
          along.push_back(static_cast<int>(tree.ids.size()));
          tree.ids.push_back(ids[t - 1]);
          tree.parents.push_back(along[t - 1]);
        }
        if (t < shared) {
          path.edges.push_back(tree.paths.back().edges[t]);
        } else {
          along.resize(t + 1);
          path.edges.push_back(tree.nodes.size());
          tree.nodes.push_back(along[t]);
          tree.next.push_back(ids[t]);
        }
      }
      tree.paths.push_back(std::move(path));
    }
    return tree;
  }
};

struct ScoreOptions {
  int tokens_a_pass = 512;  ///< of candidates that are read together: more take more memory and text rows, and no less
                            ///< time
};

namespace detail {

/// Reads the waiting tokens but the last.
template <class E>
void read_for_scores(E& engine, TextState& state, std::span<const std::vector<int>> candidates,
                     const ScoreOptions& options) {
  check(!state.ids.empty(), "score", "the prompt has no token that waits to be read");
  check(options.tokens_a_pass > 0, "score", "tokens_a_pass is ", options.tokens_a_pass, ", expected a positive number");
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    check(!candidates[i].empty(), "score", "candidate ", i, " is empty");
    for (const int id : candidates[i])
      check(id >= 0 && id < E::V, "score", "candidate ", i, " has the id ", id, ", expected 0 to ", E::V - 1);
  }
  TextState* const states[] = {&state};
  const auto scope = engine.context().scope();
  engine.read(states, 1);
}

/// Writes the scores of those candidates that `order` names; returns how many tokens were read.
template <class E>
std::int64_t score_some(E& engine, TextState& state, std::span<const std::vector<int>> candidates,
                        std::vector<std::size_t> order, const ScoreOptions& options, std::span<Score> scores) {
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return candidates[a] < candidates[b]; });
  std::int64_t read = 0;
  for (std::size_t from = 0; from < order.size();) {
    const auto scope = engine.context().scope();
    const CandidateTree tree = CandidateTree::of(state.ids.back(), candidates, order, from, options.tokens_a_pass);
    std::vector<int> phi(tree.ids.size(), state.last_phi);
    phi[0] = state.phi.back();
    const NewTokens piece[] = {{&state, tree.ids, phi, tree.parents}};
    const auto result = engine.forward(piece);
    const std::vector<double> log_p = engine.log_likelihoods(result.hidden, tree.nodes, tree.next);
    read += static_cast<std::int64_t>(tree.ids.size());
    for (const CandidateTree::Path& path : tree.paths) {
      scores[path.candidate] = {};
      for (const std::size_t edge : path.edges) {
        scores[path.candidate].tokens.push_back(log_p[edge]);
        scores[path.candidate].sum += log_p[edge];
      }
    }
  }
  return read;
}

}  // namespace detail

/// The log-likelihood of each candidate after the state, which reads its waiting tokens but the last and is otherwise
/// unchanged.
template <class E>
std::vector<Score> score(E& engine, TextState& state, std::span<const std::vector<int>> candidates,
                         const ScoreOptions& options = {}) {
  detail::read_for_scores(engine, state, candidates, options);
  std::vector<std::size_t> all(candidates.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  std::vector<Score> scores(candidates.size());
  detail::score_some(engine, state, candidates, std::move(all), options, scores);
  return scores;
}

struct BestScores {
  std::vector<Score> scores;
  std::int64_t tokens = 0;  ///< of candidates that were read
};

/// The same scores for the `best` candidates that are the likeliest in all (more where they are equal), at the price of
/// not many more: log p only falls with every token, so a candidate whose first token is less likely than `best` whole
/// candidates is none of them. Of such a candidate the score has that first token alone: its sum is a bound from above,
/// not above the best ones' sums; its mean says nothing.
template <class E>
BestScores score_best(E& engine, TextState& state, std::span<const std::vector<int>> candidates, std::size_t best,
                      const ScoreOptions& options = {}) {
  check(best > 0, "score", "the best 0 candidates are asked for, expected at least 1");
  detail::read_for_scores(engine, state, candidates, options);
  BestScores found;
  std::vector<std::vector<int>> first;
  for (const std::vector<int>& candidate : candidates) first.push_back({candidate.front()});
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  found.scores.resize(candidates.size());
  found.tokens =
      detail::score_some(engine, state, first, order, options, found.scores);  // one token: the prompt's last
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return found.scores[a].sum > found.scores[b].sum; });
  const std::size_t at_once = std::max(best, candidates.size() / 16 + 1);
  std::vector<double> sums;  // of whole candidates, falling
  for (std::size_t from = 0; from < order.size();) {
    std::vector<std::size_t> some;
    for (; from < order.size() && some.size() < at_once; ++from) {
      // Nor are those after it. A token's log p may be above 0 by rounding.
      if (sums.size() >= best && found.scores[order[from]].sum < sums[best - 1] - 1e-3) break;
      some.push_back(order[from]);
    }
    if (some.empty()) break;
    found.tokens += detail::score_some(engine, state, candidates, some, options, found.scores);
    for (const std::size_t i : some) sums.push_back(found.scores[i].sum);
    std::sort(sums.begin(), sums.end(), std::greater<>());
  }
  return found;
}

/// The log-likelihood of each token of one continuation.
template <class E>
Score score(E& engine, TextState& state, const std::vector<int>& continuation) {
  return score(engine, state, std::span(&continuation, 1))[0];
}

/// log p of each token of a document after its first, given the tokens and media before it: tokens[t] belongs to
/// ids[t + 1].
template <class E>
Score log_likelihood(E& engine, const Sequence& document, std::span<const CachedMedium> media = {}) {
  check(document.ids.size() > 1, "log_likelihood", "the document has ", document.ids.size(),
        " tokens, expected at least 2: the first has nothing before it");
  const auto scope = engine.context().scope();
  TextState state = engine.begin(document, media);
  TextState* const states[] = {&state};
  const auto hidden = engine.read(states);
  std::vector<int> rows, targets(document.ids.begin() + 1, document.ids.end());
  for (int t = 0; t < static_cast<int>(targets.size()); ++t) rows.push_back(t);
  Score score;
  score.tokens = engine.log_likelihoods(hidden, rows, targets);
  for (const double log_p : score.tokens) score.sum += log_p;
  return score;
}

/// How the scores that candidates have after several prompts become one: the mean over the prompts of
enum class Averaging : std::uint8_t {
  log_likelihoods,  ///< log p of the candidate
  likelihoods,      ///< p of the candidate, and the logarithm of that mean
  shares,           ///< p of the candidate as a share of all candidates' p, and the logarithm of that mean
};

/// One number for each candidate: of scores[prompt][candidate], in all or by the means over their tokens.
inline std::vector<double> averaged(std::span<const std::vector<Score>> scores, Averaging averaging,
                                    bool by_mean = false) {
  check(!scores.empty() && !scores[0].empty(), "score", "there are no scores to average");
  const double prompts = static_cast<double>(scores.size());
  std::vector<std::vector<double>> all;
  for (const std::vector<Score>& of_prompt : scores) {
    check(of_prompt.size() == scores[0].size(), "score", "a prompt has ", of_prompt.size(), " scores, the first has ",
          scores[0].size());
    std::vector<double>& values = all.emplace_back();
    for (const Score& s : of_prompt) values.push_back(by_mean ? s.mean() : s.sum);
    if (averaging != Averaging::shares) continue;
    const double total = detail::log_sum_exp(std::span<const double>(values));
    for (double& value : values) value -= total;
  }
  std::vector<double> averages;
  for (std::size_t i = 0; i < all[0].size(); ++i) {
    std::vector<double> values;
    double sum = 0;
    for (const std::vector<double>& of_prompt : all) {
      values.push_back(of_prompt[i]);
      sum += of_prompt[i];
    }
    averages.push_back(averaging == Averaging::log_likelihoods
                           ? sum / prompts
                           : detail::log_sum_exp(std::span<const double>(values)) - std::log(prompts));
  }
  return averages;
}

/// The place of the likeliest candidate; the first of equals.
inline std::size_t best_of(std::span<const double> values) {
  check(!values.empty(), "score", "there are no candidates to choose from");
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}
/// The same, in all or by the mean over its tokens.
inline std::size_t best_of(std::span<const Score> scores, bool by_mean = false) {
  check(!scores.empty(), "score", "there are no candidates to choose from");
  const auto value = [&](const Score& s) { return by_mean ? s.mean() : s.sum; };
  return static_cast<std::size_t>(
      std::max_element(scores.begin(), scores.end(),
                       [&](const Score& a, const Score& b) { return value(a) < value(b); }) -
      scores.begin());
}

}  // namespace flamingo
