/// Registers an operation with Google Benchmark, on one thread and on two, at the sizes of SmolLM2-135M.
#pragma once
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>

#include <flamingo/core/context.hpp>

#include "support/peak.hpp"

namespace flamingo::bench {

using P = Cpu<float>;

/// Rows of a prompt, width, hidden width, vocabulary, heads, key heads, head size.
inline constexpr int N = 200, D = 576, F = 1536, V = 49152, H = 9, G = 3, K = 64;

/// Numbers between -1 and 1 at the kept end of the context's arena.
template <int Width = dynamic>
Rows<P, Width, float> filled(Context<P>& ctx, int rows, int width = Width) {
  const auto x = keep<Width>(ctx, rows, width);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < x.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    x.data[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1;
  }
  return x;
}
template <int Out, int In>
MatrixView<P, Out, In> filled_matrix(Context<P>& ctx) {
  return {filled(ctx, Out, In).data, {}, {}};
}
template <int Length>
VectorView<P, Length> filled_vector(Context<P>& ctx) {
  return {filled(ctx, 1, Length).data, {}};
}

/// What one run does: operations of products (their rate is printed beside the machine's peak), or bytes moved.
struct Work {
  double operations = 0, bytes = 0;
};

/// `prepare(ctx)` makes the tensors and returns what is timed. Returns true, so that a constant can hold the call.
template <class Prepare>
bool time_op(const std::string& name, Work work, const Prepare& prepare) {
  for (const int threads : {1, 2}) {
    const auto timed = [=](benchmark::State& state) {
      Context<P> ctx(threads);
      const auto run = prepare(ctx);
      using Clock = std::chrono::steady_clock;
      const auto begin = Clock::now();
      for (auto _ : state) {
        const auto scope = ctx.scope();
        run();
        benchmark::ClobberMemory();
      }
      const std::chrono::duration<double> time = Clock::now() - begin;
      const double runs = static_cast<double>(state.iterations());
      constexpr auto rate = benchmark::Counter::kIsIterationInvariantRate;
      if (work.operations > 0) {
        state.counters["operations"] = benchmark::Counter(work.operations, rate);
        state.counters["of_peak"] = work.operations * runs / time.count() / peak<float>(ctx.threads());
      }
      if (work.bytes > 0) state.counters["bytes"] = benchmark::Counter(work.bytes, rate, benchmark::Counter::kIs1024);
    };
    const std::string full = name + "/threads:" + std::to_string(threads);
    benchmark::RegisterBenchmark(full.c_str(), timed)->UseRealTime()->Unit(benchmark::kMicrosecond);
  }
  return true;
}

}  // namespace flamingo::bench
