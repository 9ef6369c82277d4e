/// Tasks in several processes: what one does to its memory, or dies of, leaves the others alone.
#pragma once
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo::web {

namespace detail {

/// What the processes share: memory that survives fork().
struct SharedState {
  std::atomic<std::size_t> next{0}, done{0}, counted{0};
  std::atomic<bool> failed{false};
  std::array<char, 1024> error{};

  void report(const char* what) {
    if (failed.exchange(true)) return;
    std::strncpy(error.data(), what, error.size() - 1);
  }
};

class SharedPage {
 public:
  SharedPage() {
    void* memory = ::mmap(nullptr, sizeof(SharedState), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED, "processes", "there is no memory to share");
    state_ = new (memory) SharedState;
  }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  ~SharedPage() { ::munmap(state_, sizeof(SharedState)); }
  SharedState& operator*() const { return *state_; }
  SharedState* operator->() const { return state_; }

 private:
  SharedState* state_ = nullptr;
};

}  // namespace detail

/// Runs work(0, count) .. work(tasks - 1, count), each once, whoever is free taking the next, and tick(done, counted)
/// meanwhile; work may call count(n) to say how much it did. With more than one process the caller must not have other
/// threads (fork). Children die with their parent. Throws Error with the first failure.
template <class Work, class Tick>
void in_processes(std::size_t tasks, int processes, const Work& work, const Tick& tick) {
  const detail::SharedPage shared;
  const auto count = [&](std::size_t n) { shared->counted.fetch_add(n); };
  if (processes <= 1) {
    for (std::size_t task = 0; task < tasks; ++task) {
      work(task, count);
      tick(task + 1, shared->counted.load());
    }
    return;
  }
  const pid_t parent = ::getpid();
  std::vector<pid_t> children;
  for (int p = 0; p < processes; ++p) {
    const pid_t child = ::fork();
    if (child < 0) shared->report("the system refuses another process");
    if (child < 0) break;
    if (child > 0) {
      children.push_back(child);
      continue;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    try {
      for (std::size_t task; !shared->failed && (task = shared->next.fetch_add(1)) < tasks;) {
        work(task, count);
        shared->done.fetch_add(1);
      }
    } catch (const std::exception& error) {
      shared->report(error.what());
    } catch (...) {
      shared->report("an unknown exception");
    }
    ::_exit(0);
  }
  for (std::size_t running = children.size(); running > 0;) {
    int status = 0;
    const pid_t child = ::waitpid(-1, &status, WNOHANG);
    if (std::find(children.begin(), children.end(), child) != children.end()) {
      --running;
      if (WIFSIGNALED(status))
        shared->report(("a process ended by signal " + std::to_string(WTERMSIG(status))).c_str());
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    tick(shared->done.load(), shared->counted.load());
  }
  check(!shared->failed, "processes", shared->error.data());
}

}  // namespace flamingo::web
