#include <flamingo/core/threads.hpp>

#include <algorithm>
#include <array>
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

namespace {

/// An exception comes back, and the next run is as the first.
void check_exception(Threads& threads) {
  CHECK_THROWS_WITH(threads.run(13,
                                [](int i) {
                                  if (i == 5) throw std::runtime_error("task 5");
                                }),
                    "task 5");
  std::atomic<int> done = 0;
  threads.run(13, [&](int) { ++done; });
  CHECK(done == 13);
}

}  // namespace

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
      check_exception(threads);
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

namespace {

/// Threads started for each run, as the simplest host would.
void started_anew(int n, FunctionRef<void(int)> f) {
  std::vector<std::thread> all;
  for (int i = 1; i < n; ++i) all.emplace_back([f, i] { f(i); });
  f(0);
  for (std::thread& t : all) t.join();
}
/// A team of fixed size that divides the calls beforehand, whatever their number: "omp parallel for".
void fixed_team(int n, FunctionRef<void(int)> f) {
  constexpr int team = 2;
  std::vector<std::thread> all;
  for (int t = 0; t < team; ++t)
    all.emplace_back([=] {
      for (int i = n * t / team; i < n * (t + 1) / team; ++i) f(i);
    });
  for (std::thread& t : all) t.join();
}
/// A host that has no thread to spare.
void one_by_one(int n, FunctionRef<void(int)> f) {
  for (int i = n; i-- > 0;) f(i);
}

}  // namespace

TEST_CASE("a host's own threads run the tasks", "[threads]") {
  for (const auto host : {started_anew, fixed_team, one_by_one}) {
    int most = 0, asked = 0;
    Threads threads(3, [&](int n, FunctionRef<void(int)> f) {
      most = std::max(most, n);
      ++asked;
      host(n, f);
    });
    CHECK(threads.count() == 3);
    for (const int tasks : {0, 1, 2, 3, 101}) {
      std::vector<int> runs(static_cast<std::size_t>(tasks));
      threads.run(tasks, [&](int i) { ++runs[static_cast<std::size_t>(i)]; });
      CHECK(runs == std::vector<int>(static_cast<std::size_t>(tasks), 1));
    }
    CHECK(most == 3);   // never more calls than threads
    CHECK(asked == 3);  // one task or none is the caller's

    // Inside a task runs stay in place; an exception comes back, and the next run is as the first.
    std::atomic<int> inner = 0;
    threads.run(5, [&](int) { threads.run(7, [&](int) { ++inner; }); });
    CHECK(inner == 35);
    CHECK(asked == 4);
    check_exception(threads);
  }
  CHECK_THROWS_WITH(Threads(0, one_by_one), Catch::Contains("0 threads"));
}

TEST_CASE("several pools may share one host", "[threads]") {
  std::array<long, 3> sums{};
  std::vector<std::thread> sessions;
  for (std::size_t s = 0; s < sums.size(); ++s)
    sessions.emplace_back([&sums, s] {
      Threads threads(2, started_anew);
      for (int time = 0; time < 20; ++time) {
        std::array<long, 5> parts{};
        threads.run(5, [&](int i) { parts[static_cast<std::size_t>(i)] = i + time; });
        sums[s] += std::accumulate(parts.begin(), parts.end(), 0L);
      }
    });
  for (std::thread& session : sessions) session.join();
  CHECK(sums == std::array<long, 3>{1150, 1150, 1150});
}

}  // namespace threads_test
