/// A small pool of threads for loops over independent tasks, or the host's own threads in its place.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include <flamingo/core/function.hpp>

namespace flamingo {

/// A host's own threads: calls f(0) .. f(n - 1) in any order, each once, at the same time where it can, and returns
/// when all are done. f never throws. A loop under OpenMP, a task group of TBB, a pool of the host.
using Executor = Function<void(int n, FunctionRef<void(int)> f)>;

/// `count` threads, the caller's included. Tasks are handed out one by one; what a task computes depends only on its
/// number, so results never depend on which thread ran it.
class Threads {
 public:
  /// 0: as many as the machine has.
  explicit Threads(int count = 0) {
    if (count <= 0) count = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int i = 1; i < count; ++i) workers_.emplace_back([this] { work(); });
  }
  /// No threads of our own: each run asks `host` for at most `count` calls, so that one pool serves the whole program.
  Threads(int count, Executor host) : host_(std::move(host)), hosted_(count) {
    check(count > 0, "threads", "a host's executor with ", count, " threads, expected at least 1");
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    stop_ = true;
    epoch_.fetch_add(1);
    epoch_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int count() const { return host_ ? hosted_ : static_cast<int>(workers_.size()) + 1; }

  /// Runs f(0) .. f(tasks - 1) and returns when all are done. A call from inside a task runs its tasks in place.
  /// The first exception is thrown again here.
  void run(int tasks, FunctionRef<void(int)> f) {
    if (tasks <= 1 || count() == 1 || busy()) {
      for (int i = 0; i < tasks; ++i) f(i);
      return;
    }
    function_ = &f;
    tasks_ = tasks;
    error_ = nullptr;
    failed_ = false;
    next_.store(0);
    if (host_)
      host_(std::min(hosted_, tasks), [this](int) { drain(); });
    else
      share();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  // A wake-up costs ten microseconds and more, a product in a small layer about as much: idle threads look again for
  // some tenths of a millisecond before they sleep.
  static constexpr int spins_before_sleep = 8000, spins_before_yield = 200;

  /// Lets go of what a hardware thread shares with its neighbour.
  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  static bool& busy() {
    thread_local bool in_task = false;
    return in_task;
  }
  struct Busy {
    bool& flag;
    explicit Busy(bool& f) : flag(f) { flag = true; }
    ~Busy() { flag = false; }
  };

  void share() {
    const std::uint32_t epoch = epoch_.load() + 1;
    open_.store(epoch);
    epoch_.store(epoch);
    epoch_.notify_all();
    drain();
    // All tasks are handed out. Only threads that took part are waited for: one that the system has not woken yet finds
    // the loop closed and goes back to sleep.
    open_.store(epoch - 1);
    for (int spins = 0; inside_.load() != 0; ++spins) {
      pause();
      if (spins > spins_before_yield) std::this_thread::yield();
    }
  }
  void drain() {
    Busy mark(busy());
    for (int task = next_.fetch_add(1); task < tasks_; task = next_.fetch_add(1)) {
      try {
        (*function_)(task);
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
    }
  }
  void work() {
    std::uint32_t seen = 0;
    for (;;) {
      for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen; ++spins) {
        pause();
        if (spins > spins_before_sleep) epoch_.wait(seen);
      }
      seen = epoch_.load();
      if (stop_) return;
      inside_.fetch_add(1);  // before the look at open_: either we see it closed, or run() sees us inside
      if (open_.load() == seen) drain();
      inside_.fetch_sub(1);
    }
  }

  const FunctionRef<void(int)>* function_ = nullptr;
  int tasks_ = 0;
  std::atomic<int> next_{0}, inside_{0};
  std::atomic<std::uint32_t> epoch_{0}, open_{0};
  std::atomic<bool> stop_{false}, failed_{false};
  std::exception_ptr error_;
  Executor host_;
  int hosted_ = 0;
  std::vector<std::thread> workers_;
};

}  // namespace flamingo
