/// Which media each token sees: φ, and the spans that follow from it under each published rule.
#pragma once
#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include <flamingo/config/xattn.hpp>
#include <flamingo/core/check.hpp>
#include <flamingo/core/spans.hpp>

namespace flamingo {

/// φ of each token: how many media have been announced at or before it. `tags` are the places of the tags' first
/// pieces, ascending: a tag already belongs to its own medium (Alayrac et al. 2022, fig. 7).
inline std::vector<int> phi_of(std::span<const int> tags, int tokens) {
  std::vector<int> phi(static_cast<std::size_t>(tokens), 0);
  std::size_t seen = 0;
  for (int t = 0; t < tokens; ++t) {
    while (seen < tags.size() && tags[seen] <= t) ++seen;
    phi[static_cast<std::size_t>(t)] = static_cast<int>(seen);
  }
  return phi;
}

/// φ as the spans read it: 0 after an end of document until the next medium is announced, if the config names such an
/// end. The end itself still belongs to its document. `closed` is the φ of the document that ended last, -1: none has;
/// it goes on from piece to piece of one sequence.
inline std::vector<int> seen_phi(const XattnConfig& c, std::span<const int> ids, std::span<const int> phi,
                                 int& closed) {
  std::vector<int> seen(phi.begin(), phi.end());
  if (c.end_of_document < 0) return seen;
  for (std::size_t t = 0; t < seen.size(); ++t) {
    if (closed >= 0 && phi[t] == closed) seen[t] = 0;
    if (ids[t] == c.end_of_document) closed = phi[t];
  }
  return seen;
}

/// Adds the cross-attention spans of one sequence. Its tokens are query rows from `first_row` on with the given φ; its
/// m-th medium is R rows of pool 0 from row `media[m] * R` on: media may lie anywhere, and several sequences share
/// them.
inline void add_media_spans(SpanList& list, const XattnConfig& c, std::span<const int> phi, int first_row,
                            std::span<const int> media, int R) {
  const int tokens = static_cast<int>(phi.size()), M = static_cast<int>(media.size());
  const auto see = [&](int from, int count, int first_medium, int seen) {
    list.begin(first_row + from, count);
    for (int m = first_medium, next = m; m < first_medium + seen; m = next) {  // neighbours are one segment
      const int at = media[static_cast<std::size_t>(m)];
      while (next < first_medium + seen && media[static_cast<std::size_t>(next)] == at + next - m) ++next;
      list.add({0, at * R, (next - m) * R, 0, 0});
    }
  };
  const auto everything = [&](int from, int count) {
    see(from, count, 0, M);
    list.spans.back().uniform = 1;
  };
  for (int from = 0, to = 0; from < tokens; from = to) {
    const int p = phi[static_cast<std::size_t>(from)];
    check(p >= 0, "sequence", "token ", from, " has φ ", p, ", expected 0 or more");
    while (to < tokens && phi[static_cast<std::size_t>(to)] == p) ++to;  // a run of tokens with one φ
    if (M == 0) continue;
    if (p == 0) {
      if (c.before_first == NoImage::uniform) everything(from, to - from);
    } else if (c.visibility == Visibility::all_earlier) {
      see(from, to - from, 0, std::min(p, M));
    } else if (p <= M) {
      see(from, to - from, p - 1, 1);
    } else if (c.beyond_last == NoImage::uniform) {
      everything(from, to - from);
    }
  }
}

/// The same for `media` media that lie one after another, the first of them being `first_medium`.
inline void add_media_spans(SpanList& list, const XattnConfig& c, std::span<const int> phi, int first_row,
                            int first_medium, int media, int R) {
  std::vector<int> places(static_cast<std::size_t>(media));
  std::iota(places.begin(), places.end(), first_medium);
  add_media_spans(list, c, phi, first_row, places, R);
}

/// One document as the decoder reads it: tokens, φ, its media among the batch's, and what is to be predicted.
struct Sequence {
  std::vector<int> ids{};
  std::vector<int> phi{};      ///< of each token
  std::vector<int> targets{};  ///< id that should follow each token, or -1: no loss there
  int first_medium = 0;        ///< its media are first_medium .. first_medium + media - 1 of the batch
  int media = 0;
};

/// The tables of one decoder run over a ragged batch. Keep it until backward is done.
struct DecoderPlan {
  std::vector<int> ids, positions;
  SpanList self;   ///< pool 0: the rows' own keys and values
  SpanList cross;  ///< pool 0: the media's
  std::vector<int> loss_rows, targets;

  int rows() const { return static_cast<int>(ids.size()); }

  /// R latents a medium; sequences start at position 0 and see themselves alone.
  static DecoderPlan of(std::span<const Sequence> sequences, const XattnConfig& c, int R) {
    DecoderPlan plan;
    for (const Sequence& s : sequences) {
      const int first = plan.rows(), tokens = static_cast<int>(s.ids.size());
      check(s.phi.size() == s.ids.size() && (s.targets.empty() || s.targets.size() == s.ids.size()), "sequence", tokens,
            " tokens with ", s.phi.size(), " φ and ", s.targets.size(), " targets");
      plan.self.begin(first, tokens);
      plan.self.add({0, first, tokens, 0, 1});
      int closed = -1;
      add_media_spans(plan.cross, c, seen_phi(c, s.ids, s.phi, closed), first, s.first_medium, s.media, R);
      for (int t = 0; t < tokens; ++t) {
        plan.ids.push_back(s.ids[static_cast<std::size_t>(t)]);
        plan.positions.push_back(t);
        if (!s.targets.empty() && s.targets[static_cast<std::size_t>(t)] >= 0) {
          plan.loss_rows.push_back(first + t);
          plan.targets.push_back(s.targets[static_cast<std::size_t>(t)]);
        }
      }
    }
    return plan;
  }
};

}  // namespace flamingo
