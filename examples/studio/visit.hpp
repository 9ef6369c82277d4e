/// One request from its first byte on: a place among those that are served, a time limit, and a client who may go away.
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "line.hpp"
#include "refusal.hpp"

namespace studio {

struct Limits {
  std::size_t body = std::size_t{32} << 20;    ///< bytes of a request
  std::size_t picture = std::size_t{8} << 20;  ///< bytes of a picture's file
  int pictures = 64;                           ///< of a request, shots included
  int tokens = 1024;                           ///< most that a request may ask for
  int requests = 20;                           ///< that are read, written or wait
  std::chrono::seconds time{120};              ///< from a request's head to the last token of its answer
};

/// Requests that are read, written or wait, counted.
class Gate {
 public:
  explicit Gate(int most) : most_(most) {}

  /// Held as long as a request takes a place.
  class Place {
   public:
    explicit Place(Gate& gate) : gate_(&gate) {
      if (gate.taken_.fetch_add(1) < gate.most_) return;
      gate.taken_.fetch_sub(1);
      throw Refusal(429, "All " + std::to_string(gate.most_) + " places are taken; try again soon.")
          .as("rate_limit_error", "queue_full")
          .after(2);
    }
    Place(const Place&) = delete;
    ~Place() { gate_->taken_.fetch_sub(1); }

   private:
    Gate* gate_;
  };
  int taken() const { return taken_; }

 private:
  int most_;
  std::atomic<int> taken_ = 0;
};

/// The client has gone away: nobody is to be told.
struct Gone {};

/// Takes a place and starts the clock where it is made: before the body is read, which costs memory and time as well.
class Visit {
 public:
  /// `gone` is asked now and then whether anybody still waits, `closing` whether the program ends. Throws Refusal where
  /// all places are taken.
  Visit(Gate& gate, const Limits& limits, std::function<bool()> gone, const std::atomic<bool>& closing)
      : place_(gate), limits_(limits), gone_(std::move(gone)), closing_(closing) {}
  Visit(const Visit&) = delete;

  enum class Doing { reading, waiting, writing };
  /// Throws Refusal when the time is over or the program ends, Gone when the client is.
  void check(Doing doing) const {
    if (doing != Doing::reading && gone_()) throw Gone{};  // who has only sent all of a body still waits
    if (closing_) throw Refusal(503, "The server is closing.").as("server_error", "closing");
    if (Clock::now() - asked_ < limits_.time) return;
    const std::string limit = std::to_string(limits_.time.count()) + " s";
    if (doing == Doing::waiting)
      throw Refusal(503, "The request waited for " + limit + " and its turn did not come.")
          .as("server_error", "waited_too_long")
          .after(5);
    throw Refusal(408, "The request took more than " + limit + ".").as("timeout_error", "time_is_over");
  }

 private:
  Gate::Place place_;
  const Limits& limits_;
  std::function<bool()> gone_;
  const std::atomic<bool>& closing_;
  Clock::time_point asked_ = Clock::now();
};

}  // namespace studio
