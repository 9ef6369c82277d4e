/// What the CPU's attention asks of its tables, whoever multiplies.
#pragma once
#include <cstddef>
#include <span>
#include <type_traits>

#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

/// Throws unless the tables stay within the tensors.
template <Platform P, class T, class Position>
void check_attention_tables(In<P> q, std::span<const KeyValue<P, T>> pools, const Spans<P>& spans,
                            const Position& position) {
  for (int s = 0; s < spans.spans.shape[0]; ++s) {
    const Span& span = spans.spans.data[s];
    check(span.first_row >= 0 && span.rows >= 0 && span.first_row + span.rows <= q.rows, "attention", "span ", s,
          " covers rows ", span.first_row, " to ", span.first_row + span.rows, " of ", q.rows);
    check(
        span.first_segment >= 0 && span.segments >= 0 && span.first_segment + span.segments <= spans.segments.shape[0],
        "attention", "span ", s, " names segments ", span.first_segment, " to ", span.first_segment + span.segments,
        " of ", spans.segments.shape[0]);
    for (int i = span.first_segment; i < span.first_segment + span.segments; ++i) {
      const Segment& segment = spans.segments.data[i];
      check(segment.pool >= 0 && segment.pool < static_cast<int>(pools.size()), "attention", "segment ", i,
            " lies in pool ", segment.pool, " of ", pools.size());
      const int rows = pools[static_cast<std::size_t>(segment.pool)].k.rows;
      check(segment.first >= 0 && segment.count >= 0 && segment.first + segment.count <= rows, "attention", "segment ",
            i, " covers keys ", segment.first, " to ", segment.first + segment.count, " of ", rows);
      if constexpr (std::is_same_v<Position, Relative<P>>) {
        const int nearest = segment.causal ? 0 : span.position - (segment.position + segment.count - 1),
                  farthest = span.position + span.rows - 1 - segment.position;
        check(span.uniform || segment.count == 0 || (nearest >= 0 && farthest < position.r.rows), "attention", "span ",
              s, " has keys at distances ", nearest, " to ", farthest, ", expected 0 to ", position.r.rows - 1,
              ": r has a row for each distance");
      }
    }
  }
}

}  // namespace flamingo::kernels
