/// The most multiply-adds that this machine does in a second, measured where and when a benchmark runs.
#pragma once
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

#include <flamingo/core/threads.hpp>
#include <flamingo/kernels/cpu/gemm.hpp>

namespace flamingo::bench {

/// Chains of multiply-adds in registers, none of which waits for another: the accumulators of a register tile. Returns
/// the operations done.
template <class R>
double multiply_adds(long rounds) {
  using Shape = kernels::Tile<R, native_isa>;
  using V = typename Shape::Vector;
  constexpr int chains = 2 * Shape::mr;
  std::array<V, std::size_t{chains}> sums{};
  V factor = V{} + R(0.5), term = V{} + R(1);
  benchmark::DoNotOptimize(factor);  // unknown to the compiler, or it would solve the recurrence
  benchmark::DoNotOptimize(term);
  [&]<std::size_t... c>(std::index_sequence<c...>) {
    for (long i = 0; i < rounds; ++i) ((sums[c] = sums[c] * factor + term), ...);
  }(std::make_index_sequence<std::size_t{chains}>{});
  benchmark::DoNotOptimize(sums);
  return 2.0 * chains * Shape::lanes * static_cast<double>(rounds);
}

/// Operations a second of all threads of a pool together: the best of several runs of some milliseconds.
template <class R>
double peak(Threads& threads) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int run = 0; run < 7; ++run) {
    std::array<double, 64> operations{};
    const auto begin = Clock::now();
    threads.run(threads.count(),
                [&](int i) { operations[static_cast<std::size_t>(i) % 64] = multiply_adds<R>(200'000); });
    const std::chrono::duration<double> time = Clock::now() - begin;
    best = std::max(best, operations[0] * threads.count() / time.count());
  }
  return best;
}

}  // namespace flamingo::bench
