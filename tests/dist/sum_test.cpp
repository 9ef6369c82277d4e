#include <flamingo/dist/sum.hpp>

#include <catch2/catch.hpp>
#include <mutex>

#include <flamingo/core/random.hpp>
#include <flamingo/kernels/cpu/split.hpp>

#include "dist/threads.hpp"

namespace sum_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// Numbers whose sums are rounded otherwise in another order.
template <class T>
std::vector<T> numbers_of(int rank, std::size_t count) {
  Random draw(7, static_cast<std::uint64_t>(rank));
  std::vector<T> x;
  for (std::size_t i = 0; i < count; ++i) x.push_back(T((2 * draw.uniform() - 1) * (i % 3 ? 1.0f : 1e4f)));
  return x;
}
template <class T>
std::vector<T> in_order(int processes, std::size_t count) {
  std::vector<T> sum = numbers_of<T>(0, count);
  for (int r = 1; r < processes; ++r) {
    const std::vector<T> next = numbers_of<T>(r, count);
    for (std::size_t i = 0; i < count; ++i) sum[i] += next[i];
  }
  return sum;
}

}  // namespace

TEMPLATE_TEST_CASE("sums have the bits of the sum in the order of ranks, everywhere", "[dist]", float, double) {
  using T = TestType;
  for (const int processes : {1, 2, 3, 5})
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2048}, std::size_t{2049},
                                    std::size_t{70001}, (std::size_t{1} << 22) + 300}) {
      if (processes != 3 && count > 100000) continue;
      CAPTURE(processes, count);
      const std::vector<T> expected = in_order<T>(processes, count);
      std::vector<std::vector<T>> sums(static_cast<std::size_t>(processes));
      on_threads(processes, [&](dist::Transport& transport) {
        std::vector<T> x = numbers_of<T>(transport.rank(), count);
        dist::sum(transport, x.data(), count);
        sums[static_cast<std::size_t>(transport.rank())] = std::move(x);
      });
      for (const std::vector<T>& sum : sums) CHECK(sum == expected);
    }
}

TEST_CASE("a process sums its own part and leaves the others as they are", "[dist]") {
  constexpr std::size_t count = 3000, before = 256;
  on_threads(3, [&](dist::Transport& transport) {
    const dist::Parts parts{{before, count}, 3};
    const std::vector<float> own = numbers_of<float>(transport.rank(), count), expected = in_order<float>(3, count);
    std::vector<float> x = own;
    dist::sum_parts(transport, x.data(), parts);
    const dist::Range mine = parts.of(transport.rank());
    for (std::size_t i = 0; i < count; ++i)
      check(x[i] == (i >= mine.begin && i < mine.end ? expected[i] : own[i]), "sum_parts", "number ", i);
    dist::gather_parts(transport, x.data(), parts);
    for (std::size_t i = 0; i < count; ++i)
      check(x[i] == (i < before ? own[i] : expected[i]), "gather_parts", "number ", i);
  });
}

TEST_CASE("a context's sums of split layers go over a transport", "[dist]") {
  on_threads(2, [](dist::Transport& transport) {
    Context<Cpu<float>> ctx(1, 1 << 16);
    dist::join(ctx, transport);
    const auto x = scratch<5>(ctx, 1);
    for (int i = 0; i < 5; ++i) x.data[i] = static_cast<float>(i + transport.rank());
    ops::leave<2>(ctx, x);
    for (int i = 0; i < 5; ++i) check(x.data[i] == static_cast<float>(2 * i + 1), "join", "number ", i);
  });
}

}  // namespace sum_test
