/// Attention with its projections: y = out attend(query x, key s, value s), for self- and cross-attention alike.
///
/// In two halves, because keys and values live on their own: `project` makes them (into a run's memory or a cache),
/// `attend` reads whatever pools hold them. Between projection and scores queries and keys may be clamped, normed and
/// turned, in this order.
#pragma once
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/kinds.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/nn/norm.hpp>
#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/attention.hpp>
#include <flamingo/ops/fused_linear.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/residual.hpp>
#include <flamingo/ops/rotary.hpp>
#include <flamingo/ops/sinusoid.hpp>
#include <flamingo/ops/split.hpp>

namespace flamingo {

struct AttentionConfig {
  int dim = 512;         ///< D, width of the rows that ask
  int source_dim = 512;  ///< E, width of the rows that are asked
  int heads = 8;         ///< H
  int kv_heads = 8;      ///< G
  int head_dim = 64;     ///< K
  bool bias = false;
  float clamp = 0;  ///< queries, keys and values lie within [-clamp, clamp] (MPT's clip_qkv); 0: they are not clamped
  QkNorm qk_norm = QkNorm::none;
  float epsilon = 1e-5f;  ///< of the norms of queries and keys
  bool rotary = false;
  int turned = 0;  ///< features of a head that turn; 0: all
  double rotary_base = 10000;
  RotaryPairs rotary_pairs = RotaryPairs::halves;
  RotaryScaling rotary_scaling{};
  float alibi = 0;          ///< largest exponent of the slopes of linear biases (MPT's alibi_bias_max, 8); 0: none
  bool relative = false;    ///< Transformer-XL's positions: a projection of distances and two biases, u and v
  float deviation = 0.02f;  ///< of new weights
  int split = 1;            ///< processes that divide the heads between them

  constexpr RotaryShape rotary_shape() const {
    return {head_dim, turned ? turned : head_dim, rotary_base, rotary_pairs, rotary_scaling};
  }
};

/// The slopes of ALiBi (Press et al. 2022) for H heads: 2^(-limit h / H), h = 1 ... H, where H is a power of two. Else
/// those of the next power, the odd places first.
template <class T>
std::vector<T> alibi_slopes(int heads, float limit) {
  int power = 1;
  while (power < heads) power *= 2;
  std::vector<T> all, slopes;
  for (int h = 1; h <= power; ++h) all.push_back(std::exp2(-static_cast<T>(limit) * static_cast<T>(h) / T(power)));
  if (power == heads) return all;
  for (std::size_t h = 1; h < all.size(); h += 2) slopes.push_back(all[h]);
  for (std::size_t h = 0; h < all.size(); h += 2) slopes.push_back(all[h]);
  slopes.resize(static_cast<std::size_t>(heads));
  return slopes;
}

/// The pools that one attention reads, in numbers of type T (reads_keys_in).
template <Platform P, class T = typename P::Real>
struct Pools {
  std::array<KeyValue<P, T>, max_pools> list{};
  int count = 0;

  void add(const KeyValue<P, T>& pool) { list[static_cast<std::size_t>(count++)] = pool; }
  std::span<const KeyValue<P, T>> view() const { return {list.data(), static_cast<std::size_t>(count)}; }
};
/// Where rows stand in their sequences.
template <Platform P>
struct Positions {
  View<P, 1, const int> rows{};  ///< the position of each row
  int distances = 0;             ///< no row stands so far after a row that it sees; for relative positions alone
  In<P> r{};  ///< Attention::distances() of them, where they were made before; they must live until backward is done

  Positions() = default;
  Positions(View<P, 1, const int> rows_at, int most = 0, In<P> made = {}) : rows(rows_at), distances(most), r(made) {}
};
/// Their gradients; a pool that is not listed, or empty, gets none.
template <Platform P>
using PoolGradients = std::array<KeyValueGradient<P>, max_pools>;

namespace nn {

/// The norm of queries or keys (·, heads K): of each head by itself, or of all heads at once.
template <QkNorm N, int Heads, int K, Platform P>
struct HeadNorm {
  static constexpr bool whole = N == QkNorm::rows_layer;
  static constexpr int width = whole ? Heads * K : K;
  static constexpr NormKind kind = N == QkNorm::heads_rms     ? NormKind::rms
                                   : N == QkNorm::heads_layer ? NormKind::layer
                                                              : NormKind::layer_unbiased;
  using Layer = Norm<kind, width, P>;

  /// Rows of heads as rows of what is normed.
  template <class T>
  static Rows<P, width, T> pieces(const Rows<P, Heads * K, T>& x) {
    return {x.data, x.rows * (Heads * K / width), {}};
  }
};

/// x, y (N, D)   s (·, E)   q (N, H K)   k, v (·, G K)
template <AttentionConfig C, Platform P>
struct Attention {
  static_assert(C.heads > 0 && C.kv_heads > 0 && C.heads % C.kv_heads == 0,
                "AttentionConfig: heads must be a multiple of kv_heads");
  static_assert(C.heads % C.split == 0 && C.kv_heads % C.split == 0,
                "AttentionConfig: split must divide heads and kv_heads");
  static_assert(!C.rotary || (C.rotary_shape().turned % 2 == 0 && C.turned <= C.head_dim),
                "AttentionConfig: rotary positions turn pairs: turned, or head_dim, must be even");
  static_assert(C.rotary + (C.alibi > 0) + C.relative <= 1, "AttentionConfig: positions are of one kind");
  static_assert(!C.relative || C.dim % 2 == 0, "AttentionConfig: sinusoids of distances need an even dim");
  static_assert(C.qk_norm != QkNorm::rows_layer || C.split == 1,
                "AttentionConfig: a norm over all heads cannot be split between processes");

  static constexpr int D = C.dim, E = C.source_dim, H = C.heads / C.split, G = C.kv_heads / C.split, K = C.head_dim,
                       Q = H * K, KV = G * K;
  static constexpr bool norms = C.qk_norm != QkNorm::none, clamps = C.clamp > 0;
  /// Whether project_backward asks for what `project` read even where no weight has a gradient.
  static constexpr bool projects_again = norms || clamps;
  using Real = typename P::Real;
  using QueryNorm = HeadNorm<C.qk_norm, H, K, P>;
  using KeyNorm = HeadNorm<C.qk_norm, G, K, P>;

  template <class S>
  struct Parameters {
    Matrix<S, Q, D> query;
    Matrix<S, KV, E> key, value;
    Matrix<S, D, Q> out;
    If<C.bias, Vector<S, Q>> query_bias;
    If<C.bias, Vector<S, KV>> key_bias, value_bias;
    If<C.bias, Vector<S, D>> out_bias;
    If<norms, typename QueryNorm::Layer::template Parameters<S>> query_norm;
    If<norms, typename KeyNorm::Layer::template Parameters<S>> key_norm;
    If<C.relative, Matrix<S, Q, D>> distance;
    If<C.relative, Vector<S, Q>> u, v;
  };
  static constexpr void each(auto& visit, auto&... p) {
    constexpr Init drawn = Init::normal(C.deviation);
    visit(matrix_spec("query", Q, D, drawn, Split::rows), p.query...);
    visit(matrix_spec("key", KV, E, drawn, Split::rows), p.key...);
    visit(matrix_spec("value", KV, E, drawn, Split::rows), p.value...);
    visit(matrix_spec("out", D, Q, drawn, Split::columns), p.out...);
    if constexpr (C.bias) {
      visit(vector_spec("query_bias", Q, Init::zero(), Split::rows), p.query_bias...);
      visit(vector_spec("key_bias", KV, Init::zero(), Split::rows), p.key_bias...);
      visit(vector_spec("value_bias", KV, Init::zero(), Split::rows), p.value_bias...);
      visit(vector_spec("out_bias", D, Init::zero()), p.out_bias...);
    }
    if constexpr (norms) {
      auto query = within(visit, "query_norm"), key = within(visit, "key_norm");
      QueryNorm::Layer::each(query, p.query_norm...);
      KeyNorm::Layer::each(key, p.key_norm...);
    }
    if constexpr (C.relative) {
      visit(matrix_spec("distance", Q, D, drawn, Split::rows), p.distance...);
      visit(vector_spec("u", Q, drawn, Split::rows), p.u...);
      visit(vector_spec("v", Q, drawn, Split::rows), p.v...);
    }
  }

  static AttentionShape shape() { return {H, G, K, 1 / std::sqrt(static_cast<float>(K))}; }

  /// k = key s, clamped, normed and turned to its positions; v = value s, clamped. Positions are read for rotary alone.
  template <class W, RowsOn<P> X>
  static void project(Context<P>& ctx, const W& w, const X& s, const Positions<P>& positions, const Rows<P, KV>& k,
                      const Rows<P, KV>& v) {
    project_with(ctx, w, s, positions, k, v);
  }
  /// Whether the norms of heads, which every process has whole, would get gradients of its own heads alone.
  template <class G_>
  static constexpr bool norms_divided() {
    if constexpr (norms)
      return C.split > 1 && wanted<decltype(G_{}.query_norm.scale)>;
    else
      return false;
  }

  /// Writes ds and adds to g. Changes dk and dv in place, back through what was done to k and v. What norms and clamps
  /// need of the projections is computed again.
  template <class W, class G_, class X, RowsSink<P> DS>
  static void project_backward(Context<P>& ctx, const W& w, const X& s, const Positions<P>& positions,
                               const Rows<P, KV>& dk, const Rows<P, KV>& dv, const DS& ds, const G_& g) {
    static_assert(!norms_divided<G_>(), "AttentionConfig: split, norms of queries and keys must be frozen");
    const auto scope = ctx.scope();
    if constexpr (C.rotary) ops::rotary_backward(ctx, C.rotary_shape(), positions.rows, dk);
    if constexpr (projects_again) {
      const auto inner = ctx.scope();
      const auto raw = scratch<KV>(ctx, dk.rows);
      linear(ctx, s, w.key, w.key_bias, raw);
      if constexpr (norms) {
        const auto normed = scratch<KV>(ctx, dk.rows);
        const auto mark = ctx.kept_scope();
        const auto saved = KeyNorm::Layer::template forward<all_gradients>(
            ctx, w.key_norm, C.epsilon, KeyNorm::pieces(raw), KeyNorm::pieces(normed));
        KeyNorm::Layer::backward(ctx, w.key_norm, saved, KeyNorm::pieces(dk), KeyNorm::pieces(normed), g.key_norm);
        ops::copy(ctx, normed, dk);
      }
      if constexpr (clamps) {
        ops::clamp_backward(ctx, C.clamp, raw, dk);
        linear(ctx, s, w.value, w.value_bias, raw);
        ops::clamp_backward(ctx, C.clamp, raw, dv);
      }
    }
    ops::linear_backward(ctx, s, w.key, dk, ds, g.key, g.key_bias);
    if constexpr (wanted<DS>) {
      const auto ds_value = scratch<E>(ctx, dv.rows);
      ops::linear_backward(ctx, s, w.value, dv, ds_value, g.value, g.value_bias);
      ops::accumulate(ctx, ds_value, ds);
    } else {
      ops::linear_backward(ctx, s, w.value, dv, ds, g.value, g.value_bias);
    }
    ops::enter<C.split>(ctx, ds);
  }

  /// r = distance sinusoid(d), d = first, first + 1, ...: what relative positions read, whatever the tokens.
  template <class W>
  static void distances(Context<P>& ctx, const W& w, int first, const Rows<P, Q>& r) {
    const auto scope = ctx.scope();
    const auto waves = scratch<D>(ctx, r.rows);
    ops::sinusoid(ctx, first, waves);        // (distances, D)
    ops::linear(ctx, waves, w.distance, r);  // (distances, H K)
  }

  template <Need need>
  struct Saved {
    If<need.weights, Rows<P, D, const Real>> x;
    If<need.any(), Rows<P, Q>> q, attended;  ///< q as the scores read it
    If<norms, typename QueryNorm::Layer::template Saved<need>> query_norm;
    If<need.any() && clamps, Rows<P, Q>> clamped;  ///< q after its clamp
    If<need.any(), Rows<P, dynamic, AccumulateOf<P>>> lse;
    If<need.any(), Pools<P>> pools;
    If<C.relative && need.any(), In<P>> r;
  };

  /// y are rows, or where a branch ends (Onto). `seen` is Pools<P, T>, or a function that makes them when the queries
  /// are there: a cache that holds keys and values in another form than they were projected to moves them first.
  /// Nothing flows back into numbers that are not P's.
  template <Need need, class W, RowsOn<P> X, class Seen, class Y>
  static Saved<need> attend(Context<P>& ctx, const W& w, const X& x, const Positions<P>& positions, const Seen& seen,
                            const Spans<P>& spans, const Y& y) {
    return attend_after<need>(ctx, w, x, positions, seen, spans, y, [&](const auto& query) { linears(ctx, x, query); });
  }
  /// project() and attend() of rows that ask and are asked.
  template <Need need, class W, RowsOn<P> X, class Seen, class Y>
  static Saved<need> attend_self(Context<P>& ctx, const W& w, const X& x, const Positions<P>& positions,
                                 const Rows<P, KV>& k, const Rows<P, KV>& v, const Seen& seen, const Spans<P>& spans,
                                 const Y& y) {
    return attend_after<need>(ctx, w, x, positions, seen, spans, y,
                              [&](const auto& query) { project_with(ctx, w, x, positions, k, v, query); });
  }

  /// Writes dx and the pools' gradients, and adds to g.
  template <Need need, class W, class G_, RowsOn<P> Y, RowsSink<P> DX>
  static void attend_backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Positions<P>& positions,
                              const Spans<P>& spans, const Y& dy, const DX& dx, const PoolGradients<P>& dpools,
                              const G_& g) {
    const auto scope = ctx.scope();
    const auto dattended = scratch<Q>(ctx, dy.rows), dq = scratch<Q>(ctx, dy.rows);
    ops::linear_backward(ctx, s.attended, w.out, dy, dattended, g.out, g.out_bias);
    const auto backward = [&](const In<P>& r, const auto& dposition) {
      ops::attention_backward(ctx, shape(), s.q, s.pools.view(), spans, position(ctx, w, r), s.attended, s.lse,
                              dattended, dq, {dpools.data(), static_cast<std::size_t>(s.pools.count)}, dposition);
    };
    if constexpr (C.relative && wanted<decltype(g.distance)>) {
      const auto dr = scratch<Q>(ctx, s.r.rows);
      ops::clear(ctx, dr);
      if constexpr (wanted<decltype(g.u)>) {
        backward(s.r, RelativeGradient<P>{dr, {g.u.data, {Q}}, {g.v.data, {Q}}});
      } else {  // only the map of distances learns
        const auto du = take_vector<AccumulateOf<P>>(ctx, Q), dv = take_vector<AccumulateOf<P>>(ctx, Q);
        clear_numbers(ctx, du.data, Q);
        clear_numbers(ctx, dv.data, Q);
        backward(s.r, RelativeGradient<P>{dr, du, dv});
      }
      const auto waves = scratch<D>(ctx, dr.rows);
      ops::sinusoid(ctx, 0, waves);
      ops::linear_backward(ctx, waves, w.distance, dr, NoGrad{}, g.distance);
    } else if constexpr (C.relative) {
      backward(s.r, NoGrad{});
    } else {
      backward({}, NoGrad{});
    }
    if constexpr (C.rotary) ops::rotary_backward(ctx, C.rotary_shape(), positions.rows, dq);
    if constexpr (norms) {
      QueryNorm::Layer::backward(ctx, w.query_norm, s.query_norm, QueryNorm::pieces(dq), QueryNorm::pieces(dattended),
                                 g.query_norm);
      ops::copy(ctx, dattended, dq);
    }
    if constexpr (clamps) ops::clamp_backward(ctx, C.clamp, s.clamped, dq);
    ops::linear_backward(ctx, s.x, w.query, dq, dx, g.query, g.query_bias);
    ops::enter<C.split>(ctx, dx);
  }

 private:
  /// project() with more maps of the same rows (MapTo), which are clamped.
  template <class W, RowsOn<P> X, class... More>
  static void project_with(Context<P>& ctx, const W& w, const X& s, const Positions<P>& positions, const Rows<P, KV>& k,
                           const Rows<P, KV>& v, const More&... more) {
    const auto scope = ctx.scope();
    const auto raw = norms ? scratch<KV>(ctx, k.rows) : k;
    linears(ctx, s, map_to(w.key, w.key_bias, raw), map_to(w.value, w.value_bias, v), more...);  // (·, G K)
    if constexpr (norms)
      KeyNorm::Layer::template forward<no_gradients>(ctx, w.key_norm, C.epsilon, KeyNorm::pieces(raw),
                                                     KeyNorm::pieces(k));
    if constexpr (C.rotary) ops::rotary(ctx, C.rotary_shape(), positions.rows, k);
  }
  /// attend() with the queries that ask(MapTo) makes, clamped.
  template <Need need, class W, RowsOn<P> X, class Seen, class Y, class Ask>
  static Saved<need> attend_after(Context<P>& ctx, const W& w, const X& x, const Positions<P>& positions,
                                  const Seen& seen, const Spans<P>& spans, const Y& y, const Ask& ask) {
    const auto scope = ctx.scope();
    Saved<need> saved;
    const auto q = take<need.any(), Q>(ctx, x.rows), attended = take<need.any(), Q>(ctx, x.rows);
    const auto lse = take<need.any(), dynamic, AccumulateOf<P>>(ctx, x.rows, H);
    if constexpr (norms) {
      const auto raw = take<need.any(), Q>(ctx, x.rows);
      ask(map_to(w.query, w.query_bias, raw));
      saved.query_norm = QueryNorm::Layer::template forward<need>(ctx, w.query_norm, C.epsilon, QueryNorm::pieces(raw),
                                                                  QueryNorm::pieces(q));
      saved.clamped = raw;
    } else {
      ask(map_to(w.query, w.query_bias, q));  // (N, H K)
      saved.clamped = q;
    }
    if constexpr (C.rotary) ops::rotary(ctx, C.rotary_shape(), positions.rows, q);
    const In<P> r = distances_of<need>(ctx, w, positions);
    const auto pools = made(seen);
    static_assert(!need.any() || std::is_same_v<decltype(pools), const Pools<P>>,
                  "Attention: gradients need keys and values in P's numbers");
    ops::attention(ctx, shape(), q, pools.view(), spans, position(ctx, w, r), attended, lse);  // (N, H K)
    ops::last_linear<C.split>(ctx, attended, w.out, w.out_bias, y);                            // (N, D)
    saved.x = x;
    saved.q = q;
    saved.attended = attended;
    saved.lse = lse;
    saved.pools = pools;
    saved.r = r;
    return saved;
  }

  template <class Seen>
  static auto made(const Seen& seen) {
    if constexpr (requires { seen(); })
      return seen();
    else
      return seen;
  }
  /// y = x wᵀ + b of each map, clamped where the config says so.
  template <RowsOn<P> X, class... Map>
  static void linears(Context<P>& ctx, const X& x, const Map&... map) {
    ops::linears(ctx, x, map...);
    if constexpr (clamps) (ops::clamp(ctx, C.clamp, map.y), ...);
  }
  /// y = x wᵀ + b, clamped where the config says so.
  template <RowsOn<P> X, class W, class B, RowsOn<P> Y>
  static void linear(Context<P>& ctx, const X& x, const W& w, const B& b, const Y& y) {
    ops::linear(ctx, x, w, b, y);
    if constexpr (clamps) ops::clamp(ctx, C.clamp, y);
  }
  /// r as it was made before, or made here.
  template <Need need, class W>
  static In<P> distances_of(Context<P>& ctx, const W& w, const Positions<P>& positions) {
    if constexpr (C.relative) {
      if (positions.r.data) return positions.r;
      const auto r = take<need.any(), Q>(ctx, positions.distances);
      distances(ctx, w, 0, r);
      return r;
    } else {
      return {};
    }
  }
  template <class W>
  static auto position(Context<P>& ctx, const W& w, const In<P>& r) {
    if constexpr (C.relative) {
      return Relative<P>{r, {w.u.data, {Q}}, {w.v.data, {Q}}};
    } else if constexpr (C.alibi > 0) {
      static_assert(C.split == 1, "AttentionConfig: the slopes of linear biases are those of all heads; split is 1");
      static const std::vector<AccumulateOf<P>> slopes = alibi_slopes<AccumulateOf<P>>(C.heads, C.alibi);
      return Alibi<P>{lasting_table(ctx, slopes)};
    } else {
      return NoPosition{};
    }
  }
};

}  // namespace nn
}  // namespace flamingo
