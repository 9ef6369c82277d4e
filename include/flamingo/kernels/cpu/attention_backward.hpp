/// The backward pass of the CPU's attention: weights are computed again from the log-sum-exp, a block of keys at a
/// time.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <flamingo/kernels/cpu/attention_positions.hpp>
#include <flamingo/kernels/cpu/attention_tile.hpp>
#include <flamingo/kernels/cpu/attention_walk.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

/// With weights p and y = Σ p v:  dv += p dy   ds = p (<dy, v> - <dy, y>)   dq += ds k scale   dk += ds q scale.
template <class R, Isa Set, class Position, class PositionGradient>
class AttentionBackward {
 public:
  using P = Cpu<R, Set, Products::own>;
  using A = AccumulateOf<P>;
  using Tile = AttentionTile<R, Set>;
  using Math = typename Tile::Math;
  using V = typename Tile::V;
  using Walk = AttentionWalk<P, Tile::block>;
  using Block = typename Walk::Block;

  AttentionBackward(const AttentionShape& shape, In<P> q, std::span<const KeyValue<P>> pools, const Spans<P>& spans,
                    const Position& position, In<P> y, Rows<P, dynamic, A> lse, In<P> dy, Out<P> dq,
                    std::span<const KeyValueGradient<P>> dpools, const PositionGradient& dposition)
      : shape_(shape),
        q_(q),
        pools_(pools),
        segments_(spans.segments),
        y_(y),
        lse_(lse),
        dy_(dy),
        dq_(dq),
        dpools_(dpools),
        dposition_(dposition),
        positions_(shape, q, position) {}

  /// Writes dq of the strip for the heads that share head g of keys, and adds to that head's dk and dv.
  void run(const AttentionStrip& strip, int g) {
    queries_ = queries_of<R, Set>(std::span(&strip, 1), shape_.heads / shape_.kv_heads, g, 1, 1);
    uniform_ = strip.span->uniform != 0;
    g_ = g;
    begin();
    Block block;
    for (typename Walk::Columns columns(strip, segments_); columns.next(block);) attend(block);
    if (!uniform_) positions_.finish_backward(dposition_, dqueries_, width_);
    for (int i = 0; i < count(); ++i) {
      R* dq = dq_.row(query(i).row) + query(i).head * shape_.head_dim;
      for (int k = 0; k < shape_.head_dim; ++k) dq[k] = R(shape_.scale) * dqueries_[i * width_ + k];
    }
  }

 private:
  struct Slot {
    enum { queries, asked, dout, dasked, dqueries, statistics, weights, dscores, keys, values, packed };
  };

  int count() const { return static_cast<int>(queries_.size()); }
  const AttentionQuery& query(int i) const { return queries_[static_cast<std::size_t>(i)]; }

  void begin() {
    const int M = count(), K = shape_.head_dim;
    width_ = Tile::whole(K);
    rows_ = Tile::template memory<Slot::queries>(M * width_);
    asked_ = Tile::template memory<Slot::asked>(Tile::beside(M + Tile::mr, K));
    dout_ = Tile::template memory<Slot::dout>(M * width_);
    dasked_ = Tile::template memory<Slot::dasked>(Tile::beside(M + Tile::mr, K));
    dqueries_ = Tile::template memory<Slot::dqueries>(M * width_);
    lse_of_ = Tile::template memory<Slot::statistics>(2 * M);
    delta_ = lse_of_ + M;
    weights_ = Tile::template memory<Slot::weights>((M + Tile::mr) * Tile::score_row);
    dscores_ = Tile::template memory<Slot::dscores>((M + Tile::mr) * Tile::score_row);
    keys_ = Tile::template memory<Slot::keys>(K * Tile::block);
    values_ = Tile::template memory<Slot::values>(K * Tile::block);
    packed_ = Tile::template memory<Slot::packed>(Tile::block * width_);
    for (int i = 0; i < M; ++i) {
      const auto [row, head, position] = query(i);
      R* to = rows_ + i * width_;
      scale_query<P>(shape_, q_, query(i), positions_.content_bias(), to);
      std::fill(to + K, to + width_, R(0));
      const R *dy = dy_.row(row) + head * K, *y = y_.row(row) + head * K;
      std::copy_n(dy, K, dout_ + i * width_);
      std::fill(dout_ + i * width_ + K, dout_ + (i + 1) * width_, R(0));
      lse_of_[i] = static_cast<R>(lse_.row(row)[head]);
      delta_[i] = Math::sum(static_cast<std::size_t>(K), [&](auto part) { return part.load(dy) * part.load(y); });
    }
    Tile::set_side_by_side([&](int i) { return rows_ + i * width_; }, M, K, asked_);
    Tile::set_side_by_side([&](int i) { return dout_ + i * width_; }, M, K, dasked_);
    std::fill_n(dqueries_, M * width_, R(0));
    if (!uniform_) positions_.begin(queries_);
  }

  void attend(const Block& block) {
    const int M = count();
    pack(block);
    if (!uniform_) positions_.prepare(block, 0, M);
    ends_.clear();
    for (int i = 0; i < M; i += Tile::mr) ends_.push_back(tile(block, i, std::min(Tile::mr, M - i)));
    if (!uniform_) positions_.gradient(dposition_, block, dscores_);
    for (const AttentionPart& part : block.parts()) {
      const KeyValueGradient<P>& dpool = dpools_[static_cast<std::size_t>(part.pool)];
      if (dpool.dv.data) add_transposed(weights_, part, dout_, dpool.dv);
      if (dpool.dk.data && !uniform_) add_transposed(dscores_, part, rows_, dpool.dk);
    }
  }

  /// The block's keys and values, feature after feature, and its keys, one after another.
  void pack(const Block& block) {
    if (uniform_) return;
    const int K = shape_.head_dim;
    vectors_.find(block, pools_, g_ * K);
    for (int j = 0; j < block.count; ++j) {
      R* to = packed_ + j * width_;
      std::copy_n(vectors_.key(j), K, to);
      std::fill(to + K, to + width_, R(0));
    }
    Tile::transpose([&](int j) { return vectors_.key(j); }, block.count, K, keys_, Tile::block);
    Tile::transpose([&](int j) { return vectors_.value(j); }, block.count, K, values_, Tile::block);
  }

  /// Weights and gradients of scores of queries i .. i + rows - 1, and what flows from these to the queries. Returns
  /// one more than the last column that one of them sees.
  int tile(const Block& block, int i, int rows) {
    const int end = block.seen_by(queries_.subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(rows)));
    if (end == 0) return end;
    const int K = shape_.head_dim, width = Tile::whole(end);
    const auto multiply = [&](const R* side_by_side, const R* columns, R* to) {
      Tile::template product<1, Tile::side_by_side>(
          rows, width, K, side_by_side + Tile::beside(i, K), [&](int k) { return columns + k * Tile::block; },
          [&](int r, int n, V sum) { Math::store(to + (i + r) * Tile::score_row + n, sum); });
    };
    if (!uniform_) multiply(asked_, keys_, weights_);
    if (!uniform_) multiply(dasked_, values_, dscores_);
    for (int r = i; r < i + rows; ++r) {
      R *weights = weights_ + r * Tile::score_row, *dscores = dscores_ + r * Tile::score_row;
      if (uniform_)
        std::fill_n(weights, width, R(0));
      else
        positions_.add(block, r, weights);
      block.mask(query(r).position, weights, width);
      const bool blind = lse_of_[r] == -Tile::infinity;
      for (int j = 0; j < width; j += Tile::lanes) {
        const V weight = blind ? V{} : Tile::weight(Math::load(weights + j) - lse_of_[r]);
        Math::store(weights + j, weight);
        if (!uniform_) Math::store(dscores + j, weight * (Math::load(dscores + j) - delta_[r]));
      }
      // Keys are taken mr at a time, some of which may lie further on.
      for (int j = width; j < std::min(width + Tile::mr, Tile::block); ++j) weights[j] = dscores[j] = 0;
    }
    if (!uniform_)
      Tile::template product<Tile::score_row, 1>(
          rows, width_, end, dscores_ + i * Tile::score_row, [&](int j) { return packed_ + j * width_; },
          [&](int r, int n, V sum) {
            R* to = dqueries_ + (i + r) * width_ + n;
            Math::store(to, Math::load(to) + sum);
          });
    return end;
  }

  /// Rows of `part` in d += its columns of aᵀ b, over the queries of tiles that see them.
  void add_transposed(const R* a, const AttentionPart& part, const R* b, Out<P> d) const {
    const int K = shape_.head_dim, tiles = static_cast<int>(ends_.size());
    const auto sees = [&](int t, int column) { return ends_[static_cast<std::size_t>(t)] > column; };
    for (int j = 0; j < part.count; j += Tile::mr) {
      const int rows = std::min(Tile::mr, part.count - j), column = part.column + j;
      for (int first = 0, last = 0; first < tiles; first = last + 1) {
        while (first < tiles && !sees(first, column)) ++first;
        for (last = first; last < tiles && sees(last, column);) ++last;
        const int i = first * Tile::mr, steps = std::min(last * Tile::mr, count()) - i;
        if (steps > 0)
          Tile::template product<1, Tile::score_row>(
              rows, width_, steps, a + i * Tile::score_row + column, [&](int k) { return b + (i + k) * width_; },
              [&](int r, int n, V sum) { Tile::add(sum, d.row(part.key + j + r) + g_ * K + n, K - n); });
      }
    }
  }
  const AttentionShape& shape_;
  In<P> q_;
  std::span<const KeyValue<P>> pools_;
  typename Walk::Segments segments_;
  In<P> y_;
  Rows<P, dynamic, A> lse_;
  In<P> dy_;
  Out<P> dq_;
  std::span<const KeyValueGradient<P>> dpools_;
  const PositionGradient& dposition_;
  AttentionPositions<R, Set, Position> positions_;
  std::span<const AttentionQuery> queries_;
  int g_ = 0, width_ = 0;  // head of keys; features, filled up to whole vectors
  bool uniform_ = false;
  R *rows_ = nullptr, *asked_ = nullptr, *dout_ = nullptr, *dasked_ = nullptr;  // of queries: rows, and side by side
  R *dqueries_ = nullptr, *lse_of_ = nullptr, *delta_ = nullptr;                // <dy, y>
  R *weights_ = nullptr, *dscores_ = nullptr;                                   // (queries, block)
  R *keys_ = nullptr, *values_ = nullptr, *packed_ = nullptr;
  typename Walk::template Vectors<R> vectors_;  // of the block
  std::vector<int> ends_;                       // of each tile, in this block
};

}  // namespace flamingo::kernels
