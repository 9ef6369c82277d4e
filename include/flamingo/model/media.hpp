/// Which media each token sees: φ, and the spans that follow from it under each published rule.
#pragma once
#include <algorithm>
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

/// The same for ids of which each `tag` announces a medium.
inline std::vector<int> phi_of_tags(std::span<const int> ids, int tag) {
  std::vector<int> tags;
  for (std::size_t t = 0; t < ids.size(); ++t)
    if (ids[t] == tag) tags.push_back(static_cast<int>(t));
  return phi_of(tags, static_cast<int>(ids.size()));
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

/// A medium as the tokens of a sequence see it.
struct SeenMedium {
  int place = 0;  ///< its R rows begin at row place * R of pool 0
  int rows = 0;   ///< how many of them are there to be seen: the tiles that a picture has
  int run = 0;    ///< the first medium of its run, from 0: of media whose tags follow one another
};

/// The first medium of each one's run, from 0. Tags are one token each: a tag follows another where φ is the other's
/// for that one token alone.
inline std::vector<int> runs_of(std::span<const int> phi, int media) {
  std::vector<int> runs(static_cast<std::size_t>(media)), tokens(static_cast<std::size_t>(media) + 1, 0);
  for (const int p : phi)
    if (p >= 0 && p <= media) ++tokens[static_cast<std::size_t>(p)];
  for (int m = 0; m < media; ++m) {
    const auto at = static_cast<std::size_t>(m);
    runs[at] = m > 0 && tokens[at] <= 1 ? runs[at - 1] : m;
  }
  return runs;
}

/// Adds the cross-attention spans of one sequence, and to `blind` the rows that have no medium to see. Its tokens are
/// query rows from `first_row` on with the given φ. Media may lie anywhere, and several sequences share them.
inline void add_media_spans(SpanList& list, std::vector<int>& blind, const XattnConfig& c, std::span<const int> phi,
                            int first_row, std::span<const SeenMedium> media, int R) {
  const int tokens = static_cast<int>(phi.size()), M = static_cast<int>(media.size());
  const auto medium = [&](int m) -> const SeenMedium& { return media[static_cast<std::size_t>(m)]; };
  const auto see = [&](int from, int count, int first_medium, int end, bool whole) {
    list.begin(first_row + from, count);
    for (int m = first_medium; m < end;) {  // neighbours are one segment
      const int at = medium(m).place * R;
      int rows = 0;
      do {
        rows += whole ? R : medium(m).rows;
        ++m;
      } while (m < end && medium(m).place * R == at + rows);
      list.add({0, at, rows, 0, 0});
    }
  };
  const auto nothing = [&](int from, int count, NoImage rule) {
    for (int t = from; t < from + count; ++t) blind.push_back(first_row + t);
    if (rule == NoImage::zero || M == 0) return;
    see(from, count, 0, M, true);
    list.spans.back().uniform = rule == NoImage::uniform;
  };
  for (int from = 0, to = 0; from < tokens; from = to) {
    const int p = phi[static_cast<std::size_t>(from)];
    check(p >= 0, "sequence", "token ", from, " has φ ", p, ", expected 0 or more");
    while (to < tokens && phi[static_cast<std::size_t>(to)] == p) ++to;  // a run of tokens with one φ
    if (M == 0 || p == 0)
      nothing(from, to - from, c.before_first);
    else if (c.visibility == Visibility::all_earlier)
      see(from, to - from, 0, std::min(p, M), false);
    else if (p > M)
      nothing(from, to - from, c.beyond_last);
    else
      see(from, to - from, c.visibility == Visibility::last_run ? medium(p - 1).run : p - 1, p, false);
  }
}

/// The same for media of which all R rows are there, from row `media[m] * R` on, and whose runs φ tells.
inline void add_media_spans(SpanList& list, const XattnConfig& c, std::span<const int> phi, int first_row,
                            std::span<const int> media, int R) {
  std::vector<SeenMedium> seen;
  std::vector<int> blind;
  const std::vector<int> runs = runs_of(phi, static_cast<int>(media.size()));
  for (std::size_t m = 0; m < media.size(); ++m) seen.push_back({media[m], R, runs[m]});
  add_media_spans(list, blind, c, phi, first_row, seen, R);
}

/// The same for `media` media that lie one after another, the first of them being `first_medium`.
inline void add_media_spans(SpanList& list, const XattnConfig& c, std::span<const int> phi, int first_row,
                            int first_medium, int media, int R) {
  std::vector<int> places;
  for (int m = 0; m < media; ++m) places.push_back(first_medium + m);
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
  SpanList self;           ///< pool 0: the rows' own keys and values
  SpanList cross;          ///< pool 0: the media's
  std::vector<int> blind;  ///< rows with no medium to see
  std::vector<int> loss_rows, targets;

  int rows() const { return static_cast<int>(ids.size()); }
  /// What relative positions need to tell apart: from a row to itself, ..., to the first of the longest sequence.
  int distances() const { return positions.empty() ? 0 : 1 + *std::max_element(positions.begin(), positions.end()); }

  /// R latents a medium, of which the batch's medium m has visible[m] to be seen, or all where `visible` is empty;
  /// sequences start at position 0 and see themselves alone.
  static DecoderPlan of(std::span<const Sequence> sequences, const XattnConfig& c, int R,
                        std::span<const int> visible = {}) {
    DecoderPlan plan;
    std::vector<SeenMedium> seen;
    for (const Sequence& s : sequences) {
      const int first = plan.rows(), tokens = static_cast<int>(s.ids.size());
      check(s.phi.size() == s.ids.size() && (s.targets.empty() || s.targets.size() == s.ids.size()), "sequence", tokens,
            " tokens with ", s.phi.size(), " φ and ", s.targets.size(), " targets");
      plan.self.begin(first, tokens);
      plan.self.add({0, first, tokens, 0, 1});
      seen.clear();
      for (int m = 0; const int run : runs_of(s.phi, s.media)) {
        const int place = s.first_medium + m++;
        check(visible.empty() || (place >= 0 && place < static_cast<int>(visible.size())), "sequence",
              "it has the medium ", place, " of a batch that says of ", visible.size(), " how many rows they have");
        const int rows = visible.empty() ? R : visible[static_cast<std::size_t>(place)];
        check(rows > 0 && rows <= R, "sequence", "medium ", place, " has ", rows, " rows, expected 1 to ", R);
        seen.push_back({place, rows, run});
      }
      int closed = -1;
      add_media_spans(plan.cross, plan.blind, c, seen_phi(c, s.ids, s.phi, closed), first, seen, R);
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
