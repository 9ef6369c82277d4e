/// Memory of a run: one range with two ends. What backward will read grows from the front, scratch from the back.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <utility>

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
  void forget_peak() { peak_ = kept_ + scratch_; }

 private:
  static constexpr std::size_t round_up(std::size_t n) { return (n + alignment - 1) / alignment * alignment; }
  void reserve(std::size_t bytes) const {
    const std::size_t left = capacity_ - kept_ - scratch_;
    check(bytes <= left && round_up(bytes) <= left, "arena", "out of memory: ", bytes, " bytes asked for, ", left,
          " of ", capacity_, " left; give the context a larger arena");
  }
  void note() { peak_ = std::max(peak_, kept_ + scratch_); }

  std::byte* base_ = nullptr;
  std::size_t capacity_ = 0, kept_ = 0, scratch_ = 0, peak_ = 0;
};

/// A range of the address space whose pages cost memory only once touched, so an arena can be sized generously.
class AddressRange {
 public:
  explicit AddressRange(std::size_t bytes) : bytes_(bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(at != MAP_FAILED, "arena", "the system refused ", bytes, " bytes of address space");
    data_ = static_cast<std::byte*>(at);
  }
  AddressRange(AddressRange&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AddressRange& operator=(AddressRange&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~AddressRange() {
    if (data_) munmap(data_, bytes_);
  }
  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace flamingo
