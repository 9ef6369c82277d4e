/// Attention over spans on CUDA. The tables' lists come with them (table(), kernels/cuda/context.cuh).
#pragma once
#include <cstddef>
#include <limits>
#include <span>

#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/attention.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

template <Real R>
struct Attention<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;
  using Statistics = Rows<P, dynamic, A>;
  using Number = typename flamingo::detail::Bare<R>::Type;

  /// Largest head size; smaller ones share kernels (see with_tile).
  static constexpr int most_head_dim = 128;

  template <class Position>
  static void forward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                      const Spans<P>& spans, const Position& position, Out<P> y, Statistics lse) {
    check_tables(shape, q, pools, spans);
    const int reached = spans.lists.rows;
    clear_from(ctx, y, reached, "attention");
    check_cuda(raw::fill(lse.data + rows_size(lse, reached), -std::numeric_limits<A>::infinity(),
                         lse.size() - rows_size(lse, reached), ctx.stream()),
               "attention");
    with_tile(shape.head_dim, [&](auto tile) {
      check_cuda(raw::attention_forward<decltype(tile)::value, Number>(raw_of(shape, q), spans.lists.tables, strided(q),
                                                                       raw_of(pools), A(shape.scale), raw_of(position),
                                                                       strided(y), lse.data, ctx.stream()),
                 "attention");
    });
  }

  template <class Position, class PositionGradient>
  static void backward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                       const Spans<P>& spans, const Position& position, In<P> y, Statistics lse, In<P> dy, Out<P> dq,
                       std::span<const KeyValueGradient<P>> dpools, const PositionGradient&) {
    constexpr const char* op = "attention_backward";
    check_tables(shape, q, pools, spans);
    const auto scope = ctx.scope();
    const auto delta = scratch<dynamic, A>(ctx, q.rows, shape.heads);
    raw::Pools<Number> gradients;
    clear_from(ctx, dq, spans.lists.rows, op);
    for (std::size_t i = 0; i < dpools.size(); ++i) {
      const KeyValueGradient<P>& d = dpools[i];
      gradients.k[i] = strided(d.dk);
      gradients.v[i] = strided(d.dv);
      if (d.dk.data) clear_from(ctx, d.dk, spans.lists.pool_rows[i], op);
      if (d.dv.data) clear_from(ctx, d.dv, spans.lists.pool_rows[i], op);
    }
    with_tile(shape.head_dim, [&](auto tile) {
      check_cuda(raw::attention_backward<decltype(tile)::value, Number>(
                     raw_of(shape, q), spans.lists.tables, strided(q), raw_of(pools), A(shape.scale), raw_of(position),
                     strided(y), lse.data, strided(dy), strided(dq), gradients, delta.data, ctx.stream()),
                 op);
    });
  }

 private:
  /// Calls f with the narrowest tile that holds a head. Few tiles: each is a set of kernels to compile.
  template <class F>
  static void with_tile(int head_dim, const F& f) {
    if (head_dim <= 32)
      f(std::integral_constant<int, 32>{});
    else if (head_dim <= 64)
      f(std::integral_constant<int, 64>{});
    else
      f(std::integral_constant<int, most_head_dim>{});
  }

  /// Throws unless the tables stay within the tensors. Their lists are known on the host, so nothing is waited for.
  static void check_tables(const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                           const Spans<P>& spans) {
    check(shape.head_dim > 0 && shape.head_dim <= most_head_dim, "attention", "head_dim is ", shape.head_dim,
          ", expected at most ", most_head_dim, " on CUDA");
    check(spans.lists.rows <= q.rows, "attention", "the spans cover rows up to ", spans.lists.rows, " of ", q.rows);
    for (std::size_t i = 0; i < spans.lists.pool_rows.size(); ++i) {
      const int held = i < pools.size() ? pools[i].k.rows : 0;
      check(spans.lists.pool_rows[i] <= held, "attention", "the segments cover keys up to ", spans.lists.pool_rows[i],
            " of pool ", i, ", which has ", held);
    }
  }

  static std::size_t rows_size(const auto& x, int rows) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(int(x.width));
  }
  /// Zeros from row `first` on: the kernels write all rows before it.
  static void clear_from(Context<P>& ctx, Out<P> x, int first, const char* op) {
    clear_numbers(ctx, x.data + rows_size(x, first), x.size() - rows_size(x, first), op);
  }

  static raw::AttentionShape raw_of(const AttentionShape& shape, In<P> q) {
    return {q.rows, shape.heads, shape.kv_heads, shape.head_dim};
  }
  static raw::Strided<const Number> strided(In<P> x) { return {bare(x.data), int(x.width)}; }
  static raw::Strided<Number> strided(Out<P> x) { return {bare(x.data), int(x.width)}; }
  static raw::Pools<const Number> raw_of(std::span<const KeyValue<P>> pools) {
    raw::Pools<const Number> all;
    for (std::size_t i = 0; i < pools.size(); ++i) {
      all.k[i] = strided(pools[i].k);
      all.v[i] = strided(pools[i].v);
    }
    return all;
  }
  static raw::None raw_of(const NoPosition&) { return {}; }
  static raw::Alibi<A> raw_of(const Alibi<P>& alibi) { return {alibi.slopes.data}; }
  template <class Other>
  static raw::None raw_of(const Relative<Other>&) {
    static_assert(!std::same_as<Other, P>, "attention: Cuda has no kernel for Relative positions");
    return {};
  }
};

}  // namespace flamingo::kernels
