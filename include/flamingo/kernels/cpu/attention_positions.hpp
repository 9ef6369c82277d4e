/// How positions enter the scores of the CPU's attention.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/kernels/cpu/attention_tile.hpp>
#include <flamingo/kernels/cpu/attention_walk.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

/// A row of q as one head asks it.
struct AttentionQuery {
  int row, head, position;
};

/// A piece's queries, for `heads` heads of keys from g on: strip after strip for each of these, and in a strip head
/// after head. A head of keys begins at a multiple of `step`; what fills up before it has no row. The list is this
/// thread's, and lives until the next one.
template <class R, Isa Set>
std::span<const AttentionQuery> queries_of(std::span<const AttentionStrip> strips, int group, int g, int heads,
                                           int step) {
  static thread_local std::vector<AttentionQuery> queries;
  queries.clear();
  for (int first = g * group; first < (g + heads) * group; first += group) {
    while (queries.size() % static_cast<std::size_t>(step)) queries.push_back({-1, 0, 0});
    for (const AttentionStrip& strip : strips)
      for (int h = first; h < first + group; ++h)
        for (int n = 0; n < strip.rows; ++n) queries.push_back({strip.first + n, h, strip.position() + n});
  }
  return queries;
}

/// to (K) = (q + bias) scale
template <Platform P>
void scale_query(const AttentionShape& shape, In<P> q, const AttentionQuery& query, const AccumulateOf<P>* bias,
                 typename P::Real* to) {
  using R = typename P::Real;
  const int column = query.head * shape.head_dim;
  const R* from = q.row(query.row) + column;
  for (int k = 0; k < shape.head_dim; ++k)
    to[k] = (bias ? from[k] + static_cast<R>(bias[column + k]) : from[k]) * R(shape.scale);
}

/// begin(queries): before the blocks of a piece. prepare(block, first, last): before the scores of those queries.
/// add(block, i, scores): what positions do to the scores of query i. gradient(d, block, dscores): what flows back
/// through a block. finish_backward(d, dqueries, width): after all blocks of a piece; the queries' gradients, still to
/// be scaled, take what came through positions.
template <class R, Isa Set, class Position>
struct AttentionPositions {
  using P = Cpu<R, Set, Products::own>;

  AttentionPositions(const AttentionShape&, In<P>, const Position&) {}
  const AccumulateOf<P>* content_bias() const { return nullptr; }
  void begin(std::span<const AttentionQuery>) {}
  template <class Block>
  void prepare(const Block&, int, int) {}
  template <class Block>
  void add(const Block&, int, R*) const {}
  template <class G, class Block>
  void gradient(const G&, const Block&, const R*) {}
  template <class G>
  void finish_backward(const G&, R*, int) {}
};

template <class R, Isa Set>
struct AttentionPositions<R, Set, Alibi<Cpu<R, Set, Products::own>>> {
  using P = Cpu<R, Set, Products::own>;

  AttentionPositions(const AttentionShape&, In<P>, const Alibi<P>& alibi) : slopes_(alibi.slopes.data) {}
  const AccumulateOf<P>* content_bias() const { return nullptr; }
  void begin(std::span<const AttentionQuery> queries) { queries_ = queries; }
  template <class Block>
  void prepare(const Block&, int, int) {}
  template <class Block>
  void add(const Block& block, int i, R* scores) const {
    const AttentionQuery& query = queries_[static_cast<std::size_t>(i)];
    const R slope = static_cast<R>(slopes_[query.head]);
    for (const AttentionPart& part : block.parts()) {
      const int apart = query.position - part.position;
      R* score = scores + part.column;
      for (int j = 0; j < part.count; ++j) score[j] -= slope * static_cast<R>(apart - j);
    }
  }
  template <class G, class Block>
  void gradient(const G&, const Block&, const R*) {}
  template <class G>
  void finish_backward(const G&, R*, int) {}

 private:
  const AccumulateOf<P>* slopes_;
  std::span<const AttentionQuery> queries_;
};

/// (q + v) r[distance]: products with the distances that some queries ask for, farthest first, so that the neighbours
/// of a key are neighbours there too.
template <class R, Isa Set>
struct AttentionPositions<R, Set, Relative<Cpu<R, Set, Products::own>>> {
  using P = Cpu<R, Set, Products::own>;
  using Tile = AttentionTile<R, Set>;

  AttentionPositions(const AttentionShape& shape, In<P> q, const Relative<P>& position)
      : shape_(shape), q_(q), position_(position) {}
  const AccumulateOf<P>* content_bias() const { return position_.u.data; }

  void begin(std::span<const AttentionQuery> queries) {
    queries_ = queries;
    const int M = static_cast<int>(queries.size()), K = shape_.head_dim;
    width_ = Tile::whole(K);
    scores_ = Tile::template memory<Slot::scores>(M * Tile::block);
    rows_ = Tile::template memory<Slot::rows>(M * width_);
    through_ = Tile::template memory<Slot::through>(M * width_);
    std::fill_n(rows_, M * width_, R(0));
    std::fill_n(through_, M * width_, R(0));
    for (int i = 0; i < M; ++i)
      if (query(i).row >= 0) scale_query<P>(shape_, q_, query(i), position_.v.data, rows_ + i * width_);
    asked_ = Tile::template memory<Slot::asked>(Tile::beside(M + Tile::mr, K));
    Tile::set_side_by_side([&](int i) { return rows_ + i * width_; }, M, K, asked_);
  }
  template <class Block>
  void prepare(const Block& block, int first, int last) {
    each_head_of(first, last, [&](int begin, int end) {
      for (const AttentionPart& part : block.parts()) score(part, begin, end);
    });
  }
  template <class Block>
  void add(const Block& block, int i, R* scores) const {
    for (int j = 0; j < block.count; ++j) scores[j] += scores_[i * Tile::block + j];
  }

  /// Adds to r's gradient, and keeps what goes through r.
  template <class G, class Block>
  void gradient(const G& d, const Block& block, const R* dscores) {
    each_head_of(0, static_cast<int>(queries_.size()), [&](int begin, int end) {
      for (const AttentionPart& part : block.parts()) gradient(d, part, dscores, begin, end);
    });
  }
  template <class G>
  void finish_backward(const G& d, R* dqueries, int width) {
    const int K = shape_.head_dim;
    for (int i = 0; i < static_cast<int>(queries_.size()); ++i)
      for (int k = 0; k < K; ++k) {
        R& content = dqueries[i * width + k];
        const R through = through_[i * width_ + k];
        if constexpr (wanted<G>) {
          d.du.data[query(i).head * K + k] += static_cast<AccumulateOf<P>>(R(shape_.scale) * content);
          d.dv.data[query(i).head * K + k] += static_cast<AccumulateOf<P>>(R(shape_.scale) * through);
        }
        content += through;
      }
  }

 private:
  struct Slot {
    enum { scores = 100, rows, through, asked, columns, products, by_distance, distances };
  };
  using V = typename Tile::V;

  const AttentionQuery& query(int i) const { return queries_[static_cast<std::size_t>(i)]; }

  /// Calls f(begin, end) for the queries of first .. last that are consecutive rows of one head.
  template <class F>
  void each_head_of(int first, int last, const F& f) const {
    for (int begin = first, end = first; begin < last; begin = end) {
      do ++end;
      while (end < last && query(end).head == query(begin).head && query(end).row == query(end - 1).row + 1 &&
             query(end).position == query(end - 1).position + 1);
      f(begin, end);
    }
  }
  /// What the queries begin .. end - 1 ask of a part: distance far - t is column t, for t < count, and the query at
  /// position p asks for those from last - p on, as many as it sees keys.
  struct Asked {
    int first, last;  ///< positions of the queries
    int visible;      ///< keys that one of them sees
    int far, count;

    Asked(const AttentionPart& part, int first_position, int last_position)
        : first(first_position),
          last(last_position),
          visible(part.visible(last)),
          far(last - part.position),
          count(far - std::max(0, first - (part.position + visible - 1)) + 1) {}
    /// Columns from .. to - 1 are those of the queries at positions p .. p + rows - 1.
    int from(int p, int rows) const { return last - (p + rows - 1); }
    int to(int p) const { return std::min(last - p + visible, count); }
  };
  Asked asked(const AttentionPart& part, int begin, int end) const {
    return {part, query(begin).position, query(end - 1).position};
  }

  void score(const AttentionPart& part, int begin, int end) {
    const Asked ask = asked(part, begin, end);
    if (ask.visible == 0) return;
    const int K = shape_.head_dim, stride = Tile::whole(ask.count + Tile::nr), column = query(begin).head * K;
    R* columns = Tile::template memory<Slot::columns>(K * stride);
    Tile::transpose([&](int t) { return position_.r.row(ask.far - t) + column; }, ask.count, K, columns, stride);
    for (int i = begin; i < end;) {
      const int rows = std::min(Tile::mr - i % Tile::mr, end - i), p = query(i).position;
      const int from = ask.from(p, rows), width = Tile::whole(ask.to(p) - from);
      R* products = Tile::template memory<Slot::products>(Tile::mr * width);
      Tile::template product<1, Tile::side_by_side>(
          rows, width, K, asked_ + Tile::beside(i, K), [&](int k) { return columns + k * stride + from; },
          [&](int r, int n, V sum) { Tile::Math::store(products + r * width + n, sum); });
      for (int r = 0; r < rows; ++r)
        std::copy_n(products + r * width + (ask.last - (p + r)) - from, part.visible(p + r),
                    scores_ + (i + r) * Tile::block + part.column);
      i += rows;
    }
  }

  template <class G>
  void gradient(const G& d, const AttentionPart& part, const R* dscores, int begin, int end) {
    const Asked ask = asked(part, begin, end);
    if (ask.visible == 0) return;
    const int K = shape_.head_dim, column = query(begin).head * K;
    constexpr int stride = 2 * Tile::block + Tile::lanes;
    R *by_distance = Tile::template memory<Slot::by_distance>((end - begin + Tile::mr) * stride),
      *distances = Tile::template memory<Slot::distances>(ask.count * width_);
    std::fill_n(by_distance, (end - begin) * stride, R(0));
    for (int i = begin; i < end; ++i)
      std::copy_n(dscores + i * Tile::score_row + part.column, part.visible(query(i).position),
                  by_distance + (i - begin) * stride + ask.last - query(i).position);
    for (int t = 0; t < ask.count; ++t) {
      R* to = distances + t * width_;
      std::copy_n(position_.r.row(ask.far - t) + column, K, to);
      std::fill(to + K, to + width_, R(0));
    }
    for (int i = begin; i < end; i += Tile::mr) {
      const int rows = std::min(Tile::mr, end - i), p = query(i).position, from = ask.from(p, rows);
      Tile::template product<stride, 1>(
          rows, width_, ask.to(p) - from, by_distance + (i - begin) * stride + from,
          [&](int t) { return distances + (from + t) * width_; },
          [&](int r, int n, V sum) {
            R* to = through_ + (i + r) * width_ + n;
            Tile::Math::store(to, Tile::Math::load(to) + sum);
          });
    }
    if constexpr (wanted<G>)
      for (int t = 0; t < ask.count; t += Tile::mr)
        Tile::template product<1, stride>(
            std::min(Tile::mr, ask.count - t), width_, end - begin, by_distance + t,
            [&](int i) { return rows_ + (begin + i) * width_; },
            [&](int r, int n, V sum) { Tile::add(sum, d.dr.row(ask.far - t - r) + column + n, K - n); });
  }

  const AttentionShape& shape_;
  In<P> q_;
  const Relative<P>& position_;
  std::span<const AttentionQuery> queries_;
  int width_ = 0;
  R *scores_ = nullptr, *rows_ = nullptr, *through_ = nullptr, *asked_ = nullptr;
};

}  // namespace flamingo::kernels
