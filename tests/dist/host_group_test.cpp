#include <flamingo/dist/host_group.hpp>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include <flamingo/kernels/cpu/context.hpp>

#include "dist/threads.hpp"

namespace host_group_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {
using P = Cpu<float>;

struct Broken final : dist::Transport {
  int rank() const override { return 0; }
  int size() const override { return 2; }
  void exchange(std::span<const std::span<const std::byte>>, std::span<const std::span<std::byte>>) override {
    ++exchanges;
    fail("broken", "the other one is gone");
  }
  std::atomic<int> exchanges = 0;
};
}  // namespace

TEST_CASE("what a group begins goes on in the background, in its order", "[dist]") {
  constexpr std::size_t count = 5000;
  on_threads(3, [&](dist::Transport& transport) {
    Context<P> ctx(1, 1 << 16);
    dist::HostGroup<P> group(transport);
    for (int round = 1; round < 4; ++round) {
      std::vector<float> x(count, static_cast<float>(round * (1 + transport.rank())));
      for (std::size_t at = 0; at < count; at += 1024) {
        const dist::Parts parts{{at, std::min(at + 1024, count)}, 3};
        group.begin_sum(ctx, x.data(), parts);
        group.begin_gather(ctx, x.data(), parts);
      }
      group.wait(ctx);
      for (const float number : x) check(number == static_cast<float>(6 * round), "group", "got ", number);
    }
  });
}

TEST_CASE("what went wrong in the background is thrown where it is waited for, and once", "[dist]") {
  Broken transport;
  Context<P> ctx(1, 1 << 16);
  dist::HostGroup<P> group(transport);
  std::vector<float> x(700);
  group.begin_sum(ctx, x.data(), {{0, 700}, 2});
  group.begin_gather(ctx, x.data(), {{0, 700}, 2});
  CHECK_THROWS_WITH(group.wait(ctx), "[broken] the other one is gone");
  group.wait(ctx);
}

TEST_CASE("nothing is sent after an exchange that failed, however late it was begun", "[dist]") {
  Broken transport;
  Context<P> ctx(1, 1 << 16);
  dist::HostGroup<P> group(transport);
  std::vector<float> x(700);
  group.begin_sum(ctx, x.data(), {{0, 700}, 2});
  for (int begun = 0; begun < 20; ++begun) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // others find the error there, the first ones may not
    group.begin_gather(ctx, x.data(), {{0, 700}, 2});
  }
  CHECK_THROWS_WITH(group.wait(ctx), "[broken] the other one is gone");
  CHECK(transport.exchanges == 1);
}

}  // namespace host_group_test
