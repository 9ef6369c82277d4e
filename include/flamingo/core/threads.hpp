/// A small pool of threads for loops over independent tasks.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include <flamingo/core/function.hpp>

namespace flamingo {

/// `count` threads, the caller's included. Tasks are handed out one by one; what a task computes depends only on its
/// number, so results never depend on which thread ran it.
class Threads {
 public:
  /// 0: as many as the machine has.
  explicit Threads(int count = 0) {
    if (count <= 0) count = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int i = 1; i < count; ++i) workers_.emplace_back([this] { work(); });
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    stop_ = true;
    epoch_.fetch_add(1);
    epoch_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int count() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs f(0) .. f(tasks - 1) and returns when all are done. A call from inside a task runs its tasks in place.
  /// The first exception is thrown again here.
  void run(int tasks, FunctionRef<void(int)> f) {
    if (tasks <= 1 || workers_.empty() || busy()) {
      for (int i = 0; i < tasks; ++i) f(i);
      return;
    }
    Busy mark(busy());
    function_ = &f;
    tasks_ = tasks;
    error_ = nullptr;
    failed_ = false;
    next_.store(0);
    const std::uint32_t epoch = epoch_.load() + 1;
    open_.store(epoch);
    epoch_.store(epoch);
    epoch_.notify_all();
    drain();
    // All tasks are handed out. Only threads that took part are waited for: one that the system has not woken yet finds
    // the loop closed and goes back to sleep.
    open_.store(epoch - 1);
    for (int spins = 0; inside_.load() != 0; ++spins)
      if (spins > spins_before_yield) std::this_thread::yield();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  // A wake-up costs tens of microseconds, a product in a small layer about as much: idle threads look again for a
  // while before they sleep.
  static constexpr int spins_before_sleep = 20000, spins_before_yield = 2000;

  static bool& busy() {
    thread_local bool in_task = false;
    return in_task;
  }
  struct Busy {
    bool& flag;
    explicit Busy(bool& f) : flag(f) { flag = true; }
    ~Busy() { flag = false; }
  };

  void drain() {
    for (int task = next_.fetch_add(1); task < tasks_; task = next_.fetch_add(1)) {
      try {
        (*function_)(task);
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
    }
  }
  void work() {
    busy() = true;
    std::uint32_t seen = 0;
    for (;;) {
      for (int spins = 0; epoch_.load(std::memory_order_acquire) == seen; ++spins)
        if (spins > spins_before_sleep) epoch_.wait(seen);
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
  std::vector<std::thread> workers_;
};

}  // namespace flamingo
