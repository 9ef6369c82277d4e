/// What attention takes: its products for each pair of a query and a key that it sees, per head, and scratch. The
/// tables are read.
#pragma once
#include <algorithm>

#include <flamingo/kernels/dry/attention_scratch.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Attention<Dry<Q>> {
  using P = Dry<Q>;
  using Statistics = Rows<P, dynamic, AccumulateOf<P>>;

  /// A score and a weighted value are a product of K terms each; Relative adds a second score.
  template <class T, class Position>
  static void forward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P, T>>,
                      const Spans<P>& spans, const Position& position, Out<P>, Statistics) {
    AttentionScratch<Q>::forward(ctx, shape, q, spans, position);
    each_segment(spans, [&](const Span& span, const Segment&, double pairs) {
      ctx.count(2.0 * shape.heads * shape.head_dim * pairs * (span.uniform ? 1 : scores<Position> + 1));
    });
  }
  /// The scores again, <dy, v>, and the gradients of q, of k and v where they are wanted, and of Relative's r.
  template <class Position, class PositionGradient>
  static void backward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>>,
                       const Spans<P>& spans, const Position& position, In<P>, Statistics, In<P>, Out<P>,
                       std::span<const KeyValueGradient<P>> dpools, const PositionGradient&) {
    AttentionScratch<Q>::backward(ctx, shape, q, spans, position, wanted<PositionGradient>);
    each_segment(spans, [&](const Span& span, const Segment& segment, double pairs) {
      const KeyValueGradient<P>& d = dpools[static_cast<std::size_t>(segment.pool)];
      const int products =
          (d.dv.rows > 0) + (span.uniform ? 0 : scores<Position> + 2 + (d.dk.rows > 0) + 2 * (scores<Position> - 1));
      ctx.count(2.0 * shape.heads * shape.head_dim * pairs * products);
    });
  }

 private:
  template <class Position>
  static constexpr int scores = std::is_same_v<Position, Relative<P>> ? 2 : 1;

  /// Calls f(span, segment, how many pairs of a query and a key it can see).
  template <class F>
  static void each_segment(const Spans<P>& spans, const F& f) {
    for (int s = 0; s < spans.spans.shape[0]; ++s) {
      const Span& span = spans.spans.data[s];
      for (int i = 0; i < span.segments; ++i) {
        const Segment& segment = spans.segments.data[span.first_segment + i];
        double pairs = 0;
        for (int row = 0; row < span.rows; ++row)
          pairs +=
              segment.causal ? std::clamp(span.position + row - segment.position + 1, 0, segment.count) : segment.count;
        f(span, segment, pairs);
      }
    }
  }
};

}  // namespace flamingo::kernels
