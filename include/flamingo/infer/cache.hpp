/// Keys and values that outlive a run: of text, row by row, and of media, computed once and shared by whoever sees
/// them.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/context.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/core/shared.hpp>
#include <flamingo/core/spans.hpp>

namespace flamingo {

/// How many sequences use each row of a pool.
class RowUses {
 public:
  explicit RowUses(int rows) : uses_(static_cast<std::size_t>(rows), 0) {}

  int rows() const { return static_cast<int>(uses_.size()); }
  int used() const { return used_; }

  /// The first of `count` adjacent free rows, used once from now on. It goes on after the rows taken last, so that the
  /// rows of a sequence that is read alone lie one after another.
  int take(int count) {
    int first = find(next_, rows(), count);
    if (first < 0) first = find(0, rows(), count);
    check(first >= 0, "cache", count, " adjacent rows asked for, ", rows() - used_, " of ", rows(),
          " are free; drop sequences or give the engine more text rows");
    change(first, count, 1);
    next_ = first + count;
    return first;
  }
  /// A row, used once from now on, for what follows row `last` of a sequence (-1: nothing): the next one if it is free,
  /// so that a sequence's rows lie one after another; else one with free rows after it, which the next search leaves
  /// alone as long as there are others.
  int take_after(int last) {
    int row = last + 1;
    if (last < 0 || row >= rows() || uses_[static_cast<std::size_t>(row)] > 0) {
      row = -1;
      for (int room = 64; row < 0 && room > 0; room /= 2) {
        row = find(next_, rows(), room);
        if (row < 0) row = find(0, rows(), room);
        if (row >= 0) next_ = row + room;
      }
      check(row >= 0, "cache", "all ", rows(), " rows are in use; drop sequences or give the engine more text rows");
    }
    change(row, 1, 1);
    return row;
  }
  void change(int first, int count, int by) {
    for (int& uses : std::span(uses_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))) {
      used_ -= uses > 0;
      uses += by;
      used_ += uses > 0;
    }
  }

 private:
  int find(int from, int to, int count) const {
    int free = 0;
    for (int row = from; row < to; ++row) {
      free = uses_[static_cast<std::size_t>(row)] ? 0 : free + 1;
      if (free >= count) return row - count + 1;
    }
    return -1;
  }

  std::vector<int> uses_;
  int used_ = 0, next_ = 0;
};

/// Rows of a pool that a sequence reads, in its order. A copy shares the rows; they are free again when the last copy
/// is gone.
class CacheRows {
 public:
  struct Run {
    int first = 0, count = 0;
  };

  CacheRows() = default;
  explicit CacheRows(Shared<RowUses> uses) : uses_(std::move(uses)) {}
  /// `count` free rows of the pool, adjacent.
  static CacheRows take(Shared<RowUses> uses, int count) {
    CacheRows rows(std::move(uses));
    if (count == 0) return rows;
    rows.runs_.push_back({rows.uses_->take(count), count});
    rows.count_ = count;
    return rows;
  }
  /// A row for what follows each of `lasts` (RowUses::take_after).
  static CacheRows take_after(Shared<RowUses> uses, std::span<const int> lasts) {
    CacheRows rows(std::move(uses));
    for (const int last : lasts) {
      rows.runs_.push_back({rows.uses_->take_after(last), 1});
      ++rows.count_;
    }
    return rows;
  }
  CacheRows(const CacheRows& other) : uses_(other.uses_), runs_(other.runs_), count_(other.count_) { change(1); }
  CacheRows(CacheRows&& other) noexcept
      : uses_(std::move(other.uses_)), runs_(std::move(other.runs_)), count_(std::exchange(other.count_, 0)) {
    other.runs_.clear();
  }
  CacheRows& operator=(CacheRows other) noexcept {
    std::swap(uses_, other.uses_);
    std::swap(runs_, other.runs_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~CacheRows() { change(-1); }

  /// Reads rows [first, first + count) too, after all others.
  void append(int first, int count) {
    uses_->change(first, count, 1);
    if (!runs_.empty() && runs_.back().first + runs_.back().count == first)
      runs_.back().count += count;
    else
      runs_.push_back({first, count});
    count_ += count;
  }

  int count() const { return count_; }
  /// The row read last; -1 where there is none.
  int last() const { return runs_.empty() ? -1 : runs_.back().first + runs_.back().count - 1; }
  std::span<const Run> runs() const { return runs_; }

 private:
  void change(int by) {
    for (const Run& run : runs_) uses_->change(run.first, run.count, by);
  }

  Shared<RowUses> uses_;
  std::vector<Run> runs_;
  int count_ = 0;
};

/// The keys and values of text in each decoder block, grafted ones too: pools of `capacity` rows in the kept memory of
/// a context.
template <class M, Platform P>
struct TextCache {
  static constexpr int KV = M::Block::KV, pools = 2 * static_cast<int>(M::all_blocks);
  Rows<P, KV> all;  ///< every pool's: those of block i begin at row 2 i capacity, keys before values
  std::array<Rows<P, KV>, M::all_blocks> k, v;
  Shared<RowUses> uses;

  TextCache(Context<P>& ctx, int capacity)
      : all(keep<KV>(ctx, pools * capacity)), uses(Shared<RowUses>::make(capacity)) {
    for (int i = 0; i < pools; i += 2) {
      k[static_cast<std::size_t>(i / 2)] = all.slice(i * capacity, capacity);
      v[static_cast<std::size_t>(i / 2)] = all.slice((i + 1) * capacity, capacity);
    }
  }
};

/// What relative positions read of each distance in each decoder block (Attention::distances), in the kept memory of a
/// context: made once, for as many distances as sequences have reached.
template <class M, Platform P>
struct DistanceCache {
  using Attend = typename M::Block::Attend;
  std::array<Rows<P, Attend::Q>, M::all_blocks> r;

  DistanceCache(Context<P>& ctx, int capacity) : capacity_(capacity) {
    for (auto& rows : r) rows = keep<Attend::Q>(ctx, capacity);
  }
  /// Makes those below `distances` that are not there. A few more are made too: the weights are read for all at once.
  template <class Connector, class Lm>
  void reach(Context<P>& ctx, const Connector& connector, const Lm& lm, int distances) {
    if (distances <= made_) return;
    const int more = std::min(capacity_, std::max(distances, made_ + 64)) - made_;
    for (std::size_t i = 0; i < M::all_blocks; ++i)
      M::with_block(connector, lm, i,
                    [&](const auto& w) { Attend::distances(ctx, w.attention, made_, r[i].slice(made_, more)); });
    made_ += more;
  }

 private:
  int capacity_, made_ = 0;
};

/// A medium in a MediaCache. It stays there at least as long as a copy of this lives.
class CachedMedium {
 public:
  /// Its place: row `place() * R` of every pool is its first.
  int place() const { return *place_; }
  /// How many of its R rows are there to be seen.
  int rows() const { return rows_; }

 private:
  template <class M, Platform P>
  friend struct MediaCache;
  CachedMedium(int place, int rows) : place_(Shared<const int>::make(place)), rows_(rows) {}
  Shared<const int> place_;
  int rows_;
};

/// A medium's content as a number: of its features' bytes and whatever else its latents depend on.
inline std::uint64_t content_key(std::span<const std::byte> features, int frames, int place, int rows = 0) {
  std::uint64_t h = features.size();
  const auto mix = [&h](std::uint64_t word) {  // both halves of a product reach the whole next word
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
  };
  std::size_t at = 0;
  for (std::uint64_t word = 0; at + sizeof word <= features.size(); at += sizeof word) {
    std::memcpy(&word, &features[at], sizeof word);
    mix(word);
  }
  for (; at < features.size(); ++at) mix(static_cast<std::uint64_t>(features[at]));
  for (const int n : {frames, place, rows}) mix(static_cast<std::uint64_t>(n));
  return h;
}

/// Latents of media, and their keys and values in each gated block: R rows a medium, in the kept memory of a context.
/// Media that nobody holds give way to new ones, the one that was asked for longest ago first.
template <class M, Platform P>
struct MediaCache {
  static constexpr int R = M::R, E = M::E, KV = M::Gated::KV;
  Rows<P, E> latents;
  std::array<Rows<P, KV>, M::gated_blocks> k, v;

  MediaCache(Context<P>& ctx, int capacity) : latents(keep<E>(ctx, capacity * R)), capacity_(capacity) {
    for (std::size_t j = 0; j < M::gated_blocks; ++j) {
      k[j] = keep<KV>(ctx, capacity * R);
      v[j] = keep<KV>(ctx, capacity * R);
    }
  }

  /// The medium of this content, with so many rows to be seen; if it is not here, compute(its place) makes its rows
  /// first.
  template <class Compute>
  CachedMedium get(std::uint64_t key, int rows, const Compute& compute) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
    if (found != entries_.end()) {
      std::rotate(found, found + 1, entries_.end());
      return entries_.back().medium;
    }
    const CachedMedium medium(free_place(), rows);
    compute(medium.place());
    entries_.push_back({key, medium});
    return medium;
  }
  /// Forgets all media that nobody holds.
  void drop_unused() {
    std::erase_if(entries_, [](const Entry& e) { return unused(e); });
  }
  int size() const { return static_cast<int>(entries_.size()); }

 private:
  struct Entry {
    std::uint64_t key;
    CachedMedium medium;
  };
  static bool unused(const Entry& e) { return e.medium.place_.unique(); }

  int free_place() {
    if (size() == capacity_) {
      const auto oldest = std::find_if(entries_.begin(), entries_.end(), unused);
      check(oldest != entries_.end(), "cache", "all ", capacity_,
            " places for media are in use; drop sequences or give the engine more");
      const int place = oldest->medium.place();
      entries_.erase(oldest);
      return place;
    }
    std::vector<char> taken(static_cast<std::size_t>(capacity_), 0);
    for (const Entry& e : entries_) taken[static_cast<std::size_t>(e.medium.place())] = 1;
    return static_cast<int>(std::find(taken.begin(), taken.end(), 0) - taken.begin());
  }

  int capacity_;
  std::vector<Entry> entries_;  ///< the one asked for last at the end
};

}  // namespace flamingo
