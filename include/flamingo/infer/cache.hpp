/// Keys and values that outlive a run: of text, row by row, and of media, computed once and shared by whoever sees
/// them.
#pragma once
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/context.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/core/shared.hpp>
#include <flamingo/core/spans.hpp>

namespace flamingo {

/// There is no room left in an engine: for rows of text, or for media.
struct CacheFull : Error {
  using Error::Error;
};

/// `count` rows of a pool from `first` on.
struct RowRun {
  int first = 0, count = 0;
};

/// How many sequences use each row of a pool. Any number of threads may ask it at a time.
class RowUses {
 public:
  explicit RowUses(int rows) : uses_(static_cast<std::size_t>(rows), 0) {}

  int rows() const { return static_cast<int>(uses_.size()); }
  int used() const {
    const Turn turn(*this);
    return used_;
  }
  /// `count` rows, used once from now on, for what follows row `last` of a sequence (-1: nothing), as runs in their
  /// order: the next rows as far as they are free, so that a sequence's rows lie one after another; then, if possible,
  /// a gap with free rows after it, which the next search leaves alone as long as there are others.
  void take_after(int last, int count, std::vector<RowRun>& runs) {
    const Turn turn(*this);
    if (count > rows() - used_) full(count);
    for (int next = last < 0 ? rows() : last + 1; count > 0;) {
      int free = 0;
      while (free < count && next + free < rows() && uses_[static_cast<std::size_t>(next + free)] == 0) ++free;
      if (free == 0) {
        int room = 0;
        next = gap(count, room);
        free = std::min(count, room);
        next_ = next + room;
      }
      add(next, free, 1);
      runs.push_back({next, free});
      next += free;
      count -= free;
    }
  }
  /// One user more, or less, of all rows of these runs.
  void change(std::span<const RowRun> runs, int by) {
    if (runs.empty()) return;
    const Turn turn(*this);
    for (const RowRun& run : runs) add(run.first, run.count, by);
  }

 private:
  /// Rows that a sequence may grow into before it meets another one.
  static constexpr int growth = 64;

  /// A lock for the few instructions that a change takes: <mutex> would cost every host that includes flamingo.hpp its
  /// compiling.
  class Turn {
   public:
    explicit Turn(const RowUses& of) : of_(of) {
      while (__atomic_test_and_set(&of_.taken_, __ATOMIC_ACQUIRE)) sched_yield();
    }
    Turn(const Turn&) = delete;
    ~Turn() { __atomic_clear(&of_.taken_, __ATOMIC_RELEASE); }

   private:
    const RowUses& of_;
  };

  [[noreturn]] void full(int count) const {
    throw CacheFull("[cache] " + std::to_string(count) + " more rows of text asked for, " +
                    std::to_string(rows() - used_) + " of " + std::to_string(rows()) +
                    " are free; drop sequences or give the engine more text rows");
  }
  void add(int first, int count, int by) {
    for (int& uses : std::span(uses_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))) {
      used_ -= uses > 0;
      uses += by;
      used_ += uses > 0;
    }
  }
  /// The first row of a gap of `room` free rows: for all `count` and some to grow, or as many of them as there are.
  int gap(int count, int& room) const {
    for (room = count + growth;; room = room > count ? count + (room - count) / 2 : room / 2) {
      int row = find(next_, rows(), room);
      if (row < 0) row = find(0, rows(), room);
      if (row >= 0) return row;
    }
  }
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
  mutable bool taken_ = false;
};

/// Rows of a pool that a sequence reads, in its order. A copy shares the rows; they are free again when the last copy
/// is gone. Copies may be in different threads.
class CacheRows {
 public:
  CacheRows() = default;
  explicit CacheRows(Shared<RowUses> uses) : uses_(std::move(uses)) {}
  /// `count` free rows for what follows row `last` (RowUses::take_after). Throws CacheFull.
  static CacheRows take_after(Shared<RowUses> uses, int last, int count) {
    CacheRows rows(std::move(uses));
    rows.uses_->take_after(last, count, rows.runs_);  // all of them or none
    rows.count_ = count;
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

  /// Reads other rows of the pool too, after all of its own.
  void append(CacheRows other) {
    for (const RowRun& run : other.runs_)
      if (!runs_.empty() && runs_.back().first + runs_.back().count == run.first)
        runs_.back().count += run.count;
      else
        runs_.push_back(run);
    count_ += std::exchange(other.count_, 0);
    other.runs_.clear();
  }

  bool of(const Shared<RowUses>& uses) const { return uses_ == uses; }
  int count() const { return count_; }
  /// The row read last; -1 where there is none.
  int last() const { return runs_.empty() ? -1 : runs_.back().first + runs_.back().count - 1; }
  std::span<const RowRun> runs() const { return runs_; }

 private:
  void change(int by) {
    if (!runs_.empty()) uses_->change(runs_, by);
  }

  Shared<RowUses> uses_;
  std::vector<RowRun> runs_;
  int count_ = 0;
};

/// The keys and values of text in each decoder block, grafted ones too: pools of `capacity` rows of T in the kept
/// memory of a context.
template <class M, Platform P, class T = typename P::Real>
struct TextCache {
  static constexpr int KV = M::Block::KV, pools = 2 * static_cast<int>(M::all_blocks);
  Rows<P, KV, T> all;  ///< every pool's: those of block i begin at row 2 i capacity, keys before values
  std::array<Rows<P, KV, T>, M::all_blocks> k, v;
  Shared<RowUses> uses;

  TextCache(Context<P>& ctx, int capacity)
      : all(keep<KV, T>(ctx, pools * capacity)), uses(Shared<RowUses>::make(capacity)) {
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
  /// Whether both are one medium of one cache.
  bool is(const CachedMedium& other) const { return place_ == other.place_; }

 private:
  template <class M, Platform P, class T>
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

/// Latents of media, and their keys and values in each gated block, of T: R rows a medium, in the kept memory of a
/// context. Media that nobody holds give way to new ones, the one that was asked for longest ago first.
template <class M, Platform P, class T = typename P::Real>
struct MediaCache {
  static constexpr int R = M::R, E = M::E, KV = M::Gated::KV;
  Rows<P, E> latents;
  std::array<Rows<P, KV, T>, M::gated_blocks> k, v;

  MediaCache(Context<P>& ctx, int capacity) : latents(keep<E>(ctx, capacity * R)), capacity_(capacity) {
    for (std::size_t j = 0; j < M::gated_blocks; ++j) {
      k[j] = keep<KV, T>(ctx, capacity * R);
      v[j] = keep<KV, T>(ctx, capacity * R);
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
  /// What a medium of this cache was asked for by.
  std::uint64_t key_of(const CachedMedium& medium) const {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.medium.is(medium); });
    check(found != entries_.end(), "cache", "a medium is another engine's");
    return found->key;
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
      if (oldest == entries_.end())
        throw CacheFull("[cache] all " + std::to_string(capacity_) +
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
