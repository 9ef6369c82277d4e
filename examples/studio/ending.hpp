/// Ends the program when it is asked to, whatever it does then: SIGINT (Ctrl + C) and SIGTERM.
#pragma once
#include <pthread.h>

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "http.hpp"

namespace studio {

/// A thread waits for the signals; the others, made later, never see them. What is being served ends in order; while
/// nothing is served, as when a model is loaded, or at a second signal, the program ends at once with 128 + the signal.
class Ending {
 public:
  Ending() {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this] { wait(); });
  }
  Ending(const Ending&) = delete;
  ~Ending() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }

  /// From here on a signal stops `http`, whose serve() must follow.
  class Serving {
   public:
    Serving(Ending& ending, Http& http) : ending_(ending) { set(&http); }
    Serving(const Serving&) = delete;
    ~Serving() { set(nullptr); }

   private:
    void set(Http* http) {
      const std::lock_guard lock(ending_.mutex_);
      ending_.http_ = http;
    }
    Ending& ending_;
  };

 private:
  void wait() {
    for (bool again = false;; again = true) {
      int signal = 0;
      sigwait(&signals_, &signal);
      const std::lock_guard lock(mutex_);
      if (done_) return;
      if (http_ == nullptr || again) std::_Exit(128 + signal);
      http_->stop();
    }
  }

  sigset_t signals_{};
  std::mutex mutex_;
  Http* http_ = nullptr;  ///< that is served
  bool done_ = false;
  std::thread thread_;
};

}  // namespace studio
