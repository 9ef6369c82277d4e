/// How likely given texts are: closed-ended answers, captions to be ranked, perplexities.
///
/// All candidates are read in one pass over the tree of their tokens: what they have in common is computed once, and
/// all share the prompt's keys, values and media.
#pragma once
#include <algorithm>
#include <cstddef>
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
  struct Edge {
    int node, id;
  };
  std::vector<Edge> edges;                      ///< each (node, following id) that some candidate has, once
  std::vector<std::vector<std::size_t>> paths;  ///< of each candidate, the edges along it

  static CandidateTree of(int root, std::span<const std::vector<int>> candidates) {
    CandidateTree tree;
    tree.ids = {root};
    tree.parents = {-1};
    // In the order of their tokens, candidates with a common beginning follow one another, so nodes are numbered depth
    // first, and what a candidate shares with any before it it shares with the last.
    std::vector<std::size_t> order(candidates.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return candidates[a] < candidates[b]; });
    tree.paths.resize(candidates.size());
    std::vector<int> nodes{0};  // before each token of the last candidate
    const std::vector<int>* last{};
    std::span<const std::size_t> last_path;
    for (const std::size_t i : order) {
      const std::vector<int>& ids = candidates[i];
      check(!ids.empty(), "score", "candidate ", i, " is empty");
      std::vector<std::size_t>& path = tree.paths[i];
      std::size_t shared = 0;
      while (last && shared < std::min(last->size(), ids.size()) && (*last)[shared] == ids[shared]) ++shared;
      for (std::size_t t = 0; t < ids.size(); ++t) {
        if (t >= nodes.size()) {  // the token before this one leads to a node of its own
          nodes.push_back(static_cast<int>(tree.ids.size()));
          tree.ids.push_back(ids[t - 1]);
          tree.parents.push_back(nodes[t - 1]);
        }
        if (t < shared) {
          path.push_back(last_path[t]);
        } else {
          nodes.resize(t + 1);
          path.push_back(tree.edges.size());
          tree.edges.push_back({nodes[t], ids[t]});
        }
      }
      last = &ids;
      last_path = path;
    }
    return tree;
  }
};

/// The log-likelihood of each candidate after the state, which reads its waiting tokens but the last and is otherwise
/// unchanged.
template <class E>
std::vector<Score> score(E& engine, TextState& state, std::span<const std::vector<int>> candidates) {
  check(!state.ids.empty(), "score", "the prompt has no token that waits to be read");
  for (const std::vector<int>& candidate : candidates)
    for (const int id : candidate)
      check(id >= 0 && id < E::V, "score", "a candidate has the id ", id, ", expected 0 to ", E::V - 1);
  const auto scope = engine.context().scope();
  TextState* const states[] = {&state};
  engine.read(states, 1);
  const CandidateTree tree = CandidateTree::of(state.ids.back(), candidates);
  std::vector<int> phi(tree.ids.size(), state.last_phi), rows, targets;
  phi[0] = state.phi.back();
  const NewTokens piece[] = {{&state, tree.ids, phi, tree.parents}};
  const auto result = engine.forward(piece);
  for (const CandidateTree::Edge& edge : tree.edges) {
    rows.push_back(edge.node);
    targets.push_back(edge.id);
  }
  const std::vector<double> log_p = engine.log_likelihoods(result.hidden, rows, targets);
  std::vector<Score> scores(candidates.size());
  for (std::size_t i = 0; i < scores.size(); ++i)
    for (const std::size_t edge : tree.paths[i]) {
      scores[i].tokens.push_back(log_p[edge]);
      scores[i].sum += log_p[edge];
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

/// The place of the likeliest candidate, in all or by the mean over its tokens; the first of equals.
inline std::size_t best_of(std::span<const Score> scores, bool by_mean = false) {
  check(!scores.empty(), "score", "there are no candidates to choose from");
  const auto value = [&](const Score& s) { return by_mean ? s.mean() : s.sum; };
  return static_cast<std::size_t>(
      std::max_element(scores.begin(), scores.end(),
                       [&](const Score& a, const Score& b) { return value(a) < value(b); }) -
      scores.begin());
}

}  // namespace flamingo
