/// The CPU half of core/context.hpp: lazily committed memory and a pool of threads.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include <flamingo/core/context.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/core/threads.hpp>

namespace flamingo {

/// The CPU: an arena over lazily committed memory, and a pool of threads.
template <Real R, Isa Set>
class Context<Cpu<R, Set>> : public Memory {
 public:
  static constexpr std::size_t default_capacity = std::size_t{64} << 30;

  /// threads 0: all of the machine's. Capacity is address space; pages cost memory once touched.
  explicit Context(int threads = 0, std::size_t capacity = default_capacity)
      : Context(std::make_unique<Threads>(threads), capacity) {}
  /// The host's threads in place of our own (core/threads.hpp).
  Context(int threads, Executor host, std::size_t capacity = default_capacity)
      : Context(std::make_unique<Threads>(threads, std::move(host)), capacity) {}
  Threads& threads() { return *threads_; }

  /// Products of rows with matrices held in bfloat16 round the rows to bfloat16 too, those of the gradient as well:
  /// twice as fast with many rows where the processor multiplies such numbers (AVX512_BF16; gradients where matrices
  /// lie in rows), and of the same meaning, not the same bits, elsewhere. Sums stay in float; so do gradients of
  /// weights.
  bool rounds_to_bf16 = false;
  /// Products of rows with matrices held in int8 round a row to whole numbers of 16 bits, 32,000 for its largest:
  /// about twice as fast where the processor multiplies such numbers (AVX512_VNNI, with AVX512_BF16) and matrices lie
  /// in panels; elsewhere it changes nothing. A row that is not finite gives NaN, one of numbers below 2⁻¹⁰⁰ counts as
  /// zero.
  bool rounds_to_int16 = false;
  /// Adds `count` numbers over all processes of a split model, in place. Set by whoever splits; unset: one process.
  Function<void(R*, std::size_t)> sum_over_processes;
  /// The same of what the host has.
  Function<void(std::span<double>)> sum_over_hosts;

 private:
  Context(std::unique_ptr<Threads> threads, std::size_t capacity) : threads_(std::move(threads)), range_(capacity) {
    arena_ = Arena(range_.data(), range_.size());
    // Scratch is touched from the back on; what is kept may lie in pools of which little is ever touched.
    range_.prefer_large_pages(capacity - capacity / 8);
  }

  std::unique_ptr<Threads> threads_;
  AddressRange range_;
};

}  // namespace flamingo
