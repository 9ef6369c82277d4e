#include <flamingo/core/shared.hpp>

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace shared_test {

using flamingo::Shared;

namespace {

struct Counted {
  explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
  Counted(const Counted&) = delete;
  ~Counted() { --*alive_; }
  int* alive_;
};

}  // namespace

TEST_CASE("What is shared lives as long as a reference to it") {
  int alive = 0;
  {
    auto first = Shared<Counted>::make(alive);
    CHECK(alive == 1);
    CHECK(first.unique());
    Shared<Counted> second = first, third;
    CHECK_FALSE(third.unique());
    third = second;
    CHECK(third->alive_ == &alive);
    CHECK_FALSE(first.unique());
    second = {};
    third = std::move(first);
    CHECK(third.unique());
    CHECK(alive == 1);
    auto& same = third;
    third = same;
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("Threads may copy and drop references to the same") {
  int alive = 0;
  auto shared = Shared<Counted>::make(alive);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([copy = shared] {
      for (int i = 0; i < 10000; ++i) Shared<Counted> again = copy;
    });
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  CHECK(shared.unique());
  shared = {};
  CHECK(alive == 0);
}

}  // namespace shared_test
