/// How likely given texts are: closed-ended answers, captions to be ranked, perplexities.
///
/// All candidates are read in one pass over the tree of their tokens: what they have in common is computed once, and
/// all share the prompt's keys, values and media.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
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

/// The log-likelihood of each candidate after the state, which reads its waiting tokens but the last and is otherwise
/// unchanged.
template <class E>
std::vector<Score> score(E& engine, TextState& state, std::span<const std::vector<int>> candidates,
                         const ScoreOptions& options = {}) {
  check(!state.ids.empty(), "score", "the prompt has no token that waits to be read");
  check(options.tokens_a_pass > 0, "score", "tokens_a_pass is ", options.tokens_a_pass, ", expected a positive number");
  std::vector<std::size_t> order(candidates.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    check(!candidates[i].empty(), "score", "candidate ", i, " is empty");
    for (const int id : candidates[i])
      check(id >= 0 && id < E::V, "score", "candidate ", i, " has the id ", id, ", expected 0 to ", E::V - 1);
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return candidates[a] < candidates[b]; });
  TextState* const states[] = {&state};
  {
    const auto scope = engine.context().scope();
    engine.read(states, 1);
  }
  std::vector<Score> scores(candidates.size());
  for (std::size_t from = 0; from < order.size();) {
    const auto scope = engine.context().scope();
    const CandidateTree tree = CandidateTree::of(state.ids.back(), candidates, order, from, options.tokens_a_pass);
    std::vector<int> phi(tree.ids.size(), state.last_phi);
    phi[0] = state.phi.back();
    const NewTokens piece[] = {{&state, tree.ids, phi, tree.parents}};
    const auto result = engine.forward(piece);
    const std::vector<double> log_p = engine.log_likelihoods(result.hidden, tree.nodes, tree.next);
    for (const CandidateTree::Path& path : tree.paths)
      for (const std::size_t edge : path.edges) {
        scores[path.candidate].tokens.push_back(log_p[edge]);
        scores[path.candidate].sum += log_p[edge];
      }
  }
  return scores;
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
