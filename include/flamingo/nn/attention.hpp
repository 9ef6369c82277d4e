/// Attention with its projections: y = out attend(query x, key s, value s), for self- and cross-attention alike.
///
/// In two halves, because keys and values live on their own: `project` makes them (into a run's memory or a cache),
/// `attend` reads whatever pools hold them.
#pragma once
#include <array>
#include <cmath>

#include <flamingo/core/context.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/ops/attention.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/residual.hpp>
#include <flamingo/ops/rotary.hpp>
#include <flamingo/ops/split.hpp>

namespace flamingo {

struct AttentionConfig {
  int dim = 512;         ///< D, width of the rows that ask
  int source_dim = 512;  ///< E, width of the rows that are asked
  int heads = 8;         ///< H
  int kv_heads = 8;      ///< G
  int head_dim = 64;     ///< K
  bool bias = false;
  bool rotary = false;
  double rotary_base = 10000;
  RotaryPairs rotary_pairs = RotaryPairs::halves;
  float deviation = 0.02f;  ///< of new weights
  int split = 1;            ///< processes that divide the heads between them
};

/// The pools that one attention reads.
template <Platform P>
struct Pools {
  std::array<KeyValue<P>, max_pools> list{};
  int count = 0;

  void add(const KeyValue<P>& pool) { list[static_cast<std::size_t>(count++)] = pool; }
  std::span<const KeyValue<P>> view() const { return {list.data(), static_cast<std::size_t>(count)}; }
};
/// Their gradients; a pool that is not listed, or empty, gets none.
template <Platform P>
using PoolGradients = std::array<KeyValueGradient<P>, max_pools>;

namespace nn {

/// x, y (N, D)   s (·, E)   q (N, H K)   k, v (·, G K)
template <AttentionConfig C, Platform P>
struct Attention {
  static_assert(C.heads > 0 && C.kv_heads > 0 && C.heads % C.kv_heads == 0,
                "AttentionConfig: heads must be a multiple of kv_heads");
  static_assert(C.heads % C.split == 0 && C.kv_heads % C.split == 0,
                "AttentionConfig: split must divide heads and kv_heads");
  static_assert(!C.rotary || C.head_dim % 2 == 0,
                "AttentionConfig: rotary positions turn pairs, head_dim must be even");

  static constexpr int D = C.dim, E = C.source_dim, Q = C.heads / C.split * C.head_dim,
                       KV = C.kv_heads / C.split * C.head_dim;
  using Real = typename P::Real;

  template <class S>
  struct Parameters {
    Matrix<S, Q, D> query;
    Matrix<S, KV, E> key, value;
    Matrix<S, D, Q> out;
    If<C.bias, Vector<S, Q>> query_bias;
    If<C.bias, Vector<S, KV>> key_bias, value_bias;
    If<C.bias, Vector<S, D>> out_bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("query", Q, D, Init::normal(C.deviation), Split::rows), p.query...);
    visit(matrix_spec("key", KV, E, Init::normal(C.deviation), Split::rows), p.key...);
    visit(matrix_spec("value", KV, E, Init::normal(C.deviation), Split::rows), p.value...);
    visit(matrix_spec("out", D, Q, Init::normal(C.deviation), Split::columns), p.out...);
    if constexpr (C.bias) {
      visit(vector_spec("query_bias", Q, Init::zero(), Split::rows), p.query_bias...);
      visit(vector_spec("key_bias", KV, Init::zero(), Split::rows), p.key_bias...);
      visit(vector_spec("value_bias", KV, Init::zero(), Split::rows), p.value_bias...);
      visit(vector_spec("out_bias", D, Init::zero()), p.out_bias...);
    }
  }

  static constexpr RotaryShape turns{C.head_dim, C.head_dim, C.rotary_base, C.rotary_pairs};
  static AttentionShape shape() {
    return {C.heads / C.split, C.kv_heads / C.split, C.head_dim, 1 / std::sqrt(static_cast<float>(C.head_dim))};
  }

  /// k = key s, turned to its positions; v = value s. Positions are read for rotary alone.
  template <class W, RowsOn<P> X>
  static void project(Context<P>& ctx, const W& w, const X& s, View<P, 1, const int> positions, const Rows<P, KV>& k,
                      const Rows<P, KV>& v) {
    ops::linear(ctx, s, w.key, w.key_bias, k);      // (·, G K)
    ops::linear(ctx, s, w.value, w.value_bias, v);  // (·, G K)
    if constexpr (C.rotary) ops::rotary(ctx, turns, positions, k);
  }
  /// Writes ds and adds to g. Turns dk back in place.
  template <class W, class G, class X, RowsSink<P> DS>
  static void project_backward(Context<P>& ctx, const W& w, const X& s, View<P, 1, const int> positions,
                               const Rows<P, KV>& dk, const Rows<P, KV>& dv, const DS& ds, const G& g) {
    const auto scope = ctx.scope();
    if constexpr (C.rotary) ops::rotary_backward(ctx, turns, positions, dk);
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

  template <Need need>
  struct Saved {
    If<need.weights, Rows<P, D, const Real>> x;
    If<need.any(), Rows<P, Q>> q, attended;
    If<need.any(), Rows<P, dynamic, AccumulateOf<P>>> lse;
    If<need.any(), Pools<P>> pools;
  };

  template <Need need, class W, RowsOn<P> X, RowsOn<P> Y>
  static Saved<need> attend(Context<P>& ctx, const W& w, const X& x, View<P, 1, const int> positions,
                            const Pools<P>& pools, const Spans<P>& spans, const Y& y) {
    const auto scope = ctx.scope();
    const auto q = take<need.any(), Q>(ctx, x.rows), attended = take<need.any(), Q>(ctx, x.rows);
    const auto lse = take<need.any(), dynamic, AccumulateOf<P>>(ctx, x.rows, C.heads / C.split);
    ops::linear(ctx, x, w.query, w.query_bias, q);  // (N, H K)
    if constexpr (C.rotary) ops::rotary(ctx, turns, positions, q);
    ops::attention(ctx, shape(), q, pools.view(), spans, NoPosition{}, attended, lse);  // (N, H K)
    ops::linear(ctx, attended, w.out, y);                                               // (N, D)
    ops::leave<C.split>(ctx, y);
    if constexpr (C.bias) ops::add_bias(ctx, w.out_bias, y);
    return {x, q, attended, lse, pools};
  }

  /// Writes dx and the pools' gradients, and adds to g.
  template <Need need, class W, class G, RowsOn<P> Y, RowsSink<P> DX>
  static void attend_backward(Context<P>& ctx, const W& w, const Saved<need>& s, View<P, 1, const int> positions,
                              const Spans<P>& spans, const Y& dy, const DX& dx, const PoolGradients<P>& dpools,
                              const G& g) {
    const auto scope = ctx.scope();
    const auto dattended = scratch<Q>(ctx, dy.rows), dq = scratch<Q>(ctx, dy.rows);
    ops::linear_backward(ctx, s.attended, w.out, dy, dattended, g.out, g.out_bias);
    ops::attention_backward(ctx, shape(), s.q, s.pools.view(), spans, NoPosition{}, s.attended, s.lse, dattended, dq,
                            {dpools.data(), static_cast<std::size_t>(s.pools.count)}, NoGrad{});
    if constexpr (C.rotary) ops::rotary_backward(ctx, turns, positions, dq);
    ops::linear_backward(ctx, s.x, w.query, dq, dx, g.query, g.query_bias);
    ops::enter<C.split>(ctx, dx);
  }
};

}  // namespace nn
}  // namespace flamingo
