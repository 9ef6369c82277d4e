/// attention: y = softmax(q kᵀ scale + position) v over the keys that each query's span names
///
/// q, y (N, H K)   pools of k, v (·, G K) with H a multiple of G (grouped queries)   lse (N, H).
/// A row that no span covers, or whose span has no visible key, gives exactly zero and no gradient: the softmax
/// subtracts a maximum of visible keys, nothing is masked with large numbers. No score matrix is stored.
#pragma once
#include <array>
#include <iterator>
#include <span>
#include <type_traits>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/core/spans.hpp>

namespace flamingo {

/// A pool of keys and values (rows, G K), in numbers of type T.
template <Platform P, class T = typename P::Real>
struct KeyValue {
  using Number = T;
  In<P, T> k, v;
};
/// Whether P reads pools of T: of its own numbers, and on the CPU of bfloat16, which it widens as it reads (forward
/// alone).
template <Platform P, class T>
inline constexpr bool reads_keys_in = std::is_same_v<T, typename P::Real>;
template <Real R, Isa Set, Products By>
inline constexpr bool reads_keys_in<Cpu<R, Set, By>, bfloat16> = true;
template <Platform P, class T>
inline constexpr bool reads_keys_in<Dry<P>, T> = reads_keys_in<P, T>;
/// Where their gradients are written; empty rows where none are wanted (a cached prefix).
template <Platform P>
struct KeyValueGradient {
  Out<P> dk, dv;
};

/// No positions in the scores: cross-attention, rotary, learned positions.
struct NoPosition {};
/// Scores lose slope_h * (query position - key position) (Press et al. 2022).
template <Platform P>
struct Alibi {
  View<P, 1, const AccumulateOf<P>> slopes;  ///< (H)
};
/// Transformer-XL: score = ((q + u) k + (q + v) r[distance]) scale (Dai et al. 2019).
template <Platform P>
struct Relative {
  In<P> r;                                 ///< (distances, H K): projected sinusoids of distance 0, 1, ...
  View<P, 1, const AccumulateOf<P>> u, v;  ///< (H K)
};
/// Its gradients are added here; where they are not wanted, NoGrad stands in their place.
template <Platform P>
struct RelativeGradient {
  Out<P> dr;
  View<P, 1, AccumulateOf<P>> du, dv;
};

struct AttentionShape {
  int heads = 1;      ///< H
  int kv_heads = 1;   ///< G
  int head_dim = 64;  ///< K
  float scale = 1;    ///< usually 1 / √K
};

namespace kernels {
/// Attention over spans; defined once per platform.
template <Platform P>
struct Attention;
}  // namespace kernels

namespace ops {

template <Platform P, class T>
void check_attention(const AttentionShape& a, const In<P>& q, std::span<const KeyValue<P, T>> pools) {
  check(a.heads > 0 && a.kv_heads > 0 && a.heads % a.kv_heads == 0, "attention", a.heads, " heads over ", a.kv_heads,
        " key heads: the first must be a multiple of the second");
  check(int(q.width) == a.heads * a.head_dim, "attention", "q is ", q.shape(), ", expected width ",
        a.heads * a.head_dim);
  check(pools.size() <= max_pools, "attention", pools.size(), " pools, at most ", max_pools);
  for (const KeyValue<P, T>& pool : pools)
    check(int(pool.k.width) == a.kv_heads * a.head_dim && pool.k.shape() == pool.v.shape(), "attention", "keys are ",
          pool.k.shape(), " and values ", pool.v.shape(), ", expected width ", a.kv_heads * a.head_dim, " of both");
}

/// Position is NoPosition, Alibi<P> or Relative<P>. `pools` is a span or an array of KeyValue<P, T>, for a T of which
/// reads_keys_in<P, T> is true.
template <Platform P, class List, class Position>
void attention(Context<P>& ctx, const AttentionShape& shape, std::type_identity_t<In<P>> q, const List& pools,
               const Spans<P>& spans, const Position& position, std::type_identity_t<Out<P>> y,
               const Rows<P, dynamic, AccumulateOf<P>>& lse) {
  using Pool = std::remove_cvref_t<decltype(*std::data(pools))>;
  using T = typename Pool::Number;
  static_assert(std::is_same_v<Pool, KeyValue<P, T>>, "attention: pools are of another platform");
  static_assert(reads_keys_in<P, T>, "attention: this platform does not read keys and values of this type");
  const std::span<const KeyValue<P, T>> all(pools);
  check_attention<P>(shape, q, all);
  check(q.shape() == y.shape() && lse.rows == q.rows && int(lse.width) == shape.heads, "attention", "q is ", q.shape(),
        ", y is ", y.shape(), " and lse is ", lse.shape(), ", expected (", q.rows, ", ", shape.heads, ')');
  kernels::Attention<P>::forward(ctx, shape, q, all, spans, position, y, lse);
}

/// Writes dq (zero for rows without a key) and, for each pool whose gradient is not empty, dk and dv (zero for keys
/// that nobody saw). Adds to the gradients of Relative.
template <Platform P, class Position, class PositionGradient>
void attention_backward(Context<P>& ctx, const AttentionShape& shape, std::type_identity_t<In<P>> q,
                        std::type_identity_t<std::span<const KeyValue<P>>> pools, const Spans<P>& spans,
                        const Position& position, std::type_identity_t<In<P>> y,
                        const Rows<P, dynamic, AccumulateOf<P>>& lse, std::type_identity_t<In<P>> dy,
                        std::type_identity_t<Out<P>> dq,
                        std::type_identity_t<std::span<const KeyValueGradient<P>>> dpools,
                        const PositionGradient& dposition) {
  check_attention<P, typename P::Real>(shape, q, pools);
  check(dpools.size() == pools.size(), "attention_backward", dpools.size(), " gradients for ", pools.size(), " pools");
  check(dy.shape() == q.shape() && dq.shape() == q.shape(), "attention_backward", "q is ", q.shape(), ", dy is ",
        dy.shape(), " and dq is ", dq.shape(), ": their shapes differ");
  kernels::Attention<P>::backward(ctx, shape, q, pools, spans, position, y, lse, dy, dq, dpools, dposition);
}

}  // namespace ops
}  // namespace flamingo
