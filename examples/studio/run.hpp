/// One request that is written: its pictures, its tokens as they come, and its times.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "line.hpp"
#include "refusal.hpp"
#include "visit.hpp"
#include "writer.hpp"

namespace studio {

class Run {
 public:
  Run(std::shared_ptr<const Visit> visit, Writer& writer) : visit_(std::move(visit)), writer_(writer) {}
  Run(const Run&) = delete;
  ~Run() { cancel(); }

  /// Reads the chat's pictures and submits it. Throws Refusal where it cannot be read.
  void begin(const Chat& chat, const Sampling& sampling) {
    read_ = Clock::now();
    check();
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
    return {between(read_, seen_), between(seen_, begun_), between(begun_, first_), between(first_, last_),
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
    const bool waits = id_ && chosen_ == 0 && begun_ == Clock::time_point{};
    try {
      visit_->check(waits ? Visit::Doing::waiting : Visit::Doing::writing);
    } catch (...) {
      cancel();
      throw;
    }
  }

  std::shared_ptr<const Visit> visit_;
  Writer& writer_;
  std::shared_ptr<Line> line_ = std::make_shared<Line>();
  Prompt prompt_;
  std::optional<Writer::Id> id_;
  std::optional<Event> kept_;
  std::vector<int> written_;
  bool ended_ = false;
  int chosen_ = 0;
  Clock::time_point check_ = Clock::now(), read_ = check_, seen_{}, begun_{}, first_{}, last_{};
};

}  // namespace studio
