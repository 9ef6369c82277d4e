/// The most that this machine does in a second, measured where and when a benchmark runs: multiply-adds out of
/// registers, and bytes read out of memory.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include <flamingo/core/arena.hpp>
#include <flamingo/core/threads.hpp>
#include <flamingo/kernels/cpu/gemm.hpp>

namespace flamingo::bench {

/// The compiler must suppose that somebody reads x here and changes it.
template <class T>
void keep_unknown(T& x) {
  asm volatile("" : : "r"(&x) : "memory");
}

/// Chains of multiply-adds in registers, none of which waits for another: the accumulators of a register tile. Returns
/// the operations done.
template <class R>
double multiply_adds(long rounds) {
  using Shape = kernels::Tile<R, native_isa>;
  using V = typename Shape::Vector;
  constexpr int chains = 2 * Shape::mr;
  std::array<V, std::size_t{chains}> sums{};
  V factor = V{} + R(0.5), term = V{} + R(1);
  keep_unknown(factor);  // or the recurrence could be solved while compiling
  keep_unknown(term);
  [&]<std::size_t... c>(std::index_sequence<c...>) {
    for (long i = 0; i < rounds; ++i) ((sums[c] = sums[c] * factor + term), ...);
  }(std::make_index_sequence<std::size_t{chains}>{});
  keep_unknown(sums);
  return 2.0 * chains * Shape::lanes * static_cast<double>(rounds);
}

/// Operations a second of all threads of a pool together: the best of runs of some milliseconds within half a second,
/// which the system may need to give each thread a core.
template <class R>
double peak(Threads& threads) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (const auto end = Clock::now() + std::chrono::milliseconds(500); Clock::now() < end;) {
    std::array<double, 64> operations{};
    const auto begin = Clock::now();
    threads.run(threads.count(),
                [&](int i) { operations[static_cast<std::size_t>(i) % 64] = multiply_adds<R>(200'000); });
    const std::chrono::duration<double> time = Clock::now() - begin;
    best = std::max(best, operations[0] * threads.count() / time.count());
  }
  return best;
}

/// Sums the words of a range, from `streams` places of it at once.
template <std::size_t streams>
std::uint64_t sum_of(const std::byte* at, std::size_t bytes) {
  using V [[gnu::vector_size(32)]] = std::uint64_t;
  constexpr std::size_t step = 64;
  const std::size_t part = bytes / streams / step * step;
  std::array<V, 2 * streams> sums{};
  for (std::size_t i = 0; i < part; i += step)
    for (std::size_t s = 0; s < streams; ++s)
      for (std::size_t half = 0; half < 2; ++half) {
        V x;
        std::memcpy(&x, at + s * part + i + half * sizeof x, sizeof x);
        sums[2 * s + half] += x;
      }
  std::uint64_t all = 0;
  for (const V& sum : sums)
    for (std::size_t i = 0; i < 4; ++i) all += sum[i];
  return all;
}

/// Bytes a second that all threads of a pool together read of buffers far larger than the caches, and never what they
/// read last, measured in turns with what is held against them: a shared machine reads twice as much in one second as
/// in another.
class Reads {
 public:
  explicit Reads(Threads& threads, std::size_t bytes = std::size_t{1} << 29) : threads_(threads) {
    part_ = bytes / static_cast<std::size_t>(threads.count()) / 4096 * 4096;
    for (const int pages : {MADV_NOHUGEPAGE, MADV_HUGEPAGE}) {
      const AddressRange& range = ranges_.emplace_back(bytes);
      madvise(range.data(), bytes, pages);
      threads_.run(threads_.count(), [&](int i) { std::memset(mine(range, i), i + 1, part_); });
    }
  }

  /// Reads at most so many bytes in the way whose turn it is: each thread from one place or from four at once, in pages
  /// of the usual size or in huge ones where the system gives them.
  void read(std::size_t bytes) {
    using Clock = std::chrono::steady_clock;
    const auto sum = turn_ % 2 ? sum_of<4> : sum_of<1>;
    const AddressRange& range = ranges_[turn_ / 2];
    const std::size_t part = std::min(part_, bytes / static_cast<std::size_t>(threads_.count()) / 4096 * 4096);
    if (at_ + part > part_) at_ = 0;
    std::array<std::uint64_t, 64> sums{};
    const auto begin = Clock::now();
    threads_.run(threads_.count(),
                 [&](int i) { sums[static_cast<std::size_t>(i) % 64] = sum(mine(range, i) + at_, part); });
    const std::chrono::duration<double> time = Clock::now() - begin;
    keep_unknown(sums);
    rates_[turn_].push_back(static_cast<double>(part) * threads_.count() / time.count());
    turn_ = (turn_ + 1) % ways;
    if (turn_ == 0) at_ += part;
  }
  /// The median of the best way, as times are medians that are held against it.
  double rate() const {
    double best = 0;
    for (std::vector<double> rates : rates_) {
      if (rates.empty()) continue;
      const auto middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
      std::nth_element(rates.begin(), middle, rates.end());
      best = std::max(best, *middle);
    }
    return best;
  }

 private:
  static constexpr std::size_t ways = 4;

  std::byte* mine(const AddressRange& range, int i) const { return range.data() + static_cast<std::size_t>(i) * part_; }

  Threads& threads_;
  std::size_t part_ = 0, turn_ = 0, at_ = 0;
  std::deque<AddressRange> ranges_;  // of usual pages, and of huge ones
  std::array<std::vector<double>, ways> rates_;
};

}  // namespace flamingo::bench
