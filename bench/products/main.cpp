// Matrix products of ours, Eigen, a BLAS through Eigen and oneDNN side by side, at the shapes of a vision tower, a
// decoder and a Resampler: bench_products [THREADS]. Prints GFLOP/s, and the best contender's share of the peak.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/peak.hpp"
#include "trial.hpp"

namespace {

using namespace flamingo;
using namespace flamingo::bench;

struct Entry {
  const char* name;
  std::function<Contender> prepare;
};

std::vector<Entry> contenders() {
  std::vector<Entry> all{
      {"own", own_rows}, {"own, panels", own_panels}, {"kernels=eigen", eigen_kernels}, {"Eigen", eigen_plain}};
#ifdef TRIAL_BLAS
  all.push_back({"over OpenBLAS", eigen_over_blas});
#endif
#ifdef TRIAL_ONEDNN
  all.push_back({"oneDNN", onednn});
#endif
  return all;
}

void draw(std::vector<float>& numbers, std::uint32_t state) {
  for (float& x : numbers) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(state >> 8) * 0x1p-23f - 1;
  }
}

/// Throws a contender out that computes something else.
void check_product(const char* name, const Product& p) {
  for (int i = 0; i < 50; ++i) {
    const int m = i * 7919 % p.M, n = (i * 104729 + i) % p.N;
    double sum = 0;
    for (int k = 0; k < p.K; ++k)
      sum += static_cast<double>(p.x[static_cast<std::ptrdiff_t>(m) * p.K + k]) *
             static_cast<double>(p.w[static_cast<std::ptrdiff_t>(n) * p.K + k]);
    const double got = static_cast<double>(p.y[static_cast<std::ptrdiff_t>(m) * p.N + n]);
    if (!(std::abs(got - sum) < 1e-3)) {
      std::fprintf(stderr, "%s: y[%d][%d] is %g, expected %g\n", name, m, n, got, sum);
      std::exit(1);
    }
  }
}

/// Seconds of a call (the first has been made), the median of runs that take turns over products whose weights lie at
/// other places: what a step of decoding reads is in no cache.
double seconds(const std::vector<std::function<void()>>& calls, double budget) {
  using Clock = std::chrono::steady_clock;
  const auto now = [] { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); };
  for (std::size_t i = 1; i < calls.size(); ++i) calls[i]();
  std::vector<double> times;
  const double end = now() + budget;
  for (std::size_t i = 0; times.size() < 3 || now() < end; ++i) {
    const double begin = now();
    calls[i % calls.size()]();
    times.push_back(now() - begin);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int count, char** words) {
  const int threads = count > 1 ? std::atoi(words[1]) : 1;
  double most = 0;
  {
    Threads pool(threads);
    for (int i = 0; i < 20; ++i) most = std::max(most, peak<float>(pool) / 1e9);
  }
  std::printf("%d threads, peak %.0f GFLOP/s\n%4s %6s %5s", threads, most, "M", "N", "K");
  for (const Entry& entry : contenders()) std::printf(" %14s", entry.name);
  std::printf("  best, of peak\n");
  std::vector<std::pair<int, std::array<int, 2>>> shapes;
  for (const std::array<int, 2> w :
       {std::array{768, 768}, {3072, 768}, {768, 3072}, {1536, 384}, {384, 1536}, {32000, 768}})
    for (const int M : {1, 3, 8, 64, 257, 594}) shapes.push_back({M, w});
  shapes.push_back({512, {512, 512}});
  for (const auto& [M, w_shape] : shapes) {
    const auto [N, K] = w_shape;
    const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(K);
    const std::size_t places = M <= 8 ? (std::size_t{64} << 20) / (size * 4) + 1 : 1;
    std::vector<std::vector<float>> w(places, std::vector<float>(size));
    std::vector<float> x(static_cast<std::size_t>(M) * static_cast<std::size_t>(K)),
        y(static_cast<std::size_t>(M) * static_cast<std::size_t>(N));
    draw(x, 1);
    draw(w[0], 2);
    std::fill(w.begin() + 1, w.end(), w[0]);
    const double operations = 2.0 * M * N * K;
    double best = 0;
    // Twice, one after the other, and the better median: threads that idle look for work for a while.
    std::map<std::string, double> rates;
    for (int round = 0; round < 2; ++round)
      for (const Entry& entry : contenders()) {
        std::vector<std::function<void()>> calls;
        for (const auto& one : w) calls.push_back(entry.prepare({M, N, K, x.data(), one.data(), y.data()}, threads));
        std::fill(y.begin(), y.end(), NAN);
        calls[0]();
        check_product(entry.name, {M, N, K, x.data(), w[0].data(), y.data()});
        double& rate = rates[entry.name];
        rate = std::max(rate, operations / seconds(calls, 0.03) / 1e9);
        best = std::max(best, rate);
      }
    std::printf("%4d %6d %5d", M, N, K);
    for (const Entry& entry : contenders()) std::printf(" %14.1f", rates[entry.name]);
    std::printf("  %.2f\n", best / most);
    std::fflush(stdout);
  }
}
