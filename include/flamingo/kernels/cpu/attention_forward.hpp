/// The forward pass of the CPU's attention: a piece of queries over blocks of keys.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <flamingo/kernels/cpu/attention_positions.hpp>
#include <flamingo/kernels/cpu/attention_tile.hpp>
#include <flamingo/kernels/cpu/attention_walk.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

/// T: the numbers of keys and values.
template <class R, Isa Set, class Position, class T = R>
class AttentionForward {
 public:
  using P = Cpu<R, Set, Products::own>;
  using A = AccumulateOf<P>;
  using Tile = AttentionTile<R, Set>;
  using V = typename Tile::V;
  using Walk = AttentionWalk<P, Tile::block>;
  using Block = typename Walk::Block;

  AttentionForward(const AttentionShape& shape, In<P> q, std::span<const KeyValue<P, T>> pools, const Spans<P>& spans,
                   const Position& position, Out<P> y, Rows<P, dynamic, A> lse)
      : shape_(shape),
        q_(q),
        pools_(pools),
        segments_(spans.segments),
        y_(y),
        lse_(lse),
        positions_(shape, q, position) {}

  /// Writes the rows of `strips`, of which the first `shared` columns are the same, for `heads` heads of keys from g
  /// on.
  void run(std::span<const AttentionStrip> strips, int shared, int g, int heads) {
    const int group = shape_.heads / shape_.kv_heads;
    queries_ = queries_of<R, Set>(strips, group, g, heads, Tile::mr);
    uniform_ = strips[0].span->uniform != 0;
    begin();
    int rows = 0;
    for (const AttentionStrip& strip : strips) rows += strip.rows;
    // Heads lie side by side in memory, so they take turns at a block. Meanwhile memory is asked for the next one; for
    // the first, which nobody has asked for, a head at a time.
    bool at_first = true;
    const auto each_head = [&](const Block& block, const Block& next, int first, int last) {
      look_ahead(block, next);
      for (g_ = g; g_ < g + heads; ++g_) {
        next_head_ = at_first && g_ + 1 < g + heads ? shape_.head_dim : 0;
        const int of_head = (g_ - g) * Tile::whole(rows * group, Tile::mr);
        attend(block, of_head + first * group, of_head + last * group);
      }
      at_first = false;
    };
    Block now, next;
    int done = 0;
    if (strips.size() > 1) {
      typename Walk::Columns columns(strips[0], segments_);
      columns.next(next);
      for (; done + Tile::block <= shared; done += Tile::block) {
        now = next;
        columns.next(next);
        each_head(now, next, 0, rows);
      }
    }
    int first = 0;
    for (const AttentionStrip& strip : strips) {
      typename Walk::Columns columns(strip, segments_, done);
      for (bool more = columns.next(next); more;) {
        now = next;
        more = columns.next(next);
        each_head(now, next, first, first + strip.rows);
      }
      first += strip.rows;
    }
    for (int i = 0; i < count(); ++i)
      if (query(i).row >= 0) finish(i);
  }

 private:
  static constexpr int keys_together = 64;
  struct Slot {
    enum { scaled, asked, sums, totals, maxima, columns, packed };
  };

  int count() const { return static_cast<int>(queries_.size()); }
  const AttentionQuery& query(int i) const { return queries_[static_cast<std::size_t>(i)]; }
  std::span<const AttentionQuery> queries(int i, int rows) const {
    return queries_.subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(rows));
  }

  void begin() {
    const int M = count(), K = shape_.head_dim;
    width_ = Tile::whole(K);
    R* rows = Tile::template memory<Slot::scaled>(M * K);
    for (int i = 0; i < M; ++i)
      if (query(i).row >= 0) scale_query<P>(shape_, q_, query(i), positions_.content_bias(), rows + i * K);
    asked_ = Tile::template memory<Slot::asked>(Tile::beside(M + Tile::mr, K));
    Tile::set_side_by_side([&](int i) { return rows + i * K; }, M, K, asked_);
    positions_.begin(queries_);
    sums_ = Tile::template memory<Slot::sums>(M * width_);
    totals_ = Tile::template memory<Slot::totals>(M * Tile::lanes);
    maxima_ = Tile::template memory<Slot::maxima>(M);
    std::fill_n(sums_, M * width_, R(0));
    std::fill_n(totals_, M * Tile::lanes, R(0));
    std::fill_n(maxima_, M, -Tile::infinity);
    columns_ = Tile::template memory<Slot::columns>(K * Tile::block);
    packed_ = Tile::template memory<Slot::packed>(Tile::block * width_);
  }

  /// The block's keys under queries first .. last - 1.
  void attend(const Block& block, int first, int last) {
    vectors_.find(block, pools_, g_ * shape_.head_dim);
    if (!uniform_) positions_.prepare(block, first, last);
    if (first / Tile::mr == (last - 1) / Tile::mr && shape_.head_dim == width_)
      stream(block, first, last - first);
    else
      pack(block, first, last);
  }

  /// One tile of queries: keys go through registers, of several queries into the first-level cache; values are read
  /// where they lie. Memory is asked for both a while before.
  void stream(const Block& block, int i, int rows) {
    Scores scores;
    const int end = block.seen_by(queries(i, rows)), K = shape_.head_dim;
    for (int j = 0; j < end && !uniform_; j += keys_together) {
      const int count = std::min(keys_together, end - j);
      const auto key = [&](int n) {
        prefetch_ahead(vectors_.key(j + n), ahead_keys_);
        prefetch_ahead(vectors_.value(j + n), ahead_values_);
        if (next_head_) {
          prefetch_ahead(vectors_.key(j + n), next_head_);
          prefetch_ahead(vectors_.value(j + n), next_head_);
        }
        return vectors_.key(j + n);
      };
      if (rows == 1) {
        Tile::template product_with_rows<Tile::side_by_side>(key, count, K, asked_ + Tile::beside(i, K),
                                                             scores.data() + j);
      } else {
        Tile::transpose(key, count, K, columns_, keys_together);
        score(i, rows, columns_, keys_together, Tile::whole(count), scores.data() + j);
      }
    }
    weigh(block, i, rows, end, scores, [&](int j) { return vectors_.value(j); });
  }
  /// How far behind a block's vectors those of the next one lie, as far as one number says it; 0 where it does not.
  void look_ahead(const Block& block, const Block& next) {
    ahead_keys_ = ahead_values_ = 0;
    if (block.size == 0 || next.size == 0 || block.all[0].pool != next.all[0].pool) return;
    const KeyValue<P, T>& pool = pools_[static_cast<std::size_t>(next.all[0].pool)];
    const std::ptrdiff_t rows = next.all[0].key - block.all[0].key;
    ahead_keys_ = rows * int(pool.k.width);
    ahead_values_ = rows * int(pool.v.width);
  }
  /// Asks for what lies `ahead` of a vector. It arrives in the second-level cache, since the first one does not hold a
  /// block.
  void prefetch_ahead(const T* vector, std::ptrdiff_t ahead) const {
    const auto* at = reinterpret_cast<const char*>(vector) + ahead * static_cast<std::ptrdiff_t>(sizeof(T));
    for (int k = 0; k < shape_.head_dim * static_cast<int>(sizeof(T)); k += 64) __builtin_prefetch(at + k, 0, 2);
  }
  /// Asks for a head's vector, without waiting for it.
  void prefetch(const T* vector) const {
    for (int k = 0; k < shape_.head_dim; k += 64 / static_cast<int>(sizeof(T))) __builtin_prefetch(vector + k);
  }
  /// Many queries: keys and values are packed once for all of them.
  void pack(const Block& block, int first, int last) {
    const int K = shape_.head_dim;
    if (!uniform_)
      Tile::transpose(
          [&](int j) {
            prefetch(vectors_.key(std::min(j + 2 * Tile::lanes, block.count - 1)));
            prefetch(vectors_.value(j));
            return vectors_.key(j);
          },
          block.count, K, columns_, Tile::block);
    for (int j = 0; j < block.count; ++j) {
      const T* value = vectors_.value(j);
      R* to = packed_ + j * width_;
      for (int k = 0; k < K; ++k) to[k] = Tile::number(value[k]);
      for (int k = K; k < width_; ++k) to[k] = 0;
    }
    for (int i = first; i < last;) {
      const int rows = std::min(Tile::mr - i % Tile::mr, last - i);
      Scores scores;
      const int end = block.seen_by(queries(i, rows));
      if (!uniform_) score(i, rows, columns_, Tile::block, Tile::whole(end), scores.data());
      weigh(block, i, rows, end, scores, [&](int j) { return packed_ + j * width_; });
      i += rows;
    }
  }

  /// Of queries side by side, rows of a block's width.
  using Scores = std::array<R, std::size_t{Tile::mr * Tile::score_row}>;

  void score(int i, int rows, const R* columns, int stride, int width, R* to) const {
    Tile::template product<1, Tile::side_by_side>(
        rows, width, shape_.head_dim, asked_ + Tile::beside(i, shape_.head_dim),
        [&](int k) { return columns + k * stride; },
        [&](int r, int n, V sum) { Tile::Math::store(to + r * Tile::score_row + n, sum); });
  }
  /// Scores of the first `end` columns become weights, and values are added by them: value(j) is that of column j.
  template <class Value>
  void weigh(const Block& block, int i, int rows, int end, Scores& scores, const Value& value) {
    if (end == 0) return;
    const int width = Tile::whole(end);
    std::array<R, std::size_t{Tile::mr}> rescale;
    for (int r = 0; r < rows; ++r) {
      R* score = scores.data() + r * Tile::score_row;
      if (uniform_)
        std::fill_n(score, width, R(0));
      else
        positions_.add(block, i + r, score);
      block.mask(query(i + r).position, score, width);
      rescale[static_cast<std::size_t>(r)] =
          Tile::softmax_step(score, width, maxima_[i + r], totals_ + (i + r) * Tile::lanes);
    }
    R* to = sums_ + i * width_;
    Tile::template product<Tile::score_row, 1>(rows, width_, end, scores.data(), value, [&](int r, int n, V sum) {
      R* at = to + r * width_ + n;
      Tile::Math::store(at, Tile::Math::load(at) * rescale[static_cast<std::size_t>(r)] + sum);
    });
  }

  void finish(int i) {
    const int K = shape_.head_dim;
    const auto [row, head, position] = query(i);
    const R total = Tile::sum_of_lanes(totals_ + i * Tile::lanes);
    R* y = y_.row(row) + head * K;
    if (total == 0) {  // it sees no key, or none that weighs
      std::fill_n(y, K, R(0));
      lse_.row(row)[head] = -std::numeric_limits<A>::infinity();
      return;
    }
    const R scale = 1 / total;
    for (int k = 0; k < K; ++k) y[k] = sums_[i * width_ + k] * scale;
    lse_.row(row)[head] = static_cast<A>(maxima_[i] + std::log(total));
  }

  const AttentionShape& shape_;
  In<P> q_;
  std::span<const KeyValue<P, T>> pools_;
  typename Walk::Segments segments_;
  Out<P> y_;
  Rows<P, dynamic, A> lse_;
  AttentionPositions<R, Set, Position> positions_;
  std::span<const AttentionQuery> queries_;
  int g_ = 0, width_ = 0;  // head of keys; features, filled up to whole vectors
  bool uniform_ = false;
  R *asked_ = nullptr, *sums_ = nullptr, *totals_ = nullptr, *maxima_ = nullptr;
  typename Walk::template Vectors<T> vectors_;        // of the block
  std::ptrdiff_t ahead_keys_ = 0, ahead_values_ = 0;  // numbers from a vector to the next block's
  std::ptrdiff_t next_head_ = 0;                      // to the next head's; 0: it was asked for
  R *columns_ = nullptr, *packed_ = nullptr;          // its keys, feature after feature; its values, one after another
};

}  // namespace flamingo::kernels
