/// The engine: reads new tokens of any number of sequences in one ragged pass over shared keys and values.
///
/// Prefill, decoding, beams and tries of answers are the same pass: rows of a batch, each with the spans of what it
/// sees.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/infer/cache.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/choice.hpp>

namespace flamingo {

/// A decoder by itself, in the shape of a model without gated blocks.
template <auto C, Platform P>
struct LanguageModel {
  struct Config {
    decltype(C) lm;
  };
  static constexpr Config config{C};
  using Decoder = DecoderOf<C, P>;
  using Block = typename Decoder::Block;
  static constexpr int D = C.dim, V = written_ids(C);
  static constexpr auto layers = static_cast<std::size_t>(C.layers), all_blocks = layers;
  static constexpr bool inside = false;
  template <class W, class F>
  static void with_block(const Nothing&, const W& lm, std::size_t i, const F& f) {
    f(lm.blocks[i]);
  }
  static constexpr std::size_t gated_blocks = 0, none = ~std::size_t{0};
  static constexpr std::size_t gated_before(std::size_t) { return none; }
};

namespace detail {
template <class M>
struct PlatformOfModel;
template <auto C, Platform P>
struct PlatformOfModel<model::Flamingo<C, P>> {
  using Place = P;
};
template <auto C, Platform P>
struct PlatformOfModel<LanguageModel<C, P>> {
  using Place = P;
};
}  // namespace detail

/// A sequence as an engine knows it: a value. A copy goes on by itself and shares the keys, values and media of what
/// both have read. Tokens wait in it until the engine reads them.
struct TextState {
  CacheRows rows;                   ///< keys and values of the tokens read
  std::vector<int> ids, phi;        ///< tokens that wait to be read
  std::vector<int> read_ids;        ///< those that were read, in their order
  std::vector<CachedMedium> media;  ///< φ = m is the m-th of them
  std::vector<int> runs;            ///< of each medium announced, the first of its run
  bool after_tag = false;           ///< the last token announced a medium
  int last_phi = 0, closed = -1;    ///< φ of the last token as it was read; of the document that ended last
  std::uint64_t stream = 0;  ///< of the random numbers that sample its tokens; copies that shall differ get their own

  int length() const { return rows.count() + static_cast<int>(ids.size()); }
  /// One more token, of the same medium as the one before it: an image tag that a model writes announces nothing, and
  /// an end of document that it writes closes nothing.
  void append(int id) {
    ids.push_back(id);
    phi.push_back(last_phi);
    after_tag = false;
  }
};

/// Tokens to be read after a sequence: one after another, or a tree with parents before children.
struct NewTokens {
  const TextState* state = nullptr;
  std::span<const int> ids, phi;
  std::span<const int>
      parents;  ///< of each token the place of the one before it, -1: the sequence's end. Empty: a chain
};

/// Memory of an engine. It is address space: rows cost memory once used.
struct EngineOptions {
  int text_rows = 0;  ///< tokens of all sequences together, shared ones counted once; 0: four times the model's context
  int media = 64;     ///< images and videos
  int vocabulary_chunk = 8192;  ///< logits of a row that exist at a time when likelihoods are computed
};

/// Borrows the weights and a context; owns the pools. The pools lie in the context's kept memory: whatever is kept
/// after the engine was made must be released before it ends.
///
/// Cached is the type of cached keys and values: the platform's own numbers, or bfloat16 on the CPU, which takes half
/// the memory. They are rounded before the first token sees them, so that a sequence's bits do not depend on how it is
/// read.
template <class M, class Connector, class Lm, class Cached = typename detail::PlatformOfModel<M>::Place::Real>
class Engine {
 public:
  using P = typename detail::PlatformOfModel<M>::Place;
  using Model = M;
  using Real = typename P::Real;
  using CacheReal = Cached;
  static_assert(reads_keys_in<P, Cached>, "Engine: this platform does not read keys and values of this type");
  static constexpr int D = M::D, V = M::V, context_size = M::config.lm.context;
  static constexpr bool has_media = M::gated_blocks > 0;
  static constexpr bool relative = requires { requires M::Block::relative; };

  Engine(Context<P>& ctx, const Connector& connector, const Lm& lm, const EngineOptions& options = {})
      : ctx_(ctx),
        connector_(connector),
        lm_(lm),
        options_(options),
        mark_(ctx.arena().kept()),
        text_(ctx, options.text_rows > 0 ? options.text_rows : 4 * context_size),
        distances_(make_distances(ctx)),
        media_(make_media(ctx, options)) {
    check(options.vocabulary_chunk > 0, "engine", "vocabulary_chunk is ", options.vocabulary_chunk,
          ", expected a positive number");
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() { ctx_.arena().release(mark_); }

  Context<P>& context() const { return ctx_; }
  /// What the engine borrows, and the pools that it owns: for what saves and loads them.
  const Connector& connector() const { return connector_; }
  const Lm& lm() const { return lm_; }
  TextCache<M, P, Cached>& text_cache() { return text_; }
  auto& media_cache() { return media_; }
  /// Rows of the text pool, and those that sequences use.
  int text_rows() const { return text_.uses->rows(); }
  int text_rows_used() const { return text_.uses->used(); }
  /// Tokens that all passes so far have read.
  long tokens_read() const { return tokens_read_; }
  /// What starts steps of decoding; on Cuda it tells whether they are captured.
  const Replay<P>& replay() const { return replay_; }

  /// The medium of these features (S or L S rows of a frozen encoder, L frames one after another): its latents and its
  /// keys and values in every gated block are computed unless the same content is here already. Of its R rows `visible`
  /// are there to be seen, or all where that is 0.
  template <class F>
  CachedMedium add_medium(const F& features, int frames = 1, int place = 0, int visible = 0);
  /// Media that wait for somebody to ask for them again, and those in use.
  int media_cached() const { return media_.size(); }
  void drop_unused_media() { media_.drop_unused(); }

  /// A sequence whose tokens wait to be read. Throws where it is empty, longer than the context, or announces more
  /// media than are given.
  TextState begin(const Sequence& sequence, std::span<const CachedMedium> media = {}) const {
    TextState state;
    state.rows = CacheRows(text_.uses);
    state.media.assign(media.begin(), media.end());
    append(state, sequence.ids, sequence.phi);
    return state;
  }
  /// More tokens of a sequence, and media that they announce: φ counts from the sequence's beginning. Throws as begin()
  /// does, and then the sequence is as it was.
  void append(TextState& state, std::span<const int> ids, std::span<const int> phi,
              std::span<const CachedMedium> media = {}) const {
    check(!ids.empty(), "prompt", "it is empty: there is nothing to read");
    check(phi.empty() || phi.size() == ids.size(), "prompt", ids.size(), " tokens with ", phi.size(), " φ");
    const int length = state.length(), more = static_cast<int>(ids.size());
    check(length + more <= context_size, "prompt", length + more, " tokens, the context holds ", context_size);
    const auto all = state.media.size() + media.size();
    const int most = phi.empty() ? 0 : *std::max_element(phi.begin(), phi.end());
    check(most <= static_cast<int>(all), "prompt", "it has ", most, " image tags and ", all,
          " media: each tag announces one medium");
    for (std::size_t i = 0; i < ids.size(); ++i)
      check(ids[i] >= 0 && ids[i] < read_ids(M::config.lm), "prompt", "token ", i, " is ", ids[i], ", expected 0 to ",
            read_ids(M::config.lm) - 1);
    state.media.insert(state.media.end(), media.begin(), media.end());
    std::vector<int> seen(phi.begin(), phi.end());
    if constexpr (has_media) seen = seen_phi(M::config.xattn, ids, phi, state.closed);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (!phi.empty()) state.last_phi = seen[i];
      const int announced = static_cast<int>(state.runs.size());
      bool joins = state.after_tag;
      state.append(ids[i]);
      for (int m = announced; !phi.empty() && m < phi[i]; ++m) {
        state.runs.push_back(joins && m > 0 ? state.runs.back() : m);
        joins = state.after_tag = true;
      }
    }
  }

  /// Throws unless the sequence is this engine's and has tokens that wait and can be read.
  void check_state(const TextState& state) const {
    check(state.rows.of(text_.uses), "engine", "a sequence is another engine's, or begun by none");
    check(!state.ids.empty(), "engine", "a sequence has no token that waits to be read");
    check(state.length() <= context_size, "engine", "a sequence of ", state.length(), " tokens, the context holds ",
          context_size);
    for (const int id : state.ids)
      check(id >= 0 && id < read_ids(M::config.lm), "engine", "a sequence has the id ", id, ", expected 0 to ",
            read_ids(M::config.lm) - 1);
  }

  struct Result {
    Rows<P, D> hidden;            ///< of all new tokens, after all blocks; scratch: it ends with the caller's scope
    std::vector<CacheRows> rows;  ///< of each piece, where its keys and values are
  };
  /// The one pass: new tokens of several sequences, none of which changes. `watch(j, x)` sees the rows before each
  /// gated block j.
  template <class Watch>
  Result forward(std::span<const NewTokens> pieces, const Watch& watch) {
    Plan plan = plan_of(pieces, false);
    const int N = static_cast<int>(plan.ids.size());
    const auto hidden = scratch<D>(ctx_, N);
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    const auto fresh = scratch<KV>(ctx_, rounds || plan.apart ? 2 * N : 0), k = fresh.slice(0, N),
               v = fresh.slice(N, N);
    const auto index = rounds || plan.apart ? table(ctx_, plan.places) : View<P, 1, const int>{};
    const Tables at{table(ctx_, plan.ids), table(ctx_, plan.blind), forward_table(ctx_, plan.self),
                    forward_table(ctx_, plan.cross)};
    const auto place = [&](std::size_t i) {
      ops::place(ctx_, k, index, text_.k[i]);
      ops::place(ctx_, v, index, text_.v[i]);
    };
    if constexpr (rounds) {
      const auto rows_of = [&](std::size_t i) {
        return new_rows(k, v, [&place, this, i] {
          place(i);
          return pools(text_.k[i], text_.v[i]);
        });
      };
      pass(at, positions_of(plan), hidden, watch, rows_of, [](std::size_t) {});
    } else {
      const int first = plan.places.empty() ? 0 : plan.places[0];
      const auto rows_of = [&](std::size_t i) {
        auto all = pools(text_.k[i], text_.v[i]);
        if (!plan.apart) return new_rows(text_.k[i].slice(first, N), text_.v[i].slice(first, N), all);
        all.add({k, v});
        return new_rows(k, v, all);
      };
      pass(at, positions_of(plan), hidden, watch, rows_of, [&](std::size_t i) {
        if (plan.apart) place(i);
      });
    }
    return {hidden, std::move(plan.rows)};
  }
  /// The same, replayed where the platform can: a token of each sequence. Its keys and values get rows of their own, so
  /// that no address changes from step to step, and are placed in the pools at the end.
  Result step(std::span<const NewTokens> pieces)
    requires std::is_same_v<Cached, Real>
  {
    Plan plan = plan_of(pieces, true);
    const int N = static_cast<int>(plan.ids.size()), capacity = text_.k[0].rows;
    const auto hidden = scratch<D>(ctx_, N);
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    const auto fresh = scratch<KV>(ctx_, text_.pools * N);
    std::vector<int> to;
    for (int pool = 0; pool < text_.pools; ++pool)
      for (const int row : plan.places) to.push_back(pool * capacity + row);
    const auto index = table(ctx_, to);
    const Tables at{table(ctx_, plan.ids), table(ctx_, plan.blind), forward_table(ctx_, plan.self),
                    forward_table(ctx_, plan.cross)};
    const auto positions = positions_of(plan);
    std::vector<std::uintptr_t> key{static_cast<std::uintptr_t>(N),
                                    static_cast<std::uintptr_t>(at.blind.shape[0]),
                                    reinterpret_cast<std::uintptr_t>(hidden.data),
                                    reinterpret_cast<std::uintptr_t>(positions(0).data),
                                    reinterpret_cast<std::uintptr_t>(at.ids.data),
                                    reinterpret_cast<std::uintptr_t>(at.blind.data),
                                    reinterpret_cast<std::uintptr_t>(index.data)};
    extend_key(key, at.self);
    extend_key(key, at.cross);
    replay_(ctx_, key, [&] {
      const auto rows_of = [&](std::size_t i) {
        const auto k = fresh.slice(2 * static_cast<int>(i) * N, N),
                   v = fresh.slice((2 * static_cast<int>(i) + 1) * N, N);
        auto all = pools(text_.k[i], text_.v[i]);
        all.add({k, v});
        return new_rows(k, v, all);
      };
      pass(at, positions, hidden, NoWatch{}, rows_of, [](std::size_t) {});
      ops::place(ctx_, fresh, index, text_.all);
    });
    return {hidden, std::move(plan.rows)};
  }
  Result forward(std::span<const NewTokens> pieces);

  /// Reads the waiting tokens of all states but the last `leave` of each; the hidden rows of all of them, one state
  /// after another, in scratch.
  Rows<P, D> read(std::span<TextState* const> states, int leave = 0) {
    std::vector<int> counts;
    for (const TextState* s : states) counts.push_back(std::max(0, static_cast<int>(s->ids.size()) - leave));
    return read(states, counts);
  }
  /// The same for the first counts[n] waiting tokens of state n: a long prompt may be read in pieces, among others.
  /// Throws CacheFull where the pool has no rows for them; whatever it throws, the states are as they were.
  Rows<P, D> read(std::span<TextState* const> states, std::span<const int> counts) {
    std::vector<NewTokens> pieces;
    for (std::size_t i = 0; i < states.size(); ++i) {
      const TextState& s = *states[i];
      const auto n = static_cast<std::size_t>(counts[i]);
      pieces.push_back({&s, std::span(s.ids).first(n), std::span(s.phi).first(n), {}});
    }
    if (std::all_of(pieces.begin(), pieces.end(), [](const NewTokens& p) { return p.ids.empty(); })) return {};
    Result result = forward(pieces);
    for (std::size_t i = 0; i < states.size(); ++i) {
      TextState& s = *states[i];
      const std::ptrdiff_t n = counts[i];
      s.rows.append(std::move(result.rows[i]));
      s.read_ids.insert(s.read_ids.end(), s.ids.begin(), s.ids.begin() + n);
      s.ids.erase(s.ids.begin(), s.ids.begin() + n);
      s.phi.erase(s.phi.begin(), s.phi.begin() + n);
    }
    return result.hidden;
  }

  /// use(logits (rows, V) of these hidden rows), which are scratch.
  template <class Use>
  auto with_logits(const Rows<P, D>& hidden, const std::vector<int>& rows, const Use& use) {
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    const int n = static_cast<int>(rows.size());
    const auto chosen = scratch<D>(ctx_, n);
    const auto y = scratch<V>(ctx_, n);
    ops::gather(ctx_, hidden, table(ctx_, rows), chosen);
    M::Decoder::logits(ctx_, lm_, chosen, y);
    return use(y);
  }
  /// Logits on the host, floats where Real is narrower: those of row n begin at n * V.
  using Logit = AccumulateOf<P>;
  using Logits = std::vector<Logit>;
  /// Reads everything that waits; logits of what follows each state. Each must have a token that waits.
  Logits next_logits(std::span<TextState* const> states) {
    const std::vector<int> last = last_rows(states);
    const auto scope = ctx_.scope();
    return logits(read(states), last);
  }
  Logits logits(const Rows<P, D>& hidden, const std::vector<int>& rows) {
    return with_logits(hidden, rows, [&](const Rows<P, V>& y) {
      const auto seen = host_copy(ctx_, y);
      return Logits(seen.begin(), seen.end());
    });
  }
  /// Reads everything that waits; the k likeliest ids that may follow each state, those of state n from n * k on. They
  /// are chosen where the logits lie, so nothing else reaches the host. Each state must have a token that waits.
  std::vector<Choice> likeliest_next(std::span<TextState* const> states, int k, const std::vector<int>& banned = {}) {
    const std::vector<int> last = last_rows(states);
    const auto scope = ctx_.scope();
    return with_logits(read(states), last, [&](const Rows<P, V>& y) { return likeliest(y, k, banned); });
  }
  /// The same of given logits.
  std::vector<Choice> likeliest(const Rows<P, V>& logits, int k, const std::vector<int>& banned) {
    const auto scope = ctx_.scope();
    const auto best = take_vector<Choice>(ctx_, logits.rows * k);
    ops::likeliest(ctx_, logits, table(ctx_, banned), k, best);
    const auto seen = host_copy(ctx_, best);
    return {seen.begin(), seen.end()};
  }
  /// log p(targets[n] | hidden row rows[n]). What costs is the rows that are asked, however often each is.
  std::vector<double> log_likelihoods(const Rows<P, D>& hidden, std::span<const int> rows,
                                      std::span<const int> targets) {
    check(rows.size() == targets.size(), "engine", rows.size(), " rows are asked for ", targets.size(), " targets");
    std::vector<int> asked(rows.begin(), rows.end());
    std::sort(asked.begin(), asked.end());
    asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
    std::vector<std::vector<std::size_t>> of_part;  // the targets of as many rows as logits may exist of at a time
    const int most = std::max(1, most_logits / std::min(options_.vocabulary_chunk, V));
    of_part.resize((asked.size() + static_cast<std::size_t>(most) - 1) / static_cast<std::size_t>(most));
    const auto place_of = [&](int row) {
      return static_cast<int>(std::lower_bound(asked.begin(), asked.end(), row) - asked.begin());
    };
    for (std::size_t n = 0; n < rows.size(); ++n)
      of_part[static_cast<std::size_t>(place_of(rows[n]) / most)].push_back(n);
    std::vector<double> log_p(rows.size());
    for (std::size_t part = 0; part < of_part.size(); ++part) {
      const auto scope = ctx_.scope();
      const auto kept = ctx_.kept_scope();
      const int first = static_cast<int>(part) * most, n = std::min(most, static_cast<int>(asked.size()) - first);
      const std::vector<int> own(asked.begin() + first, asked.begin() + first + n);
      std::vector<ops::Target> wanted;
      for (const std::size_t t : of_part[part]) wanted.push_back({place_of(rows[t]) - first, targets[t]});
      const auto chosen = scratch<D>(ctx_, n);
      const auto at = scratch<1>(ctx_, static_cast<int>(wanted.size()));
      const auto lse = take_vector<AccumulateOf<P>>(ctx_, n);
      ops::gather(ctx_, hidden, table(ctx_, own), chosen);
      M::Decoder::log_likelihoods(ctx_, lm_, chosen, wanted, options_.vocabulary_chunk, at, lse);
      const auto logit = host_copy(ctx_, at);
      const auto all = host_copy(ctx_, lse);
      for (std::size_t i = 0; i < wanted.size(); ++i)
        log_p[of_part[part][i]] =
            static_cast<double>(static_cast<AccumulateOf<P>>(logit[i]) - all[static_cast<std::size_t>(wanted[i].row)]);
    }
    return log_p;
  }

 private:
  /// Of states that are read together, the row of each one's last token.
  static std::vector<int> last_rows(std::span<TextState* const> states) {
    std::vector<int> last;
    int rows = 0;
    for (const TextState* s : states) {
      check(!s->ids.empty(), "next_logits", "a sequence has no token that waits to be read");
      last.push_back((rows += static_cast<int>(s->ids.size())) - 1);
    }
    return last;
  }
  struct NoWatch {
    void operator()(std::size_t, const Rows<P, D>&) const {}
  };
  struct Tables {
    View<P, 1, const int> ids, blind;
    Spans<P> self, cross;
  };
  static constexpr int KV = M::Block::KV;
  static constexpr int most_logits = 1 << 24;  // that exist at a time
  // New keys and values cannot be written where they stay.
  static constexpr bool rounds = !std::is_same_v<Cached, Real>;
  /// Where a block writes new keys and values, and all that it reads: pools, or what makes them.
  template <class Seen>
  struct NewRows {
    Rows<P, KV> k, v;
    Seen pools;
  };
  template <class Seen>
  static NewRows<Seen> new_rows(const Rows<P, KV>& k, const Rows<P, KV>& v, const Seen& pools) {
    return {k, v, pools};
  }
  /// All blocks, from ids to hidden rows; rows_of(i) are block i's NewRows, and then(i) is called when it has run.
  template <class PositionsOf, class Watch, class RowsOf, class Then>
  void pass(const Tables& at, const PositionsOf& positions, const Rows<P, D>& hidden, const Watch& watch,
            const RowsOf& rows_of, const Then& then) {
    const auto scope = ctx_.scope();
    const int N = hidden.rows;
    auto x = hidden, z = scratch<D>(ctx_, N);
    M::Decoder::embed(ctx_, lm_, at.ids, x);
    for (std::size_t i = 0; i <= M::all_blocks; ++i) {
      const std::size_t j = M::gated_before(i);
      if constexpr (has_media && !M::inside)
        if (j != M::none) {
          watch(j, x);
          condition(j, x, at.cross, at.blind, z);
          std::swap(x, z);
        }
      if (i == M::all_blocks) break;
      M::with_block(connector_, lm_, i, [&](const auto& w) {
        const auto run = [&](const auto&... between) {
          const auto rows = rows_of(i);
          M::Block::template forward<no_gradients>(ctx_, w, x, positions(i), rows.k, rows.v, rows.pools, at.self, z,
                                                   between...);
        };
        if constexpr (M::inside)
          run([&](const Rows<P, D>& in) {
            if (j == M::none) return in;
            const auto out = scratch<D>(ctx_, N);
            watch(j, in);
            condition(j, in, at.cross, at.blind, out);
            return out;
          });
        else
          run();
      });
      then(i);
      std::swap(x, z);
    }
    if (x.data != hidden.data) ops::copy(ctx_, x, hidden);
  }
  /// Gated block j: in -> out.
  void condition(std::size_t j, const Rows<P, D>& in, const Spans<P>& cross, View<P, 1, const int> blind,
                 const Rows<P, D>& out) {
    M::Gated::template forward<no_gradients>(ctx_, connector_.gated[j], in, pools(media_.k[j], media_.v[j]), cross, out,
                                             blind);
  }
  using Distances = std::conditional_t<relative, DistanceCache<M, P>, Nothing>;
  static Distances make_distances(Context<P>& ctx) {
    if constexpr (relative)
      return Distances(ctx, context_size);
    else
      return {};
  }
  using Media = std::conditional_t<has_media, MediaCache<M, P, Cached>, Nothing>;
  static Media make_media(Context<P>& ctx, const EngineOptions& options) {
    if constexpr (has_media)
      return Media(ctx, options.media);
    else
      return {};
  }
  template <int W, class T>
  static Pools<P, T> pools(const Rows<P, W, T>& k, const Rows<P, W, T>& v) {
    Pools<P, T> p;
    p.add({k, v});
    return p;
  }

  struct Plan {
    std::vector<int> ids, positions;
    SpanList self, cross;
    std::vector<int> blind;       ///< rows with no medium to see
    std::vector<CacheRows> rows;  ///< of each piece
    std::vector<int> places;      ///< of each token, its row of the pools
    bool apart = false;           ///< new keys and values have a pool of their own first: their rows are not one run
  };
  /// The positions of new tokens as block i reads them.
  auto positions_of(const Plan& plan) {
    const View<P, 1, const int> rows = table(ctx_, plan.positions);
    if constexpr (relative) {
      const auto last = std::max_element(plan.positions.begin(), plan.positions.end());
      const int most = last == plan.positions.end() ? 0 : *last + 1;
      distances_.reach(ctx_, connector_, lm_, most);
      return [=, this](std::size_t i) { return Positions<P>{rows, most, distances_.r[i].slice(0, most)}; };
    } else {
      return [=](std::size_t) { return rows; };
    }
  }
  Plan plan_of(std::span<const NewTokens> pieces, bool apart) {
    Plan plan;
    for (const NewTokens& piece : pieces) {
      const CacheRows& before = piece.state->rows;
      check(before.of(text_.uses), "engine", "a sequence is another engine's, or begun by none");
      plan.rows.push_back(CacheRows::take_after(text_.uses, before.last(), static_cast<int>(piece.ids.size())));
      for (const RowRun& run : plan.rows.back().runs())
        for (int row = run.first; row < run.first + run.count; ++row) plan.places.push_back(row);
    }
    const auto broken =
        std::adjacent_find(plan.places.begin(), plan.places.end(), [](int row, int next) { return next != row + 1; });
    plan.apart = !rounds && (apart || broken != plan.places.end());
    tokens_read_ += static_cast<long>(plan.places.size());
    std::vector<SeenMedium> media;
    for (const NewTokens& piece : pieces) {
      check(piece.phi.size() == piece.ids.size() && (piece.parents.empty() || piece.parents.size() == piece.ids.size()),
            "engine", piece.ids.size(), " tokens with ", piece.phi.size(), " φ and ", piece.parents.size(),
            " parents: each token has one of each, or none has a parent");
      for (std::size_t t = 0; t < piece.parents.size(); ++t)
        check(piece.parents[t] >= -1 && piece.parents[t] < static_cast<int>(t), "engine", "token ", t,
              " follows token ", piece.parents[t], ": parents come before their children");
      const int first = static_cast<int>(plan.ids.size());
      plan.ids.insert(plan.ids.end(), piece.ids.begin(), piece.ids.end());
      add_self_spans(plan, piece, first);
      if constexpr (has_media) {
        media.clear();
        const std::vector<int>& runs = piece.state->runs;
        for (const CachedMedium& m : piece.state->media)
          media.push_back({m.place(), m.rows(), media.size() < runs.size() ? runs[media.size()] : 0});
        add_media_spans(plan.cross, plan.blind, M::config.xattn, piece.phi, first, media, M::R);
      }
    }
    return plan;
  }
  /// A span for each run of tokens that follow one another: it sees what the sequence has read, the ancestors of the
  /// run, and itself.
  static void add_self_spans(Plan& plan, const NewTokens& piece, int first) {
    const int tokens = static_cast<int>(piece.ids.size()), read = piece.state->rows.count();
    const auto parent = [&](int t) {
      return piece.parents.empty() ? t - 1 : piece.parents[static_cast<std::size_t>(t)];
    };
    std::vector<int> ancestors;
    for (int from = 0, to = 0; from < tokens; from = to) {
      for (to = from + 1; to < tokens && parent(to) == to - 1;) ++to;
      ancestors.clear();
      for (int t = parent(from); t >= 0; t = parent(t)) ancestors.push_back(t);
      std::reverse(ancestors.begin(), ancestors.end());
      const int position = read + static_cast<int>(ancestors.size());
      check(position + to - from <= context_size, "engine", position, " tokens and ", to - from,
            " more, the context holds ", context_size);
      for (int t = from; t < to; ++t) plan.positions.push_back(position + t - from);
      plan.self.begin(first + from, to - from, position);
      int at = 0;  // the keys' positions count where scores depend on distances
      for (const RowRun& run : piece.state->rows.runs()) {
        plan.self.add({0, run.first, run.count, at, 0});
        at += run.count;
      }
      for (std::size_t a = 0, b = 0; a < ancestors.size(); a = b) {
        while (b < ancestors.size() && ancestors[b] == ancestors[a] + static_cast<int>(b - a)) ++b;
        add_new_keys(plan, first + ancestors[a], static_cast<int>(b - a), at + static_cast<int>(a), 0);
      }
      add_new_keys(plan, first + from, to - from, position, 1);
    }
  }
  /// Of `count` new tokens, from `token` of the plan on.
  static void add_new_keys(Plan& plan, int token, int count, int position, int causal) {
    if (plan.apart) return plan.self.add({1, token, count, position, causal});
    for (int n = 0; n < count;) {  // as runs of the pool's rows
      const int row = plan.places[static_cast<std::size_t>(token + n)];
      int run = 1;
      while (n + run < count && plan.places[static_cast<std::size_t>(token + n + run)] == row + run) ++run;
      plan.self.add({0, row, run, position + n, causal});
      n += run;
    }
  }

  Context<P>& ctx_;
  const Connector& connector_;
  const Lm& lm_;
  EngineOptions options_;
  std::size_t mark_;
  long tokens_read_ = 0;
  TextCache<M, P, Cached> text_;
  [[no_unique_address]] Distances distances_;
  [[no_unique_address]] Media media_;
  [[no_unique_address]] Replay<P> replay_;
};

// Outside of the class, so that they are not inline: below these two lie all layers, and `extern template` keeps them
// out of a translation unit (docs/performance.md).
template <class M, class Connector, class Lm, class Cached>
typename Engine<M, Connector, Lm, Cached>::Result Engine<M, Connector, Lm, Cached>::forward(
    std::span<const NewTokens> pieces) {
  if constexpr (Replay<P>::replays && !relative)
    if (std::all_of(pieces.begin(), pieces.end(), [](const NewTokens& piece) { return piece.ids.size() == 1; }))
      return step(pieces);
  return forward(pieces, NoWatch{});
}
template <class M, class Connector, class Lm, class Cached>
template <class F>
CachedMedium Engine<M, Connector, Lm, Cached>::add_medium(const F& features, int frames, int place, int visible) {
  static_assert(has_media, "add_medium: this model has no gated blocks");
  static_assert(RowsOn<F, P>, "add_medium: features are rows on the engine's platform");
  using Resampler = typename M::ResamplerLayer;
  check(int(features.width) == Resampler::E, "engine", "features are ", features.shape(), ", expected width ",
        Resampler::E);
  check(visible >= 0 && visible <= M::R, "engine", visible, " rows to be seen, expected 1 to ", M::R, ", or 0: all");
  const int rows = visible ? visible : M::R;
  const auto seen = host_copy(ctx_, features);
  const std::uint64_t key = content_key(std::as_bytes(std::span(seen)), frames, place, rows);
  return media_.get(key, rows, [&](int at) {
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    const std::array medium{Medium{0, features.rows, frames, place}};
    const ResamplerPlan plan = ResamplerPlan::of(M::config.resampler, medium);
    const auto latents = media_.latents.slice(at * M::R, M::R);
    Resampler::template forward<no_gradients>(ctx_, connector_.resampler,
                                              {features.data, features.rows, Extent<Resampler::E>(features.width)},
                                              plan, latents);
    for (std::size_t j = 0; j < M::gated_blocks; ++j) {
      const auto k = media_.k[j].slice(at * M::R, M::R), v = media_.v[j].slice(at * M::R, M::R);
      if constexpr (rounds) {
        const auto inner = ctx_.scope();
        const auto own_k = scratch<M::Gated::KV>(ctx_, M::R), own_v = scratch<M::Gated::KV>(ctx_, M::R);
        M::Gated::template project<no_gradients>(ctx_, connector_.gated[j], latents, own_k, own_v);
        ops::convert(ctx_, own_k, k);
        ops::convert(ctx_, own_v, v);
      } else {
        M::Gated::template project<no_gradients>(ctx_, connector_.gated[j], latents, k, v);
      }
    }
  });
}

/// An engine for model::Flamingo<C, P> over the parameters of its connector and decoder, under any storage policy.
/// make_engine<M, bfloat16>: its caches hold bfloat16.
template <class M, class Cached = typename detail::PlatformOfModel<M>::Place::Real, Platform P, class Connector,
          class Lm>
Engine<M, Connector, Lm, Cached> make_engine(Context<P>& ctx, const Connector& connector, const Lm& lm,
                                             const EngineOptions& options = {}) {
  return {ctx, connector, lm, options};
}
/// An engine for LanguageModel<C, P>.
template <class M, class Cached = typename detail::PlatformOfModel<M>::Place::Real, Platform P, class Lm>
  requires(M::gated_blocks == 0)
Engine<M, Nothing, Lm, Cached> make_engine(Context<P>& ctx, const Lm& lm, const EngineOptions& options = {}) {
  static constexpr Nothing nothing{};
  return {ctx, nothing, lm, options};
}

}  // namespace flamingo
