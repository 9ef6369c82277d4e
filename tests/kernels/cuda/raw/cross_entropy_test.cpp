/// Chunks of logits against the formulas, targets that are none, and the order of sums.
#include <flamingo/kernels/cuda/raw/cross_entropy.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

namespace cross_entropy_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;
using emulator::Sum;

namespace {

/// Two chunks of C logits.
template <class R>
struct Entropy {
  using A = Accumulate<R>;
  int N, C;
  A own = 1, each = 0, of_lse = 0;
  std::vector<R> logits[2];
  std::vector<int> targets;
  std::vector<A> weights, nll, lse;
  std::vector<R> gradient[2];
  bool intact = false;

  Entropy(int rows, int chunk) : N(rows), C(chunk), weights(random_values<A>(static_cast<std::size_t>(rows), 3)) {
    for (const unsigned i : {0u, 1u}) logits[i] = random_values<R>(static_cast<std::size_t>(N * C), 1 + i);
    for (int n = 0; n < N; ++n) targets.push_back(n * 7 % (2 * C));
  }
  void run() {
    const auto rows = static_cast<std::size_t>(N);
    DeviceBuffer<int> targets_(targets);
    DeviceBuffer<A> weights_(weights), nll_(rows), lse_(rows), sum(rows), target(rows);
    intact = true;
    started(entropy_begin(targets_.data(), 2 * C, lse_.data(), sum.data(), target.data(), N, nullptr));
    for (const int i : {0, 1}) {
      DeviceBuffer<R> z(logits[i]);
      started(entropy_update(z.data(), N, C, i * C, targets_.data(), own, each, lse_.data(), sum.data(), target.data(),
                             nullptr));
      intact = intact && z.intact();
    }
    started(entropy_finish(lse_.data(), sum.data(), target.data(), nll_.data(), N, nullptr));
    for (const int i : {0, 1}) {
      DeviceBuffer<R> z(logits[i]);
      started(entropy_gradient(z.data(), N, C, i * C, targets_.data(), own, each, lse_.data(), weights_.data(), of_lse,
                               nullptr));
      intact = intact && z.intact();
      gradient[i] = z.host();
    }
    nll = nll_.host();
    lse = lse_.host();
    intact = intact && targets_.intact() && weights_.intact() && nll_.intact() && lse_.intact() && sum.intact() &&
             target.intact();
  }
};

template <class R>
void check_entropy(int N, int C, double smoothing) {
  Entropy<R> e(N, C);
  e.own = static_cast<Accumulate<R>>(1 - smoothing);
  e.each = static_cast<Accumulate<R>>(smoothing / (2 * C));
  e.of_lse = static_cast<Accumulate<R>>(smoothing);  // a loss of lse² beside it
  e.run();
  const auto at = [&](int n, int c) {
    return static_cast<double>(widen(e.logits[c / C][static_cast<std::size_t>(n * C + c % C)]));
  };
  std::vector<Sum> nll(static_cast<std::size_t>(N)), gradient[2];
  for (auto& g : gradient) g.resize(static_cast<std::size_t>(N * C));
  for (int n = 0; n < N; ++n) {
    const auto row = static_cast<std::size_t>(n);
    double sum = 0;
    for (int c = 0; c < 2 * C; ++c) sum += std::exp(at(n, c));
    nll[row].add(std::log(sum));
    nll[row].add(-static_cast<double>(e.own) * at(n, e.targets[row]));
    for (int c = 0; c < 2 * C; ++c) {
      nll[row].add(-static_cast<double>(e.each) * at(n, c));
      Sum& g = gradient[c / C][static_cast<std::size_t>(n * C + c % C)];
      const double weight = static_cast<double>(e.weights[row]);
      g.add(weight * std::exp(at(n, c)) / sum);
      g.add(weight * static_cast<double>(e.of_lse) * std::log(sum) * std::exp(at(n, c)) / sum);
      g.add(-weight * (static_cast<double>(e.each) + (c == e.targets[row] ? static_cast<double>(e.own) : 0)));
    }
  }
  CAPTURE(N, C, smoothing);
  CHECK(e.intact);
  CHECK(emulator::worst_error<R>(e.nll, nll, 64 + C / 64) <= 1);
  for (const int i : {0, 1}) CHECK(emulator::worst_error<R>(e.gradient[i], gradient[i], 64 + C / 64) <= 1);
}

}  // namespace

TEMPLATE_TEST_CASE("likelihoods and their gradients over chunks are the formulas'", "[raw][cross_entropy]", float,
                   double, __nv_bfloat16) {
  check_entropy<TestType>(5, 13, 0);        // fewer logits than threads
  check_entropy<TestType>(3, 2056, 0);      // 16 bytes at a time, with a tail
  check_entropy<TestType>(3, 1031, 0.125);  // one by one
  check_entropy<TestType>(2, 8, 0.125);
}

TEST_CASE("a target outside the vocabulary has no likelihood, and its row alone", "[raw][cross_entropy]") {
  Entropy<float> e(4, 13);
  e.targets = {-1, 25, 26, 3};
  e.run();
  CHECK((std::isnan(e.nll[0]) && !std::isnan(e.nll[1]) && std::isnan(e.nll[2]) && !std::isnan(e.nll[3])));
  CHECK(e.intact);
}

TEST_CASE("a row's likelihood does not see the others", "[raw][cross_entropy]") {
  Entropy<float> all(7, 260), one(1, 260);
  all.run();
  for (const std::size_t n : {0u, 3u, 6u}) {
    for (const int i : {0, 1}) {
      const auto row = all.logits[i].begin() + static_cast<std::ptrdiff_t>(n * 260);
      one.logits[i].assign(row, row + 260);
    }
    one.targets = {all.targets[n]};
    one.weights = {all.weights[n]};
    one.run();
    CHECK((one.nll[0] == all.nll[n] && one.lse[0] == all.lse[n]));
  }
}

#if !defined(__CUDACC__)
TEST_CASE("likelihoods under shuffled schedules and without their barriers", "[raw][cross_entropy]") {
  Entropy<float> e(2, 300);
  e.each = 0.001f;
  const auto bytes = [&] {
    e.run();
    std::string all;
    emulator::append_bytes(all, e.nll);
    emulator::append_bytes(all, e.gradient[0]);
    return all;
  };
  CHECK(emulator::schedules_agree(bytes, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers(bytes, 4, met).find("__syncthreads") == std::string::npos);
  CHECK(met >= 1);
}
#endif

}  // namespace cross_entropy_test
