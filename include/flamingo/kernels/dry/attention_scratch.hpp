/// What attention takes of the arena beside its operands: nothing on the CPU; on Cuda what kernels/cuda/attention.cuh
/// takes, in its order.
#pragma once
#include <type_traits>

#include <flamingo/kernels/cuda/attention_sizes.hpp>
#include <flamingo/kernels/dry/context.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct AttentionScratch {
  static void forward(const auto&...) {}
  static void backward(const auto&...) {}
};

template <Real R>
struct AttentionScratch<Cuda<R>> {
  using P = Dry<Cuda<R>>;
  using A = AccumulateOf<P>;

  template <class Position>
  static void forward(Context<P>& ctx, const AttentionShape& shape, In<P> q, const Spans<P>& spans,
                      const Position& position) {
    const auto scope = ctx.scope();
    const auto& lists = spans.lists;
    if constexpr (is_relative<Position>) {
      scratch(ctx, lists.rows, int(q.width));  // q + u
      first_part(ctx, shape, {shape, lists.rows, position.r.rows},
                 [&](const RelativeTable& t) { scratch<dynamic, A>(ctx, t.heads * t.rows, t.columns); });
    } else if (lists.single && lists.rows <= most_single_rows) {
      ctx.arena().scratch(decode_numbers<R>(shape, lists.query_tiles, lists.most_keys) * sizeof(A));
    }
  }
  /// `learns`: whether r's gradient is wanted.
  template <class Position>
  static void backward(Context<P>& ctx, const AttentionShape& shape, In<P> q, const Spans<P>& spans,
                       const Position& position, bool learns) {
    const auto scope = ctx.scope();
    scratch<dynamic, A>(ctx, q.rows, shape.heads);  // <dy, y>
    if constexpr (is_relative<Position>) {
      scratch(ctx, spans.lists.rows, int(q.width));  // q + u
      scratch(ctx, spans.lists.rows, int(q.width));  // dq through r
      first_part(ctx, shape, {shape, spans.lists.rows, position.r.rows}, [&](const RelativeTable& t) {
        scratch(ctx, t.heads * t.rows, t.columns);       // gradients of scores
        scratch(ctx, t.heads * t.rows, shape.head_dim);  // dq through r, head after head
        scratch<dynamic, A>(ctx, t.heads * t.rows, t.columns);
        if (learns) scratch<dynamic, A>(ctx, t.heads * t.columns, shape.head_dim);
      });
    }
  }

 private:
  template <class Position>
  static constexpr bool is_relative = std::is_same_v<Position, Relative<P>>;

  /// The first part, which has the most heads: its operands, and what it takes.
  template <class F>
  static void first_part(Context<P>& ctx, const AttentionShape& shape, const RelativeTable& t, const F& take) {
    scratch(ctx, t.heads * t.rows, shape.head_dim);
    scratch(ctx, t.heads * t.columns, shape.head_dim);
    take(t);
  }
};

}  // namespace flamingo::kernels
