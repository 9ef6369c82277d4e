// Convolutions of EfficientNet-Lite0 at 160 x 160 pixels, on one thread: what share of the multiply-adds that this
// machine can do at most, measured in the same run, they reach.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <flamingo/kernels/cpu/convolution.hpp>
#include <vector>

using namespace flamingo;

namespace {

using P = Cpu<float>;

/// Multiply-adds a second of chains that fill the registers and touch no memory.
double peak() {
  using V = kernels::Tile<float, native_isa>::Vector;
  static const double best = [] {
    double fastest = 0;
    for (int round = 0; round < 20; ++round) {
      constexpr int repeats = 200000;
      constexpr std::size_t chains = 12;
      V sums[chains] = {};
      const V a = V{} + 0.999f, b = V{} + 1e-3f;
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < repeats; ++i)
        for (V& sum : sums) sum = sum * a + b;
      for (V& sum : sums) benchmark::DoNotOptimize(sum);
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
      fastest = std::max(fastest, repeats * static_cast<double>(chains * sizeof(V) / sizeof(float)) / time.count());
    }
    return fastest;
  }();
  return best;
}

/// side, channels in, channels out, kernel, stride, groups; four pictures
void convolution(benchmark::State& state) {
  const int side = static_cast<int>(state.range(0)), in = static_cast<int>(state.range(1)),
            out = static_cast<int>(state.range(2)), kernel = static_cast<int>(state.range(3)),
            stride = static_cast<int>(state.range(4)), groups = static_cast<int>(state.range(5));
  const Window window = square(kernel, stride);
  std::vector<Grid> grids;
  for (int m = 0; m < 4; ++m) grids.push_back({m * side * side, side, side});
  const int cells = cells_of(grids), windows = cells_of(windows_of(grids, window)),
            columns = kernel * kernel * in / groups;
  const std::vector<float> x(static_cast<std::size_t>(cells) * static_cast<std::size_t>(in), 0.5f),
      w(static_cast<std::size_t>(out) * static_cast<std::size_t>(columns), 0.25f);
  std::vector<float> y(static_cast<std::size_t>(windows) * static_cast<std::size_t>(out));
  Context<P> ctx(1);
  const Rows<P, dynamic, const float> from{x.data(), cells, Extent<dynamic>(in)};
  const Rows<P> to{y.data(), windows, Extent<dynamic>(out)};
  const MatrixView<P, dynamic, dynamic, const float> weights{w.data(), Extent<dynamic>(out), Extent<dynamic>(columns)};
  for (auto _ : state) {
    ops::convolution(ctx, from, grids, weights, window, groups, to, Clip::relu6());
    benchmark::ClobberMemory();
  }
  const double operations = static_cast<double>(windows) * out * columns;
  state.counters["share"] = benchmark::Counter(operations / peak(), benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

BENCHMARK(convolution)
    ->Args({160, 3, 32, 3, 2, 1})      // stem
    ->Args({80, 32, 32, 3, 1, 32})     // depthwise
    ->Args({80, 16, 96, 1, 1, 1})      // expand
    ->Args({80, 96, 96, 3, 2, 96})     // depthwise, stride
    ->Args({20, 240, 240, 5, 1, 240})  // depthwise, 5 x 5
    ->Args({10, 672, 112, 1, 1, 1})    // project
    ->Args({5, 1152, 1152, 5, 1, 1152})
    ->Args({5, 320, 1280, 1, 1, 1})  // head
    ->Args({20, 64, 64, 3, 1, 1})    // a dense kernel, which this network has in its stem alone
    ->Args({20, 64, 64, 3, 1, 4})
    ->ArgNames({"side", "in", "out", "kernel", "stride", "groups"});
