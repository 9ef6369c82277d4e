// mpirun -n N bench_sums: how long sums over processes take, beside what docs/distributed.md's model says of them. Two
// sizes give its two numbers, the others check it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include <flamingo/dist/mpi.hpp>
#include <flamingo/dist/sum.hpp>

using namespace flamingo;

namespace {

constexpr std::size_t largest = std::size_t{1} << 24;

/// The median time of a sum of `count` numbers, of the slowest process. Numbers take turns over more than a cache
/// holds, as gradients do.
double seconds_of(dist::Transport& transport, std::vector<float>& numbers, std::size_t count, int rounds) {
  std::vector<double> times;
  std::size_t at = 0;
  for (int round = -2; round < rounds; ++round) {  // two that do not count
    dist::meet(transport);
    const auto begun = std::chrono::steady_clock::now();
    dist::sum(transport, numbers.data() + at, count);
    const double own = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const std::vector<double> all = dist::gather(transport, std::span<const double>(&own, 1));
    at = at + 2 * count <= largest ? at + count : 0;
    if (round >= 0) times.push_back(*std::max_element(all.begin(), all.end()));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  return dist::MpiJob::run(argc, argv, [] {
    dist::MpiTransport transport;
    constexpr std::array<std::size_t, 9> counts{4096,    16384,   65536,   262144, 1048576,
                                                2097152, 4194304, 8388608, largest};
    std::vector<float> numbers(largest, 1.0f);
    std::vector<double> times;
    for (const std::size_t count : counts)
      times.push_back(seconds_of(transport, numbers, count, count > 3000000 ? 21 : 101));
    if (transport.rank() != 0) return 0;
    // T = 2 α + 2 (n - 1) / n · bytes / β for each 4 Mi numbers
    const int n = transport.size();
    const auto moved = [n](std::size_t count) { return 2.0 * (n - 1) / n * 4 * static_cast<double>(count); };
    const double alpha = times[0] / 2, beta = moved(counts[6]) / (times[6] - 2 * alpha);
    std::printf("%d processes: α = %.1f µs, β = %.2f GB/s\n", n, alpha * 1e6, beta / 1e9);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const double sums = static_cast<double>((counts[i] + (std::size_t{1} << 22) - 1) >> 22),
                   model = sums * 2 * alpha + moved(counts[i]) / beta;
      std::printf("%9zu numbers: %9.1f µs, model %9.1f µs, ratio %.2f\n", counts[i], times[i] * 1e6, model * 1e6,
                  times[i] / model);
    }
    return 0;
  });
}
