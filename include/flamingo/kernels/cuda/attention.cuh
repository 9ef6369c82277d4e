/// Attention over spans on CUDA. The tables' lists come with them (table(), kernels/cuda/context.cuh).
#pragma once
#include <cstddef>
#include <limits>
#include <span>

#include <flamingo/kernels/cuda/attention_sizes.hpp>
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/attention.cuh>
#include <flamingo/kernels/cuda/raw/attention_decode.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>
#include <flamingo/kernels/cuda/relative_scores.cuh>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

template <Real R>
struct Attention<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;
  using Statistics = Rows<P, dynamic, A>;
  using Number = typename flamingo::detail::Bare<R>::Type;

  /// Largest head size; smaller ones share kernels (attention_tile).
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
    const auto attend = [&](In<P> asked, const Heads& some, auto term) {
      with_tile(shape.head_dim, [&](auto tile) {
        check_cuda(raw::attention_forward<decltype(tile)::value, Number>(
                       some.shape(shape, q), spans.lists.tables, some.queries(shape, asked), some.keys(shape, pools),
                       A(shape.scale), term, some.queries(shape, y), lse.data + some.first, ctx.stream()),
                   "attention");
      });
    };
    if constexpr (is_relative<Position>) {
      const auto scope = ctx.scope();
      const In<P> content = content_of(ctx, position, q, spans);
      relative(ctx, shape, q, position, reached).forward([&](int first, int heads, const auto& term) {
        attend(content, {first, heads}, term);
      });
    } else if (spans.lists.single && reached <= most_single_rows) {
      decode(ctx, shape, q, pools, spans.lists, raw_of(position), y, lse);
    } else {
      attend(q, {0, shape.heads}, raw_of(position));
    }
  }

  template <class Position, class PositionGradient>
  static void backward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                       const Spans<P>& spans, const Position& position, In<P> y, Statistics lse, In<P> dy, Out<P> dq,
                       std::span<const KeyValueGradient<P>> dpools, const PositionGradient& dposition) {
    constexpr const char* op = "attention_backward";
    check_tables(shape, q, pools, spans);
    check(spans.lists.backward, op, "the tables were made for forward alone (forward_table)");
    const auto scope = ctx.scope();
    const auto delta = scratch<dynamic, A>(ctx, q.rows, shape.heads);
    clear_from(ctx, dq, spans.lists.rows, op);
    for (std::size_t i = 0; i < dpools.size(); ++i) {
      if (dpools[i].dk.data) clear_from(ctx, dpools[i].dk, spans.lists.pool_rows[i], op);
      if (dpools[i].dv.data) clear_from(ctx, dpools[i].dv, spans.lists.pool_rows[i], op);
    }
    const auto attend = [&](In<P> asked, const Heads& some, auto term) {
      with_tile(shape.head_dim, [&](auto tile) {
        check_cuda(raw::attention_backward<decltype(tile)::value, Number>(
                       some.shape(shape, q), spans.lists.tables, some.queries(shape, asked), some.keys(shape, pools),
                       A(shape.scale), term, some.queries(shape, y), lse.data + some.first, some.queries(shape, dy),
                       some.queries(shape, dq), some.keys(shape, dpools), delta.data + some.first, ctx.stream()),
                   op);
      });
    };
    if constexpr (is_relative<Position>) {
      const In<P> content = content_of(ctx, position, q, spans);
      relative(ctx, shape, q, position, spans.lists.rows)
          .backward(
              [&](int first, int heads, const auto& term) {
                attend(content, {first, heads}, term);
              },
              dq, dposition);
    } else {
      attend(q, {0, shape.heads}, raw_of(position));
    }
  }

 private:
  /// What single rows attend to. How many blocks there are follows from sizes that stay for many tokens.
  static void decode(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                     const SpanLists<P>& lists, auto term, Out<P> y, Statistics lse) {
    const Heads all{0, shape.heads};
    const raw::AttentionShape sizes = all.shape(shape, q);
    const raw::AttentionTables& tables = lists.tables;
    const auto scope = ctx.scope();
    with_tile(shape.head_dim, [&](auto tile) {
      constexpr int K = decltype(tile)::value;
      const int parts = raw::attention_decode_parts<K, Number>(sizes, tables.query_tile_count, lists.most_keys);
      A* const workspace = reinterpret_cast<A*>(
          ctx.arena().scratch(raw::attention_decode_size(sizes, tables.query_tile_count, parts) * sizeof(A)));
      check_cuda(
          raw::attention_decode<K, Number>(sizes, tables, all.queries(shape, q), all.keys(shape, pools), A(shape.scale),
                                           term, parts, workspace, all.queries(shape, y), lse.data, ctx.stream()),
          "attention");
    });
  }

  /// Calls f with the tile of a head.
  template <class F>
  static void with_tile(int head_dim, const F& f) {
    const int tile = attention_tile(head_dim);
    if (tile == 32)
      f(std::integral_constant<int, 32>{});
    else if (tile == 64)
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

  /// Some of the heads, side by side: whole groups that share keys.
  struct Heads {
    int first, count;

    raw::AttentionShape shape(const AttentionShape& all, In<P> q) const {
      return {q.rows, count, count / (all.heads / all.kv_heads), all.head_dim, all.heads};
    }
    template <class X>
    auto queries(const AttentionShape& all, const X& x) const {
      return strided(x, first * all.head_dim);
    }
    raw::Pools<const Number> keys(const AttentionShape& all, std::span<const KeyValue<P>> pools) const {
      raw::Pools<const Number> part;
      for (std::size_t i = 0; i < pools.size(); ++i) {
        part.k[i] = strided(pools[i].k, key_column(all));
        part.v[i] = strided(pools[i].v, key_column(all));
      }
      return part;
    }
    raw::Pools<Number> keys(const AttentionShape& all, std::span<const KeyValueGradient<P>> pools) const {
      raw::Pools<Number> part;
      for (std::size_t i = 0; i < pools.size(); ++i) {
        part.k[i] = strided(pools[i].dk, key_column(all));
        part.v[i] = strided(pools[i].dv, key_column(all));
      }
      return part;
    }

   private:
    int key_column(const AttentionShape& all) const { return first / (all.heads / all.kv_heads) * all.head_dim; }
  };
  template <class X>
  static auto strided(const X& x, int column) {
    return raw::Strided{x.data ? bare(x.data) + column : nullptr, static_cast<long long>(int(x.width))};
  }

  static raw::None raw_of(const NoPosition&) { return {}; }
  static raw::Alibi<A> raw_of(const Alibi<P>& alibi) { return {alibi.slopes.data}; }

  template <class Position>
  static constexpr bool is_relative = std::same_as<Position, Relative<P>>;

  static RelativeScores<R> relative(Context<P>& ctx, const AttentionShape& shape, In<P> q, const Relative<P>& position,
                                    int rows) {
    return {ctx, {rows, shape.heads, shape.kv_heads, shape.head_dim}, A(shape.scale), q, position.r, position.v.data};
  }
  /// q + u, of the rows that the spans cover, after a check of their distances.
  static Out<P> content_of(Context<P>& ctx, const Relative<P>& position, In<P> q, const Spans<P>& spans) {
    const auto& lists = spans.lists;
    check(lists.nearest >= 0 && lists.farthest < position.r.rows, "attention", "the spans have keys at distances ",
          lists.nearest, " to ", lists.farthest, ", expected 0 to ", position.r.rows - 1,
          ": r has a row for each distance");
    const Out<P> content = scratch(ctx, lists.rows, int(q.width));
    check_cuda(raw::split_heads<Number>(strided(q, 0), position.u.data, A(1), lists.rows, 1, lists.rows, int(q.width),
                                        bare(content.data), ctx.stream()),
               "attention");
    return content;
  }
};

}  // namespace flamingo::kernels
