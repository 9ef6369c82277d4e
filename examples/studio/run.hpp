/// One request on its way: a place in the bounded queue, a time limit, and a client who may go away.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "line.hpp"
#include "refusal.hpp"
#include "writer.hpp"

namespace studio {

struct Limits {
  std::size_t body = std::size_t{32} << 20;    ///< bytes of a request
  std::size_t picture = std::size_t{8} << 20;  ///< bytes of a picture's file
  int pictures = 64;                           ///< of a request, shots included
  int tokens = 1024;                           ///< most that a request may ask for
  int requests = 20;                           ///< that are written or wait
  std::chrono::seconds time{120};              ///< from a request to the last token of its answer
};

/// Requests that are written or wait, counted.
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

class Run {
 public:
  /// `gone` is asked now and then whether anybody still waits, `closing` whether the program ends.
  Run(Gate& gate, Writer& writer, const Limits& limits, std::function<bool()> gone, const std::atomic<bool>& closing)
      : place_(gate), writer_(writer), limits_(limits), gone_(std::move(gone)), closing_(closing) {}
  Run(const Run&) = delete;
  ~Run() { cancel(); }

  /// Reads the chat's pictures and submits it. Throws Refusal where it cannot be read.
  void begin(const Chat& chat, const Sampling& sampling) {
    try {
      prompt_ = writer_.prompt(chat);
    } catch (const flamingo::Error& error) {
      throw Refusal(400, error.what()).at("messages").as("invalid_request_error", "prompt_not_read");
    }
    for (const Turn& turn : chat)
      for (const Part& part : turn.parts) {
        if (!part.picture) continue;
        check();
        try {
          prompt_.sights.push_back(writer_.see(part.content, part.place));
        } catch (const flamingo::Error& error) {
          throw Refusal(400, error.what()).at(part.place).as("invalid_request_error", "invalid_image");
        }
      }
    seen_ = Clock::now();
    try {
      id_ = writer_.write(prompt_, sampling, line_);
    } catch (const flamingo::Error& error) {
      throw Refusal(400, error.what());
    }
  }
  /// What happens next. Throws Refusal when the time is over, Gone when the client is; then it is cancelled.
  Event next() {
    if (kept_) return *std::exchange(kept_, std::nullopt);
    for (;;) {
      if (Clock::now() >= check_) {
        check();
        check_ = Clock::now() + pause;
      }
      if (std::optional<Event> event = line_->take(pause)) {
        note(*event);
        return std::move(*event);
      }
    }
  }
  /// Waits for the first token, or the end, and leaves it to next(): what is refused before has a status of its own.
  void wait_for_first() {
    Event event = next();
    while (event.kind == Event::Kind::begun) event = next();
    kept_ = std::move(event);
  }
  void cancel() {
    if (id_ && !ended_) writer_.cancel(*id_);
  }

  Writer::Id id() const { return id_.value_or(0); }
  const Prompt& prompt() const { return prompt_; }
  const std::vector<int>& written() const { return written_; }

  /// Milliseconds: pictures through the encoder, the wait, the prompt up to the first token, the tokens after it.
  struct Times {
    double encode = 0, wait = 0, prefill = 0, write = 0;
    int written = 0;  ///< tokens after the first
    double tokens_a_second() const { return write > 0 ? written * 1000 / write : 0; }
  };
  Times times() const {
    const auto between = [](Clock::time_point from, Clock::time_point to) {
      return std::max(0.0, std::chrono::duration<double, std::milli>(to - from).count());
    };
    return {between(asked_, seen_), between(seen_, begun_), between(begun_, first_), between(first_, last_),
            std::max(0, chosen_ - 1)};
  }

 private:
  static constexpr std::chrono::milliseconds pause{100};  // between looks at the client and the time

  void note(const Event& event) {
    if (event.kind == Event::Kind::begun) begun_ = first_ = last_ = event.at;
    const bool chosen = event.kind == Event::Kind::token || event.why == flamingo::StopReason::stop_id;
    if (event.kind == Event::Kind::token) written_.push_back(event.token.id);
    if (chosen) (chosen_++ == 0 ? first_ : last_) = event.at;
    if (chosen_ == 1) last_ = first_;
    if (event.kind != Event::Kind::ended) return;
    ended_ = true;
    if (event.why == flamingo::StopReason::failed) throw Refusal(500, event.text).as("server_error", "writing_failed");
  }
  void check() {
    if (gone_()) {
      cancel();
      throw Gone{};
    }
    if (closing_) {
      cancel();
      throw Refusal(503, "The server is closing.").as("server_error", "closing");
    }
    if (Clock::now() - asked_ < limits_.time) return;
    cancel();
    const std::string limit = std::to_string(limits_.time.count()) + " s";
    if (id_ && chosen_ == 0 && begun_ == Clock::time_point{})
      throw Refusal(503, "The request waited for " + limit + " and its turn did not come.")
          .as("server_error", "waited_too_long")
          .after(5);
    throw Refusal(408, "The request took more than " + limit + ".").as("timeout_error", "time_is_over");
  }

  Gate::Place place_;
  Writer& writer_;
  const Limits& limits_;
  std::function<bool()> gone_;
  const std::atomic<bool>& closing_;
  std::shared_ptr<Line> line_ = std::make_shared<Line>();
  Prompt prompt_;
  std::optional<Writer::Id> id_;
  std::optional<Event> kept_;
  std::vector<int> written_;
  bool ended_ = false;
  int chosen_ = 0;
  Clock::time_point asked_ = Clock::now(), check_ = asked_, seen_{}, begun_{}, first_{}, last_{};
};

}  // namespace studio
