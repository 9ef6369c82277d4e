#include <flamingo/core/threads.hpp>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace threads_test {

using namespace flamingo;

TEST_CASE("each task runs once, on any number of threads", "[threads]") {
  for (const int count : {1, 2, 3, 7}) {
    Threads threads(count);
    CHECK(threads.count() == count);
    for (const int tasks : {0, 1, 2, 3, 101}) {
      std::vector<int> runs(static_cast<std::size_t>(tasks));
      threads.run(tasks, [&](int i) { ++runs[static_cast<std::size_t>(i)]; });
      CHECK(runs == std::vector<int>(static_cast<std::size_t>(tasks), 1));
    }
  }
  CHECK(Threads(0).count() >= 1);
}

TEST_CASE("many runs, one after another, see each other's results", "[threads]") {
  Threads threads(3);
  std::vector<long> sums(31);
  for (int epoch = 0; epoch < 2000; ++epoch)
    threads.run(31, [&](int i) { sums[static_cast<std::size_t>(i)] += sums[static_cast<std::size_t>(i)] == epoch; });
  CHECK(std::accumulate(sums.begin(), sums.end(), 0L) == 31 * 2000);
}

TEST_CASE("threads that fell asleep wake up", "[threads]") {
  Threads threads(2);
  std::atomic<int> done = 0;
  for (int time = 0; time < 3; ++time) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    threads.run(7, [&](int) { ++done; });
  }
  CHECK(done == 21);
}

TEST_CASE("a run inside a task runs in place", "[threads]") {
  Threads threads(3), others(2);
  std::vector<int> runs(5 * 7);
  std::atomic<int> strangers = 0;
  threads.run(5, [&](int i) {
    const auto here = std::this_thread::get_id();
    threads.run(7, [&](int j) {
      ++runs[static_cast<std::size_t>(i * 7 + j)];
      strangers += std::this_thread::get_id() != here;
    });
    others.run(3, [&](int) { strangers += std::this_thread::get_id() != here; });
  });
  CHECK(runs == std::vector<int>(35, 1));
  CHECK(strangers == 0);
}

TEST_CASE("a task's exception comes back to the caller, and the pool lives on", "[threads]") {
  for (const int count : {1, 2, 3}) {
    Threads threads(count);
    for (int time = 0; time < 20; ++time) {
      CHECK_THROWS_WITH(threads.run(13,
                                    [](int i) {
                                      if (i == 5) throw std::runtime_error("task 5");
                                    }),
                        "task 5");
      std::atomic<int> done = 0;
      threads.run(13, [&](int) { ++done; });
      CHECK(done == 13);
    }
    CHECK_THROWS_AS(threads.run(13, [](int) { throw 7; }), int);
  }
}

TEST_CASE("tasks are shared between threads", "[threads]") {
  Threads threads(2);
  std::set<std::thread::id> seen;
  std::atomic<bool> other = false;
  // The first task waits for somebody else to take the second; with one thread at work it would wait for ever.
  threads.run(2, [&](int) {
    static std::atomic<int> arrived;
    arrived = arrived + 1;
    for (int spins = 0; arrived < 2 && spins < 10'000; ++spins)
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    other = arrived >= 2;
  });
  CHECK(other);
}

}  // namespace threads_test
