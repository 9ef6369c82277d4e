/// How long a connection may take as a whole. cpp-httplib bounds the time between two bytes alone: who sends a line of
/// a head now and then, or of what stands between the pieces of a body, would keep a thread for ever.
#pragma once
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "line.hpp"
#include "socket.hpp"

namespace studio {

/// Ends what is read of connections that are too slow: those whose request's head is not there `head` after they were
/// made, and all after `whole`. Connections that wait for a thread are among them, so their queue is bounded too.
class Patience {
 public:
  Patience(std::chrono::seconds head, std::chrono::seconds whole) : head_(head), whole_(whole) {
    thread_ = std::thread([this] { watch(); });
  }
  Patience(const Patience&) = delete;
  ~Patience() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    end_.notify_one();
    thread_.join();
  }
  /// The head of a request has been read.
  void head_of(const httplib::Request& request) {
    const std::lock_guard lock(mutex_);
    known_.try_emplace(peer_of(request)).first->second.has_head = true;
  }

 private:
  struct Known {
    Clock::time_point since = Clock::now();
    bool has_head = false;
    unsigned seen = 0;  ///< the look at which it was there
  };

  void watch() {
    std::unique_lock lock(mutex_);
    for (unsigned look = 1; !end_.wait_for(lock, std::chrono::milliseconds(250), [this] { return ended_; }); ++look) {
      const Clock::time_point now = Clock::now();
      // All of it under the lock: what head_of() notes meanwhile is of a connection that the next look finds.
      each_connection([&](int descriptor, const std::string& peer) {
        Known& known = known_.try_emplace(peer).first->second;
        known.seen = look;
        if (now - known.since > (known.has_head ? whole_ : head_)) shutdown(descriptor, SHUT_RD);
      });
      std::erase_if(known_, [&](const auto& each) { return each.second.seen != look; });
    }
  }

  std::chrono::seconds head_, whole_;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  std::map<std::string, Known> known_;
  std::thread thread_;
};

}  // namespace studio
