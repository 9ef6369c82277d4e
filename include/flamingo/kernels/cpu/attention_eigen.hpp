/// Attention over spans where Eigen multiplies: a piece of a span's rows at a time, its scores a product with the keys
/// it sees, which lie in memory.
///
/// A row's bits depend on that row and on the keys it sees alone: every product is a chain over features or over keys
/// in their order, and what a row does not see adds zeros to it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <flamingo/kernels/cpu/attention_tables.hpp>
#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/gemm_eigen.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Attention<Cpu<R, Set, Products::eigen>> {
  using P = Cpu<R, Set, Products::eigen>;
  using A = AccumulateOf<P>;
  using Product = EigenGemm<R, Set>;
  using Statistics = Rows<P, dynamic, A>;

  template <class T, class Position>
  static void forward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P, T>> pools,
                      const Spans<P>& spans, const Position& position, Out<P> y, Statistics lse) {
    check_attention_tables<P>(q, pools, spans, position);
    line(y).setZero();
    line(lse).setConstant(-std::numeric_limits<A>::infinity());
    const int K = shape.head_dim, group = shape.heads / shape.kv_heads;
    // A task is a piece of one span's rows with one head of keys: enough tasks for the threads.
    const std::vector<Piece> pieces = pieces_of(spans, group);
    ctx.threads().run(static_cast<int>(pieces.size()) * shape.kv_heads, [&](int task) {
      const Piece& piece = pieces[static_cast<std::size_t>(task / shape.kv_heads)];
      const int g = task % shape.kv_heads;
      const Keys keys(piece, spans, pools, g * K, K);
      if (keys.count() == 0) return;
      Block queries(piece.rows * group, K), scores(piece.rows * group, keys.count()), out(piece.rows * group, K);
      attend(shape, q, piece, g, keys, position, queries, scores);
      for (int i = 0; i < scores.rows; ++i) {
        const int row = piece.first + i % piece.rows, h = g * group + i / piece.rows;
        lse.row(row)[h] = softmax(scores, i, keys, piece.position(row));
      }
      multiply(scores, keys.v, K, out);
      for (int i = 0; i < out.rows; ++i)
        std::copy_n(out.row(i), K, y.row(piece.first + i % piece.rows) + (g * group + i / piece.rows) * K);
    });
  }

  template <class Position, class PositionGradient>
  static void backward(Context<P>& ctx, const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools,
                       const Spans<P>& spans, const Position& position, In<P> y, Statistics lse, In<P> dy, Out<P> dq,
                       std::span<const KeyValueGradient<P>> dpools, const PositionGradient& dposition) {
    check_attention_tables<P>(q, pools, spans, position);
    line(dq).setZero();
    for (const KeyValueGradient<P>& pool : dpools) {
      if (pool.dk.data) line(pool.dk).setZero();
      if (pool.dv.data) line(pool.dv).setZero();
    }
    const int K = shape.head_dim, group = shape.heads / shape.kv_heads;
    const std::vector<Piece> pieces = pieces_of(spans, group);
    // A task is a head of keys with all its queries: nobody else writes its columns, so nothing is atomic and the order
    // of additions is fixed.
    ctx.threads().run(shape.kv_heads, [&](int g) {
      for (const Piece& piece : pieces) {
        const Keys keys(piece, spans, pools, g * K, K);
        if (keys.count() == 0) continue;
        const int M = piece.rows * group;
        Block queries(M, K), weights(M, keys.count()), dout(M, K), dscores(M, keys.count()), dqueries(M, K);
        attend(shape, q, piece, g, keys, position, queries, weights);
        for (int i = 0; i < M; ++i) {
          const int row = piece.first + i % piece.rows, h = g * group + i / piece.rows;
          std::copy_n(dy.row(row) + h * K, K, dout.row(i));
          weigh(weights, i, keys, piece.position(row), static_cast<R>(lse.row(row)[h]));
        }
        each_gradient(keys, dpools, [&](const Run& run, const KeyValueGradient<P>& dpool) {
          if (dpool.dv.data) add_transposed(weights, run, dout, dpool.dv, g * K);
        });
        if (keys.uniform) continue;
        multiply_transposed(dout, keys.v, dscores);  // d weights
        for (int i = 0; i < M; ++i) {
          const int row = piece.first + i % piece.rows, h = g * group + i / piece.rows;
          const R delta = dot(dout.row(i), y.row(row) + h * K, K);
          auto ds = line(dscores.row(i), dscores.stride);
          ds = line(weights.row(i), weights.stride) * (ds - delta);
        }
        each_gradient(keys, dpools, [&](const Run& run, const KeyValueGradient<P>& dpool) {
          if (dpool.dk.data) add_transposed(dscores, run, queries, dpool.dk, g * K);
        });
        multiply(dscores, keys.k, K, dqueries);
        position_backward(shape, position, q, piece, g, keys, dscores, dqueries, dposition);
        for (int i = 0; i < M; ++i)
          line(dq.row(piece.first + i % piece.rows) + (g * group + i / piece.rows) * K, static_cast<std::size_t>(K)) =
              R(shape.scale) * line(dqueries.row(i), static_cast<std::size_t>(K));
      }
    });
  }

 private:
  /// Consecutive rows of one span.
  struct Piece {
    const Span* span;
    int first, rows;

    int position(int row) const { return span->position + row - span->first_row; }
    int last_position() const { return position(first + rows - 1); }
  };
  /// Pieces whose queries, over the heads that share keys, are worth the packing of those keys.
  static std::vector<Piece> pieces_of(const Spans<P>& spans, int group) {
    const int most = std::max(8, 64 / group);
    std::vector<Piece> pieces;
    for (int s = 0; s < spans.spans.shape[0]; ++s) {
      const Span& span = spans.spans.data[s];
      for (int done = 0; done < span.rows; done += most)
        pieces.push_back({&span, span.first_row + done, std::min(most, span.rows - done)});
    }
    return pieces;
  }

  /// Keys of a segment, as columns first .. first + count of its scores.
  struct Run {
    int first, count, pool, key;
    int position;  ///< of its first key
    bool causal;

    /// How many of them a query at position `at` sees.
    int visible(int at) const { return causal ? std::clamp(at - position + 1, 0, count) : count; }
  };
  /// The keys of a piece's segments, one after another, and where their vectors of one head lie.
  struct Keys {
    std::vector<Run> runs;
    std::vector<const R*> k, v;
    bool uniform;
    std::vector<Line<R>> widened;  ///< the vectors of each run, where pools hold them in another type

    template <class T>
    Keys(const Piece& piece, const Spans<P>& spans, std::span<const KeyValue<P, T>> pools, int column, int K)
        : uniform(piece.span->uniform) {
      for (int i = 0; i < piece.span->segments; ++i) {
        const Segment& s = spans.segments.data[piece.span->first_segment + i];
        Run run{count(), s.count, s.pool, s.first, s.position, s.causal != 0};
        // Of the last segment only what is seen; of the others all, so that columns do not depend on who else asks.
        if (i + 1 == piece.span->segments) run.count = run.visible(piece.last_position());
        if (run.count == 0) continue;
        runs.push_back(run);
        const KeyValue<P, T>& pool = pools[static_cast<std::size_t>(s.pool)];
        add(pool.k, s.first, run.count, column, K, k);
        add(pool.v, s.first, run.count, column, K, v);
      }
    }
    template <class T>
    void add(const In<P, T>& pool, int first, int rows, int column, int K, std::vector<const R*>& to) {
      if constexpr (std::is_same_v<T, R>) {
        for (int j = 0; j < rows; ++j) to.push_back(pool.row(first + j) + column);
      } else {
        Line<R>& own = widened.emplace_back(static_cast<Eigen::Index>(rows) * K);
        for (int j = 0; j < rows; ++j) {
          R* row = own.data() + static_cast<std::ptrdiff_t>(j) * K;
          for (int i = 0; i < K; ++i) row[i] = static_cast<R>(static_cast<float>(pool.row(first + j)[column + i]));
          to.push_back(row);
        }
      }
    }
    int count() const { return static_cast<int>(k.size()); }
  };
  template <class F>
  static void each_gradient(const Keys& keys, std::span<const KeyValueGradient<P>> dpools, const F& f) {
    for (const Run& run : keys.runs) f(run, dpools[static_cast<std::size_t>(run.pool)]);
  }

  /// Rows in memory of our own: aligned and filled up to whole vectors with zeros, so that no bit depends on an
  /// address.
  struct Block {
    int rows, width;
    std::size_t stride;
    Line<R> numbers;

    Block(int rows_, int width_)
        : rows(rows_),
          width(width_),
          stride((static_cast<std::size_t>(width_) + 15) / 16 * 16),
          numbers(Line<R>::Zero(static_cast<Eigen::Index>(static_cast<std::size_t>(rows_) * stride))) {}
    R* row(int i) { return numbers.data() + static_cast<std::size_t>(i) * stride; }
    typename Product::Left left() const { return {numbers.data(), stride, 1}; }
    typename Product::Left transposed(int column) const { return {numbers.data() + column, 1, stride}; }
    typename Product::Result result() { return {numbers.data(), stride, false}; }
  };

  /// Vectors that lie anywhere, as rows of a matrix.
  struct Scattered {
    static constexpr bool is_plain = true;
    const R* const* rows;

    const R* at(int r, int column) const { return rows[r] + column; }
    void read(int r, int first, int count, R* to) const { std::copy_n(rows[r] + first, count, to); }
  };
  /// Rows at a fixed distance.
  using Dense = PlainSource<R, R>;

  /// c = a (M, n) b (n, width)
  static void multiply(const Block& a, const std::vector<const R*>& b, int width, Block& c) {
    Product::run_here(a.rows, width, a.width, a.left(), c.result(), [&](int k0, int kn, int n0, int nn, R* panels) {
      Product::pack_rows(Scattered{b.data()}, k0, kn, n0, nn, panels);
    });
  }
  /// c = a (M, K) bᵀ, b (n, K)
  static void multiply_transposed(const Block& a, const std::vector<const R*>& b, Block& c) {
    Product::run_here(a.rows, c.width, a.width, a.left(), c.result(), [&](int k0, int kn, int n0, int nn, R* panels) {
      Product::pack_columns(Scattered{b.data()}, k0, kn, n0, nn, panels);
    });
  }
  /// Rows of `run` in dpool, from `column` on, += its columns of aᵀ b.
  static void add_transposed(const Block& a, const Run& run, Block& b, Out<P> dpool, int column) {
    const Dense source{b.row(0), b.stride};
    Product::run_here(
        run.count, b.width, a.rows, a.transposed(run.first),
        {dpool.row(run.key) + column, static_cast<std::size_t>(dpool.width), true},
        [&](int k0, int kn, int n0, int nn, R* panels) { Product::pack_rows(source, k0, kn, n0, nn, panels); });
  }

  static R dot(const R* a, const R* b, int K) {
    const auto width = static_cast<std::size_t>(K);
    return sum(line(a, width) * line(b, width));
  }

  /// The scores of a piece with head g of keys, and its queries, scaled (rows: head after head). All zero where the
  /// span is uniform.
  template <class Position>
  static void attend(const AttentionShape& shape, In<P> q, const Piece& piece, int g, const Keys& keys,
                     const Position& position, Block& queries, Block& scores) {
    if (keys.uniform) return;
    gather_queries(shape, q, piece, g, content_bias(position), queries);
    multiply_transposed(queries, keys.k, scores);
    add_positions(shape, position, q, piece, g, keys, scores);
  }

  /// (q + bias) scale
  static void gather_queries(const AttentionShape& shape, In<P> q, const Piece& piece, int g, const A* bias,
                             Block& queries) {
    const int K = shape.head_dim, group = shape.heads / shape.kv_heads;
    const auto width = static_cast<std::size_t>(K);
    for (int i = 0; i < queries.rows; ++i) {
      const int column = (g * group + i / piece.rows) * K;
      const auto from = line(q.row(piece.first + i % piece.rows) + column, width);
      auto to = line(queries.row(i), width);
      if (bias)
        to = (from + line(bias + column, width).template cast<R>()) * R(shape.scale);
      else
        to = from * R(shape.scale);
    }
  }
  template <class Position>
  static const A* content_bias(const Position&) {
    return nullptr;
  }
  static const A* content_bias(const Relative<P>& position) { return position.u.data; }

  static void add_positions(const AttentionShape&, const NoPosition&, In<P>, const Piece&, int, const Keys&, Block&) {}
  static void add_positions(const AttentionShape& shape, const Alibi<P>& alibi, In<P>, const Piece& piece, int g,
                            const Keys& keys, Block& scores) {
    const int group = shape.heads / shape.kv_heads;
    for (int i = 0; i < scores.rows; ++i) {
      const int at = piece.position(piece.first + i % piece.rows);
      const R slope = static_cast<R>(alibi.slopes.data[g * group + i / piece.rows]);
      for (const Run& run : keys.runs) {
        R* score = scores.row(i) + run.first;
        for (int j = 0; j < run.count; ++j) score[j] -= slope * static_cast<R>(at - run.position - j);
      }
    }
  }

  /// The rows of r that a piece may ask for: distances first .. first + count.
  struct Distances {
    int first = 0, count = 0;

    Distances(const Relative<P>& position, const Piece& piece, const Keys& keys) {
      int nearest = position.r.rows, farthest = -1;
      for (const Run& run : keys.runs) {
        nearest = std::min(nearest, piece.position(piece.first) - (run.position + run.count - 1));
        farthest = std::max(farthest, piece.last_position() - run.position);
      }
      first = std::max(nearest, 0);
      count = std::max(farthest + 1 - first, 0);
    }
  };
  /// Calls f(i, run, visible keys, r's row that the run's first key asks for, minus distances.first) for each row.
  template <class F>
  static void each_distance(const Piece& piece, const Keys& keys, const Distances& distances, int rows, const F& f) {
    for (int i = 0; i < rows; ++i)
      for (const Run& run : keys.runs) {
        const int at = piece.position(piece.first + i % piece.rows);
        if (const int visible = run.visible(at); visible > 0) f(i, run, visible, at - run.position - distances.first);
      }
  }
  static void add_positions(const AttentionShape& shape, const Relative<P>& position, In<P> q, const Piece& piece,
                            int g, const Keys& keys, Block& scores) {
    const int K = shape.head_dim, group = shape.heads / shape.kv_heads;
    const Distances distances(position, piece, keys);
    Block queries(scores.rows, K), by_distance(scores.rows, distances.count);
    gather_queries(shape, q, piece, g, position.v.data, queries);
    each_head(group, g, [&](int head, int h) {
      const Dense source{position.r.row(distances.first) + h * K, static_cast<std::size_t>(position.r.width)};
      Product::run_here(
          piece.rows, distances.count, K, {queries.row(head * piece.rows), queries.stride, 1},
          {by_distance.row(head * piece.rows), by_distance.stride, false},
          [&](int k0, int kn, int n0, int nn, R* panels) { Product::pack_columns(source, k0, kn, n0, nn, panels); });
    });
    each_distance(piece, keys, distances, scores.rows, [&](int i, const Run& run, int visible, int farthest) {
      R* score = scores.row(i) + run.first;
      const R* from = by_distance.row(i) + farthest;
      for (int j = 0; j < visible; ++j) score[j] += from[-j];
    });
  }
  template <class F>
  static void each_head(int group, int g, const F& f) {
    for (int head = 0; head < group; ++head) f(head, g * group + head);
  }

  template <class Position, class G>
  static void position_backward(const AttentionShape&, const Position&, In<P>, const Piece&, int, const Keys&, Block&,
                                Block&, const G&) {}
  /// Adds what goes through r to dqueries, and the gradients of r, u and v where they are wanted.
  template <class G>
  static void position_backward(const AttentionShape& shape, const Relative<P>& position, In<P> q, const Piece& piece,
                                int g, const Keys& keys, Block& dscores, Block& dqueries, const G& d) {
    const int K = shape.head_dim, group = shape.heads / shape.kv_heads;
    const Distances distances(position, piece, keys);
    Block queries(dscores.rows, K), by_distance(dscores.rows, distances.count), part(dscores.rows, K);
    gather_queries(shape, q, piece, g, position.v.data, queries);
    each_distance(piece, keys, distances, dscores.rows, [&](int i, const Run& run, int visible, int farthest) {
      const R* ds = dscores.row(i) + run.first;
      R* to = by_distance.row(i) + farthest;
      for (int j = 0; j < visible; ++j) to[-j] += ds[j];
    });
    each_head(group, g, [&](int head, int h) {
      const int first = head * piece.rows;
      const auto rows = static_cast<std::size_t>(position.r.width);
      const Dense r{position.r.row(distances.first) + h * K, rows}, asked{queries.row(first), queries.stride};
      Product::run_here(piece.rows, K, distances.count, {by_distance.row(first), by_distance.stride, 1},
                        {part.row(first), part.stride, false}, [&](int k0, int kn, int n0, int nn, R* panels) {
                          Product::pack_rows(r, k0, kn, n0, nn, panels);
                        });
      if constexpr (wanted<G>)
        Product::run_here(
            distances.count, K, piece.rows, {by_distance.row(first), 1, by_distance.stride},
            {d.dr.row(distances.first) + h * K, rows, true},
            [&](int k0, int kn, int n0, int nn, R* panels) { Product::pack_rows(asked, k0, kn, n0, nn, panels); });
      for (int i = first; i < first + piece.rows; ++i) {
        const auto width = static_cast<std::size_t>(K);
        auto content = line(dqueries.row(i), width);
        const auto through_r = line(part.row(i), width);
        if constexpr (wanted<G>) {
          line(d.du.data + h * K, width) += (R(shape.scale) * content).template cast<A>();
          line(d.dv.data + h * K, width) += (R(shape.scale) * through_r).template cast<A>();
        }
        content += through_r;
      }
    });
  }

  /// Scores of row i, which sees the keys up to position `at`, become weights; returns the log-sum-exp.
  static A softmax(Block& scores, int i, const Keys& keys, int at) {
    R* s = scores.row(i);
    R maximum = -std::numeric_limits<R>::infinity();
    for (const Run& run : keys.runs)
      if (const int visible = run.visible(at); visible > 0)
        maximum = std::max(maximum, line(s + run.first, static_cast<std::size_t>(visible)).maxCoeff());
    if (maximum == -std::numeric_limits<R>::infinity()) {  // it sees none of the piece's keys
      line(s, scores.stride).setZero();
      return -std::numeric_limits<A>::infinity();
    }
    exponentials(scores, i, keys, at, maximum);
    // In lanes, so that keys it does not see add zeros and the order is that of the keys.
    Eigen::Array<R, 16, 1> lanes = Eigen::Array<R, 16, 1>::Zero();
    for (std::size_t j = 0; j < scores.stride; j += 16) lanes += line(s + j, 16);
    const R total = lanes.sum();
    line(s, scores.stride) *= R(1) / total;
    return static_cast<A>(maximum + std::log(total));
  }
  /// Scores of row i become weights by a log-sum-exp that is known.
  static void weigh(Block& scores, int i, const Keys& keys, int at, R lse) {
    if (lse == -std::numeric_limits<R>::infinity())
      line(scores.row(i), scores.stride).setZero();
    else
      exponentials(scores, i, keys, at, lse);
  }
  static void exponentials(Block& scores, int i, const Keys& keys, int at, R subtracted) {
    R* s = scores.row(i);
    line(s, scores.stride) = (line(s, scores.stride) - subtracted).exp();
    for (const Run& run : keys.runs) {
      const int visible = run.visible(at);
      std::fill(s + run.first + visible, s + run.first + run.count, R(0));
    }
    std::fill(s + scores.width, s + scores.stride, R(0));
  }
};

}  // namespace flamingo::kernels
