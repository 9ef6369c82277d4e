/// Who attends to whom, in the order in which the CPU's attention goes over it: pieces of spans, and the keys of a span
/// as columns, a block at a time.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <flamingo/core/spans.hpp>
#include <flamingo/ops/attention.hpp>

namespace flamingo::kernels {

/// Consecutive rows of a span.
struct AttentionStrip {
  const Span* span;
  int first, rows;

  int position() const { return span->position + first - span->first_row; }  ///< of its first row
  int last_position() const { return position() + rows - 1; }
};

/// Strips that are computed together, with one head of keys: part of one span, or the whole of several whose first
/// `shared` columns are the same and visible to all their rows.
struct AttentionPiece {
  std::size_t first_strip;
  int strips, rows, shared;
};

/// Some neighbours of a pool, as columns of scores.
struct AttentionPart {
  int column, count, pool, key;
  int position;  ///< of its first key
  bool causal;

  /// How many of them a query at position `at` sees.
  int visible(int at) const { return causal ? std::clamp(at - position + 1, 0, count) : count; }
};

template <Platform P, int width>
struct AttentionWalk {
  using Segments = View<P, 1, const Segment>;

  struct Block {
    int count = 0;  ///< columns
    int size = 0;   ///< parts
    bool causal = false;
    std::array<AttentionPart, std::size_t{width}> all;

    std::span<const AttentionPart> parts() const { return {all.data(), static_cast<std::size_t>(size)}; }
    /// One more than the last column that a query at position `at` sees.
    int seen(int at) const {
      if (!causal) return count;
      int end = 0;
      for (const AttentionPart& part : parts())
        if (const int visible = part.visible(at); visible > 0) end = part.column + visible;
      return end;
    }
    /// One more than the last column that one of these queries sees.
    template <class Queries>
    int seen_by(const Queries& queries) const {
      int end = 0;
      for (const auto& query : queries) end = std::max(end, seen(query.position));
      return end;
    }
    /// Columns that a query at position `at` does not see become -∞, and those behind the last up to `end`.
    template <class R>
    void mask(int at, R* scores, int end) const {
      constexpr R unseen = -std::numeric_limits<R>::infinity();
      if (causal)
        for (const AttentionPart& part : parts())
          for (int j = part.visible(at); j < part.count && part.column + j < end; ++j) scores[part.column + j] = unseen;
      for (int j = count; j < end; ++j) scores[j] = unseen;
    }
  };

  /// Where a block's keys and values of one head lie, numbers of type T.
  template <class T>
  struct Vectors {
    std::array<const T*, std::size_t{width}> keys, values;

    /// Of the head that begins at `column` of the pools.
    void find(const Block& block, std::span<const KeyValue<P, T>> pools, int column) {
      for (const AttentionPart& part : block.parts()) {
        const KeyValue<P, T>& pool = pools[static_cast<std::size_t>(part.pool)];
        for (int j = 0; j < part.count; ++j) {
          const auto at = static_cast<std::size_t>(part.column + j);
          keys[at] = pool.k.row(part.key + j) + column;
          values[at] = pool.v.row(part.key + j) + column;
        }
      }
    }
    const T* key(int j) const { return keys[static_cast<std::size_t>(j)]; }
    const T* value(int j) const { return values[static_cast<std::size_t>(j)]; }
  };

  /// The keys of a strip's segments, one after another, from column `skip` on.
  class Columns {
   public:
    Columns(const AttentionStrip& strip, const Segments& segments, int skip = 0)
        : segment_(segments.data + strip.span->first_segment),
          left_(strip.span->segments),
          last_position_(strip.last_position()) {
      while (left_ > 0 && skip >= count() - done_) {
        skip -= count() - done_;
        leave();
      }
      done_ += skip;
    }
    /// The next columns, fewer than `width` of them only at the end. False where there are none.
    bool next(Block& block) {
      block.count = block.size = 0;
      block.causal = false;
      while (left_ > 0 && block.count < width) {
        const int take = std::min(count() - done_, width - block.count);
        if (take > 0) {
          block.all[static_cast<std::size_t>(block.size++)] = {
              block.count,          take, segment_->pool, segment_->first + done_, segment_->position + done_,
              segment_->causal != 0};
          block.causal |= segment_->causal != 0;
          block.count += take;
          done_ += take;
        }
        if (done_ == count()) leave();
      }
      return block.count > 0;
    }

   private:
    /// Of the last segment only what is seen; of the others all, so that columns do not depend on who else asks.
    int count() const {
      return left_ == 1 && segment_->causal ? std::clamp(last_position_ - segment_->position + 1, 0, segment_->count)
                                            : segment_->count;
    }
    void leave() {
      ++segment_;
      --left_;
      done_ = 0;
    }

    const Segment* segment_;
    int left_, last_position_, done_ = 0;
  };

  std::vector<AttentionStrip> strips;
  std::vector<AttentionPiece> pieces;

  /// Pieces of at most `most` rows. Spans of fewer than `few` rows are taken together where they share keys.
  AttentionWalk(const Spans<P>& spans, int most, int few) {
    for (int s = 0; s < spans.spans.shape[0]; ++s) {
      const Span& span = spans.spans.data[s];
      if (span.rows < few && !pieces.empty() && pieces.back().rows + span.rows <= most) {
        AttentionPiece& last = pieces.back();
        const int shared = std::min(last.shared, shared_columns(*strips[last.first_strip].span, span, spans.segments));
        if (shared >= width) {
          strips.push_back({&span, span.first_row, span.rows});
          last.shared = shared;
          last.rows += span.rows;
          ++last.strips;
          continue;
        }
      }
      for (int done = 0; done < span.rows; done += most) {
        const int rows = std::min(most, span.rows - done);
        pieces.push_back({strips.size(), 1, rows, span.rows < few ? shared_columns(span, span, spans.segments) : 0});
        strips.push_back({&span, span.first_row + done, rows});
      }
    }
  }

 private:
  /// How many columns two spans have in common that all rows of both see.
  static int shared_columns(const Span& a, const Span& b, const Segments& segments) {
    if (a.uniform || b.uniform) return 0;
    int shared = 0;
    for (int i = 0; i < std::min(a.segments, b.segments); ++i) {
      const Segment &s = segments.data[a.first_segment + i], &t = segments.data[b.first_segment + i];
      if (s.pool != t.pool || s.first != t.first || s.position != t.position || s.causal || t.causal) break;
      shared += std::min(s.count, t.count);
      if (s.count != t.count) break;
    }
    return shared;
  }
};

}  // namespace flamingo::kernels
