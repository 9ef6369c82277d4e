/// The likeliest of rows against a sort: equal logits, banned ids, rows that have too few.
#include <flamingo/kernels/cuda/raw/choice.cuh>

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include <checking.hpp>

namespace choice_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::random_values;
using emulator::started;

namespace {

template <class R>
double number(R x) {
  return static_cast<double>(widen(x));
}

template <class R>
std::vector<Choice> chosen(const std::vector<R>& logits, int V, const std::vector<int>& banned, int k) {
  const int N = static_cast<int>(logits.size()) / V;
  DeviceBuffer<R> z(logits);
  DeviceBuffer<int> ids(banned);
  DeviceBuffer<Choice> best(static_cast<std::size_t>(N * k));
  started(likeliest(z.data(), N, V, ids.data(), static_cast<int>(banned.size()), k, best.data(), nullptr));
  const auto result = best.host();
  CHECK((z.intact() && ids.intact() && best.intact()));
  return result;
}

template <class R>
void check_likeliest(int N, int V, const std::vector<int>& banned, int k) {
  auto logits = random_values<R>(static_cast<std::size_t>(N * V), 5);
  for (int n = 0; n < N; ++n)  // many equal ones, and some that are impossible
    for (int id = n; id < V; id += 3)
      logits[static_cast<std::size_t>(n * V + id)] =
          narrow<R>(id % 2 ? -static_cast<Accumulate<R>>(INFINITY) : Accumulate<R>(id % 7) / 8);
  const auto got = chosen(logits, V, banned, k);
  for (int n = 0; n < N; ++n) {
    const auto at = [&](int id) { return number(logits[static_cast<std::size_t>(n * V + id)]); };
    double sum = 0;
    std::vector<int> order;
    for (int id = 0; id < V; ++id) {
      sum += std::exp(at(id));
      if (std::isfinite(at(id)) && std::find(banned.begin(), banned.end(), id) == banned.end()) order.push_back(id);
    }
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return at(a) > at(b); });
    const double allowed = 64 * (std::is_same_v<R, double> ? 1e-16 : 6e-8) * (1 + std::log(sum));
    for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i) {
      const Choice& c = got[static_cast<std::size_t>(n * k) + i];
      if (i < order.size()) {
        REQUIRE(c.id == order[i]);
        CHECK(std::abs(c.log_p - (at(c.id) - std::log(sum))) < allowed);
      } else {
        CHECK((c.id == -1 && c.log_p == -INFINITY));
      }
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the likeliest ids of rows are those of a sort", "[cuda]", float, double, __nv_bfloat16) {
  check_likeliest<TestType>(3, 1031, {}, 1);
  check_likeliest<TestType>(2, 1031, {0, 6, 12, 1030}, 7);
  check_likeliest<TestType>(2, 5, {1}, 5);
}

TEST_CASE("a row's choices do not depend on the other rows", "[cuda]") {
  const auto rows = random_values<float>(3 * 613, 9);
  const auto together = chosen(rows, 613, {}, 3);
  const auto alone = chosen(std::vector<float>(rows.begin() + 613, rows.begin() + 2 * 613), 613, {}, 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK((alone[i].id == together[3 + i].id && alone[i].log_p == together[3 + i].log_p));
}

}  // namespace choice_test
