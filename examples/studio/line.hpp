/// Between the thread that writes and the one that tells the client: what happened to a request, in its order.
#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/infer/generate.hpp>

namespace studio {

using Clock = std::chrono::steady_clock;

/// A token that was chosen, or (id -1) the end, with the likeliest tokens there.
struct Token {
  int id = -1;
  double log_p = 0;
  std::vector<flamingo::Choice> alternatives;
};

struct Event {
  enum class Kind { begun, token, text, ended } kind = Kind::begun;
  Token token{};       ///< of a token, and of an end that the model chose
  std::string text{};  ///< of a text: what is decided of it so far; of an end: why it failed
  flamingo::StopReason why = flamingo::StopReason::length;
  Clock::time_point at = Clock::now();
};

class Line {
 public:
  void put(Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    there_.notify_one();
  }
  /// The next event, or nothing when none has come in that time.
  std::optional<Event> take(std::chrono::milliseconds within) {
    std::unique_lock lock(mutex_);
    if (!there_.wait_for(lock, within, [&] { return !events_.empty(); })) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable there_;
  std::deque<Event> events_;
};

}  // namespace studio
