/// Attention over spans on the CPU: one row and head at a time, two passes over its keys, in the order of its segments.
///
/// A row's bits depend on that row and on the keys it sees alone.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Attention<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using A = AccumulateOf<P>;
  using Statistics = Rows<P, dynamic, A>;

  template <class Position>
  static void forward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                      const Spans<P>& spans, const Position& position, Out<P> y, Statistics lse) {
    check_tables(q, pools, spans, position);
    line(y).setZero();
    line(lse).setConstant(-std::numeric_limits<A>::infinity());
    const int K = shape.head_dim, group = shape.heads / shape.kv_heads;
    // A task is a piece of one span's rows, all heads: enough tasks for the threads, each with its own score buffer.
    const std::vector<Piece> pieces = pieces_of(spans);
    ctx.threads().run(static_cast<int>(pieces.size()), [&](int task) {
      const Piece& piece = pieces[static_cast<std::size_t>(task)];
      const Span& span = spans.spans.data[piece.span];
      // Eigen's own memory is aligned: on any other the bits of a sum would depend on its address.
      Line<R> scores(keys_of(span, spans)), shifted(2 * K);
      for (int row = piece.first; row < piece.first + piece.rows; ++row)
        for (int h = 0; h < shape.heads; ++h) {
          const int at = span.position + row - span.first_row, column = h / group * K;
          const Query query{q.row(row) + h * K, h, at, K};
          const auto bound = bind(position, query, shape, shifted.data());
          R* score = scores.data();
          R maximum = -std::numeric_limits<R>::infinity();
          each_segment(span, spans, at, [&](const Segment& segment, int visible) {
            const KeyValue<P>& pool = pools[static_cast<std::size_t>(segment.pool)];
            for (int j = 0; j < visible; ++j, ++score) {
              *score =
                  span.uniform ? R(0) : bound.score(pool.k.row(segment.first + j) + column, at - segment.position - j);
              maximum = std::max(maximum, *score);
            }
          });
          auto all = line(scores.data(), static_cast<std::size_t>(score - scores.data()));
          if (all.size() == 0) continue;
          all = (all - maximum).exp();
          const R sum = all.sum();
          all *= R(1) / sum;
          lse.row(row)[h] = static_cast<A>(maximum + std::log(sum));
          auto out = line(y.row(row) + h * K, static_cast<std::size_t>(K));
          score = scores.data();
          each_segment(span, spans, at, [&](const Segment& segment, int visible) {
            const KeyValue<P>& pool = pools[static_cast<std::size_t>(segment.pool)];
            for (int j = 0; j < visible; ++j, ++score)
              out += *score * line(pool.v.row(segment.first + j) + column, static_cast<std::size_t>(K));
          });
        }
    });
  }

  template <class Position, class PositionGradient>
  static void backward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                       const Spans<P>& spans, const Position& position, In<P> y, Statistics lse, In<P> dy, Out<P> dq,
                       std::span<const KeyValueGradient<P>> dpools, const PositionGradient& dposition) {
    check_tables(q, pools, spans, position);
    line(dq).setZero();
    for (const KeyValueGradient<P>& pool : dpools) {
      if (pool.dk.data) line(pool.dk).setZero();
      if (pool.dv.data) line(pool.dv).setZero();
    }
    const int K = shape.head_dim, group = shape.heads / shape.kv_heads;
    const auto width = static_cast<std::size_t>(K);
    // A task is a head of keys with all its queries: nobody else writes its columns, so nothing is atomic and the order
    // of additions is fixed.
    ctx.threads().run(shape.kv_heads, [&](int g) {
      Line<R> shifted(2 * K);
      for (int s = 0; s < spans.spans.shape[0]; ++s) {
        const Span& span = spans.spans.data[s];
        for (int row = span.first_row; row < span.first_row + span.rows; ++row)
          for (int h = g * group; h < (g + 1) * group; ++h) {
            const int at = span.position + row - span.first_row, column = g * K;
            const Query query{q.row(row) + h * K, h, at, K};
            const auto bound = bind(position, query, shape, shifted.data());
            const auto dout = line(dy.row(row) + h * K, width);
            const R delta = (dout * line(y.row(row) + h * K, width)).sum();
            const A total = lse.row(row)[h];
            each_segment(span, spans, at, [&](const Segment& segment, int visible) {
              const KeyValue<P>& pool = pools[static_cast<std::size_t>(segment.pool)];
              const KeyValueGradient<P>& dpool = dpools[static_cast<std::size_t>(segment.pool)];
              for (int j = 0; j < visible; ++j) {
                const int key = segment.first + j, distance = at - segment.position - j;
                const R* k = pool.k.row(key) + column;
                const R score = span.uniform ? R(0) : bound.score(k, distance);
                const R p = std::exp(score - static_cast<R>(total));
                if (dpool.dv.data) line(dpool.dv.row(key) + column, width) += p * dout;
                if (span.uniform) continue;
                const R ds = p * ((dout * line(pool.v.row(key) + column, width)).sum() - delta) * R(shape.scale);
                bound.backward(ds, k, distance, dq.row(row) + h * K,
                               dpool.dk.data ? dpool.dk.row(key) + column : nullptr, dposition);
              }
            });
          }
      }
    });
  }

 private:
  struct Piece {
    int span, first, rows;
  };
  static std::vector<Piece> pieces_of(const Spans<P>& spans) {
    constexpr int rows = 16;
    std::vector<Piece> pieces;
    for (int s = 0; s < spans.spans.shape[0]; ++s) {
      const Span& span = spans.spans.data[s];
      for (int done = 0; done < span.rows; done += rows)
        pieces.push_back({s, span.first_row + done, std::min(rows, span.rows - done)});
    }
    return pieces;
  }
  static int keys_of(const Span& span, const Spans<P>& spans) {
    int keys = 0;
    for (int i = 0; i < span.segments; ++i) keys += spans.segments.data[span.first_segment + i].count;
    return keys;
  }
  /// Throws unless the tables stay within the tensors.
  template <class Position>
  static void check_tables(In<P> q, std::span<const KeyValue<P>> pools, const Spans<P>& spans,
                           const Position& position) {
    for (int s = 0; s < spans.spans.shape[0]; ++s) {
      const Span& span = spans.spans.data[s];
      check(span.first_row >= 0 && span.rows >= 0 && span.first_row + span.rows <= q.rows, "attention", "span ", s,
            " covers rows ", span.first_row, " to ", span.first_row + span.rows, " of ", q.rows);
      check(span.first_segment >= 0 && span.segments >= 0 &&
                span.first_segment + span.segments <= spans.segments.shape[0],
            "attention", "span ", s, " names segments ", span.first_segment, " to ", span.first_segment + span.segments,
            " of ", spans.segments.shape[0]);
      for (int i = span.first_segment; i < span.first_segment + span.segments; ++i) {
        const Segment& segment = spans.segments.data[i];
        check(segment.pool >= 0 && segment.pool < static_cast<int>(pools.size()), "attention", "segment ", i,
              " lies in pool ", segment.pool, " of ", pools.size());
        const int rows = pools[static_cast<std::size_t>(segment.pool)].k.rows;
        check(segment.first >= 0 && segment.count >= 0 && segment.first + segment.count <= rows, "attention",
              "segment ", i, " covers keys ", segment.first, " to ", segment.first + segment.count, " of ", rows);
        if constexpr (std::is_same_v<Position, Relative<P>>) {
          const int nearest = segment.causal ? 0 : span.position - (segment.position + segment.count - 1),
                    farthest = span.position + span.rows - 1 - segment.position;
          check(span.uniform || segment.count == 0 || (nearest >= 0 && farthest < position.r.rows), "attention",
                "span ", s, " has keys at distances ", nearest, " to ", farthest, ", expected 0 to ",
                position.r.rows - 1, ": r has a row for each distance");
        }
      }
    }
  }
  /// Calls f(segment, how many of its keys a query at position `at` sees).
  template <class F>
  static void each_segment(const Span& span, const Spans<P>& spans, int at, const F& f) {
    for (int i = 0; i < span.segments; ++i) {
      const Segment& segment = spans.segments.data[span.first_segment + i];
      f(segment, segment.causal ? std::clamp(at - segment.position + 1, 0, segment.count) : segment.count);
    }
  }

  struct Query {
    const R* q;
    int head, position, K;
  };

  static R dot(const R* a, const R* b, int K) {
    const auto width = static_cast<std::size_t>(K);
    return (line(a, width) * line(b, width)).sum();
  }
  static void add(R* sum, R factor, const R* x, int K) {
    const auto width = static_cast<std::size_t>(K);
    line(sum, width) += factor * line(x, width);
  }

  /// One query of one head, bound to its kind of position: its scores and their gradients. `ds` includes the scale.
  struct PlainScore {
    Query query;
    R scale, slope;
    R score(const R* k, int distance) const {
      return dot(query.q, k, query.K) * scale - slope * static_cast<R>(distance);
    }
    template <class G>
    void backward(R ds, const R* k, int, R* dq, R* dk, const G&) const {
      add(dq, ds, k, query.K);
      if (dk) add(dk, ds, query.q, query.K);
    }
  };
  static PlainScore bind(const NoPosition&, const Query& query, const AttentionShape& shape, R*) {
    return {query, R(shape.scale), R(0)};
  }
  static PlainScore bind(const Alibi<P>& alibi, const Query& query, const AttentionShape& shape, R*) {
    return {query, R(shape.scale), static_cast<R>(alibi.slopes.data[query.head])};
  }

  struct RelativeScore {
    Query query;
    R scale;
    const Relative<P>& position;
    const R *with_u, *with_v;  // q + u, q + v of this head

    const R* r(int distance) const { return position.r.row(distance) + query.head * query.K; }
    R score(const R* k, int distance) const {
      return (dot(with_u, k, query.K) + dot(with_v, r(distance), query.K)) * scale;
    }
    void backward(R ds, const R* k, int distance, R* dq, R* dk, const RelativeGradient<P>& d) const {
      const int K = query.K, at = query.head * K;
      add(dq, ds, k, K);
      add(dq, ds, r(distance), K);
      if (dk) add(dk, ds, with_u, K);
      add(d.du.data + at, ds, k, K);
      add(d.dv.data + at, ds, r(distance), K);
      add(d.dr.row(distance) + at, ds, with_v, K);
    }
  };
  static RelativeScore bind(const Relative<P>& position, const Query& query, const AttentionShape& shape, R* shifted) {
    const auto width = static_cast<std::size_t>(query.K);
    const int at = query.head * query.K;
    line(shifted, width) = line(query.q, width) + line(position.u.data + at, width);
    line(shifted + query.K, width) = line(query.q, width) + line(position.v.data + at, width);
    return {query, R(shape.scale), position, shifted, shifted + query.K};
  }
};

}  // namespace flamingo::kernels
