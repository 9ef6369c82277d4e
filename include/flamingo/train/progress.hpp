/// A line that says how far a long job is and how long it will still take.
#pragma once
#include <array>
#include <chrono>
#include <cstdio>
#include <ostream>
#include <string>
#include <string_view>

namespace flamingo {

/// Lines on a stream: one rewritten in place where the stream is a terminal, one every `interval` seconds elsewhere.
class Progress {
 public:
  Progress(std::ostream& out, std::string name, long total, bool terminal = false, double interval = 15)
      : out_(out), name_(std::move(name)), total_(total), terminal_(terminal), interval_(terminal ? 0.2 : interval) {}

  /// Work up to `done` of the total is finished; `started_at` of it was done before this run.
  void report(long done, std::string_view what, long started_at = 0) {
    const double seconds = elapsed();
    if (done < total_ && seconds - last_ < interval_) return;
    last_ = seconds;
    const double rate = static_cast<double>(done - started_at) / (seconds > 0 ? seconds : 1e-9);
    const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
    out_ << (terminal_ ? "\r\x1b[K" : "") << name_ << ' ' << done << '/' << total_ << "  " << what << "  "
         << clock(seconds) << " gone, " << clock(left) << " left";
    if (!terminal_ || done >= total_) out_ << '\n';
    out_.flush();
  }
  double elapsed() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  static std::string clock(double seconds) {
    const long s = static_cast<long>(seconds + 0.5);
    std::array<char, 32> text{};
    if (s >= 3600)
      std::snprintf(text.data(), text.size(), "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
      std::snprintf(text.data(), text.size(), "%ld:%02ld", s / 60, s % 60);
    return text.data();
  }

  std::ostream& out_;
  std::string name_;
  long total_;
  bool terminal_;
  double interval_, last_ = -1e9;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace flamingo
