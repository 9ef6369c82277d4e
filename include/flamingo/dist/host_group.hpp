/// A group where the host reads the platform's memory: a thread of its own moves and adds up numbers while the platform
/// computes.
#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/dist/group.hpp>
#include <flamingo/dist/sum.hpp>

namespace flamingo::dist {

template <Platform P>
  requires std::same_as<HostOf<P>, P>
class HostGroup final : public Group<P> {
 public:
  using A = typename Group<P>::A;

  /// Borrows the transport; nobody else may use it while sums are under way.
  explicit HostGroup(Transport& transport) : transport_(transport) {}
  HostGroup(const HostGroup&) = delete;
  HostGroup& operator=(const HostGroup&) = delete;
  ~HostGroup() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void begin_sum(Context<P>&, A* x, const Parts& parts) override {
    begin([this, x, parts] { sum_parts(transport_, x, parts); });
  }
  void begin_gather(Context<P>&, A* x, const Parts& parts) override {
    begin([this, x, parts] { gather_parts(transport_, x, parts); });
  }
  void wait(Context<P>&) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return work_.empty() && !busy_; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }
  Transport& transport() override { return transport_; }

 private:
  template <class Work>
  void begin(Work&& work) {
    if (transport_.size() == 1) return;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    {
      const std::lock_guard lock(mutex_);
      if (error_) return;  // the others wait for nothing more of ours
      work_.emplace_back(std::forward<Work>(work));
    }
    changed_.notify_all();
  }
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stop_ || !work_.empty(); });
      if (stop_) return;
      const Function<void()> work = std::move(work_.front());
      work_.pop_front();
      busy_ = true;
      lock.unlock();
      std::exception_ptr error;
      try {
        work();
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      busy_ = false;
      if (error && !error_) error_ = error;
      if (error) work_.clear();
      changed_.notify_all();
    }
  }

  Transport& transport_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Function<void()>> work_;
  bool busy_ = false, stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace flamingo::dist
