/// Attention over spans on the CPU: no more than a block of scores is ever in memory.
///
/// A row's bits depend on that row and on the keys it sees alone, not on the other rows nor on how its keys are cut
/// into segments. The keys of a span's segments, one after another, are columns, and columns come in blocks of
/// AttentionTile::block, counted from the first. A score is one chain over features; its position is added. At each
/// block the row's maximum so far is subtracted; the sums of weights, in lanes, and of weighed values, each a chain
/// over the block's columns, are added to what was before, multiplied by e^(old maximum - new maximum). What a row does
/// not see is -∞ and weighs zero, which adds nothing: values must be finite.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <flamingo/kernels/cpu/attention_backward.hpp>
#include <flamingo/kernels/cpu/attention_eigen.hpp>
#include <flamingo/kernels/cpu/attention_forward.hpp>
#include <flamingo/kernels/cpu/attention_tables.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Attention<Cpu<R, Set, Products::own>> {
  using P = Cpu<R, Set, Products::own>;
  using A = AccumulateOf<P>;
  using Statistics = Rows<P, dynamic, A>;

  template <class T, class Position>
  static void forward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P, T>> pools,
                      const Spans<P>& spans, const Position& position, Out<P> y, Statistics lse) {
    check_attention_tables<P>(q, pools, spans, position);
    each_row_of_no_span(spans, y.rows, [&](int n) {
      std::fill_n(y.row(n), int(y.width), R(0));
      std::fill_n(lse.row(n), int(lse.width), -std::numeric_limits<A>::infinity());
    });
    const int group = shape.heads / shape.kv_heads;
    using Forward = AttentionForward<R, Set, Position, T>;
    const typename Forward::Walk walk(spans, std::max(1, queries_together / group), few);
    struct Task {
      const AttentionPiece* piece;
      int g, heads;
    };
    std::vector<Task> tasks;
    for (const AttentionPiece& piece : walk.pieces) {
      const int together =
          piece.rows * group > Forward::Tile::mr
              ? 1
              : std::clamp(shape.kv_heads * static_cast<int>(walk.pieces.size()) / ctx.threads().count(), 1,
                           shape.kv_heads);
      for (int g = 0; g < shape.kv_heads; g += together)
        tasks.push_back({&piece, g, std::min(together, shape.kv_heads - g)});
    }
    ctx.threads().run(static_cast<int>(tasks.size()), [&](int i) {
      const auto [piece, g, heads] = tasks[static_cast<std::size_t>(i)];
      Forward(shape, q, pools, spans, position, y, lse)
          .run(std::span(walk.strips).subspan(piece->first_strip, static_cast<std::size_t>(piece->strips)),
               piece->shared, g, heads);
    });
  }

  template <class Position, class PositionGradient>
  static void backward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                       const Spans<P>& spans, const Position& position, In<P> y, Statistics lse, In<P> dy, Out<P> dq,
                       std::span<const KeyValueGradient<P>> dpools, const PositionGradient& dposition) {
    check_attention_tables<P>(q, pools, spans, position);
    each_row_of_no_span(spans, dq.rows, [&](int n) { std::fill_n(dq.row(n), int(dq.width), R(0)); });
    for (const KeyValueGradient<P>& pool : dpools) {
      if (pool.dk.data) std::fill_n(pool.dk.data, pool.dk.size(), R(0));
      if (pool.dv.data) std::fill_n(pool.dv.data, pool.dv.size(), R(0));
    }
    const int group = shape.heads / shape.kv_heads;
    using Backward = AttentionBackward<R, Set, Position, PositionGradient>;
    const typename Backward::Walk walk(spans, std::max(1, Backward::Tile::block / 2 / group), 0);
    // A task is a head of keys with all its queries: nobody else writes its columns, so nothing is atomic and the order
    // of additions is fixed.
    ctx.threads().run(shape.kv_heads, [&](int g) {
      Backward pass(shape, q, pools, spans, position, y, lse, dy, dq, dpools, dposition);
      for (const AttentionStrip& strip : walk.strips) pass.run(strip, g);
    });
  }

 private:
  static constexpr int queries_together = 264;  // a picture of 16 x 16 and a class token: keys are packed once
  static constexpr int few = 24;

  template <class F>
  static void each_row_of_no_span(const Spans<P>& spans, int rows, const F& f) {
    std::vector<char> covered(static_cast<std::size_t>(rows), 0);
    for (int s = 0; s < spans.spans.shape[0]; ++s)
      std::fill_n(covered.begin() + spans.spans.data[s].first_row, spans.spans.data[s].rows, 1);
    for (int n = 0; n < rows; ++n)
      if (!covered[static_cast<std::size_t>(n)]) f(n);
  }
};

}  // namespace flamingo::kernels
