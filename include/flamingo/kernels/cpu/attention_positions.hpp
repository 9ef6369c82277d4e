/// How positions enter the scores of the CPU's attention.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>

#include <flamingo/kernels/cpu/attention_tile.hpp>
#include <flamingo/kernels/cpu/attention_walk.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

/// A row of q as one head asks it.
struct AttentionQuery {
  int row, head, position;
};

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
/// add(block, i, scores): what positions do to the scores of query i.
template <class R, Isa Set, class Position>
struct AttentionPositions {
  using P = Cpu<R, Set>;

  AttentionPositions(const AttentionShape&, In<P>, const Position&) {}
  const AccumulateOf<P>* content_bias() const { return nullptr; }
  void begin(std::span<const AttentionQuery>) {}
  template <class Block>
  void prepare(const Block&, int, int) {}
  template <class Block>
  void add(const Block&, int, R*) const {}
};

template <class R, Isa Set>
struct AttentionPositions<R, Set, Alibi<Cpu<R, Set>>> {
  using P = Cpu<R, Set>;

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

 private:
  const AccumulateOf<P>* slopes_;
  std::span<const AttentionQuery> queries_;
};

/// (q + v) r[distance]: products with the distances that some queries ask for, farthest first, so that the neighbours
/// of a key are neighbours there too.
template <class R, Isa Set>
struct AttentionPositions<R, Set, Relative<Cpu<R, Set>>> {
  using P = Cpu<R, Set>;
  using Tile = AttentionTile<R, Set>;

  AttentionPositions(const AttentionShape& shape, In<P> q, const Relative<P>& position)
      : shape_(shape), q_(q), position_(position) {}
  const AccumulateOf<P>* content_bias() const { return position_.u.data; }

  void begin(std::span<const AttentionQuery> queries) {
    queries_ = queries;
    const int M = static_cast<int>(queries.size()), K = shape_.head_dim;
    scores_ = Tile::template memory<slot>(M * Tile::block);
    R* scaled = Tile::template memory<slot + 1>(M * K);
    for (int i = 0; i < M; ++i)
      if (queries_[static_cast<std::size_t>(i)].row >= 0)
        scale_query<P>(shape_, q_, queries_[static_cast<std::size_t>(i)], position_.v.data, scaled + i * K);
    asked_ = Tile::template memory<slot + 2>(Tile::beside(M + Tile::mr, K));
    Tile::set_side_by_side([&](int i) { return scaled + i * K; }, M, K, asked_);
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

 private:
  static constexpr int slot = 100;

  /// Calls f(begin, end) for the queries of first .. last that are consecutive rows of one head.
  template <class F>
  void each_head_of(int first, int last, const F& f) const {
    const auto query = [&](int i) -> const AttentionQuery& { return queries_[static_cast<std::size_t>(i)]; };
    for (int begin = first, end = first; begin < last; begin = end) {
      do ++end;
      while (end < last && query(end).head == query(begin).head && query(end).row == query(end - 1).row + 1 &&
             query(end).position == query(end - 1).position + 1);
      f(begin, end);
    }
  }
  void score(const AttentionPart& part, int begin, int end) {
    const int K = shape_.head_dim, at = queries_[static_cast<std::size_t>(begin)].position,
              last = queries_[static_cast<std::size_t>(end - 1)].position, visible = part.visible(last);
    if (visible == 0) return;
    // Distance far - t is column t; a query at position p asks for columns last - p .. of the part's keys.
    const int far = last - part.position, near = std::max(0, at - (part.position + visible - 1)),
              count = far - near + 1;
    const int stride = Tile::whole(count + Tile::nr), column = queries_[static_cast<std::size_t>(begin)].head * K;
    R* columns = Tile::template memory<slot + 3>(K * stride);
    Tile::transpose([&](int t) { return position_.r.row(far - t) + column; }, count, K, columns, stride);
    for (int i = begin; i < end;) {
      const int rows = std::min(Tile::mr - i % Tile::mr, end - i);
      // The tile's last query asks for the nearest ones, its first for columns further on.
      const int from = last - (at + i - begin + rows - 1), to = std::min(last - (at + i - begin) + visible, count);
      const int width = Tile::whole(to - from);
      R* products = Tile::template memory<slot + 4>(Tile::mr * width);
      Tile::template product<1, Tile::side_by_side>(
          rows, width, K, asked_ + Tile::beside(i, K), [&](int k) { return columns + k * stride + from; },
          [&](int r, int n, typename Tile::V v) { Tile::Math::store(products + r * width + n, v); });
      for (int r = 0; r < rows; ++r) {
        const int position = at + i - begin + r;
        std::copy_n(products + r * width + (last - position) - from, part.visible(position),
                    scores_ + (i + r) * Tile::block + part.column);
      }
      i += rows;
    }
  }

  const AttentionShape& shape_;
  In<P> q_;
  const Relative<P>& position_;
  std::span<const AttentionQuery> queries_;
  R *scores_ = nullptr, *asked_ = nullptr;
};

}  // namespace flamingo::kernels
