/// Memory of a run and of weights: ranges of pages that are made when touched. A run has one range with two ends. What
/// backward will read grows from the front, scratch from the back.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// Hands out bytes of a range that somebody else owns (or of none at all, to count). 64-byte steps.
class Arena {
 public:
  static constexpr std::size_t alignment = 64;

  Arena() = default;
  Arena(std::byte* base, std::size_t capacity) : base_(base), capacity_(capacity / alignment * alignment) {}

  std::byte* keep(std::size_t bytes) {
    const std::size_t at = kept_;
    reserve(bytes);
    kept_ += round_up(bytes);
    note();
    return base_ ? base_ + at : nullptr;
  }
  std::byte* scratch(std::size_t bytes) {
    reserve(bytes);
    scratch_ += round_up(bytes);
    note();
    return base_ ? base_ + (capacity_ - scratch_) : nullptr;
  }

  /// Where the kept end stands; release(mark) gives back what was kept since.
  std::size_t kept() const { return kept_; }
  void release(std::size_t mark) { kept_ = mark; }
  std::size_t scratched() const { return scratch_; }
  void release_scratch(std::size_t mark) { scratch_ = mark; }

  std::size_t capacity() const { return capacity_; }
  /// The most bytes that were ever taken at one time.
  std::size_t peak() const { return peak_; }
  /// The most bytes that were ever kept.
  std::size_t kept_peak() const { return kept_peak_; }
  void forget_peak() {
    peak_ = kept_ + scratch_;
    kept_peak_ = kept_;
  }

 private:
  static constexpr std::size_t round_up(std::size_t n) { return (n + alignment - 1) / alignment * alignment; }
  void reserve(std::size_t bytes) const {
    const std::size_t left = capacity_ - kept_ - scratch_;
    check(bytes <= left && round_up(bytes) <= left, "arena", "out of memory: ", bytes, " bytes asked for, ", left,
          " of ", capacity_, " left; give the context a larger arena");
  }
  void note() {
    peak_ = std::max(peak_, kept_ + scratch_);
    kept_peak_ = std::max(kept_peak_, kept_);
  }

  std::byte* base_ = nullptr;
  std::size_t capacity_ = 0, kept_ = 0, scratch_ = 0, peak_ = 0, kept_peak_ = 0;
};

/// A range of the address space whose pages cost memory only once touched, so an arena can be sized generously.
class AddressRange {
 public:
  static constexpr std::size_t large_page = std::size_t{2} << 20, large = 16 * large_page;

  explicit AddressRange(std::size_t bytes) : bytes_(bytes) {
    room_ = bytes < large ? bytes : bytes + large_page;
    void* at = mmap(nullptr, room_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(at != MAP_FAILED, "arena", "the system refused ", bytes, " bytes of address space");
    room_at_ = data_ = static_cast<std::byte*>(at);
    if (bytes >= large) data_ += (large_page - reinterpret_cast<std::uintptr_t>(at) % large_page) % large_page;
  }
  /// Asks for pages of 2 MiB from byte `first` on, where reading is faster: what is touched there one after another,
  /// for it costs memory in such steps. A small range, or a system without such pages, stays as it is.
  void prefer_large_pages(std::size_t first = 0) {
#ifdef MADV_HUGEPAGE
    first = (first + large_page - 1) / large_page * large_page;
    if (bytes_ >= large && first < bytes_) madvise(data_ + first, bytes_ - first, MADV_HUGEPAGE);
#endif
  }
  AddressRange(AddressRange&& other) noexcept
      : room_at_(std::exchange(other.room_at_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        room_(std::exchange(other.room_, 0)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  AddressRange& operator=(AddressRange&& other) noexcept {
    std::swap(room_at_, other.room_at_);
    std::swap(data_, other.data_);
    std::swap(room_, other.room_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~AddressRange() {
    if (room_at_) munmap(room_at_, room_);
  }
  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::byte *room_at_ = nullptr, *data_ = nullptr;
  std::size_t room_ = 0, bytes_ = 0;
};

/// Memory for weights that live as long as this: pieces of large ranges, so that matrices share large pages. It begins
/// with zeros.
class Pieces {
 public:
  std::byte* take(std::size_t bytes) {
    bytes = (bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment;
    if (ranges_.empty() || bytes > ranges_.back().size() - taken_) {
      ranges_.emplace_back(std::max(bytes, std::size_t{64} << 20));
      ranges_.back().prefer_large_pages();
      taken_ = 0;
    }
    return ranges_.back().data() + std::exchange(taken_, taken_ + bytes);
  }

 private:
  std::vector<AddressRange> ranges_;
  std::size_t taken_ = 0;  ///< of the last one
};

}  // namespace flamingo
