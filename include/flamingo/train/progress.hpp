/// A line that says how far a long job is and how long it will still take.
#pragma once
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>

namespace flamingo {

/// Whether a line on the descriptor can be rewritten in place: a terminal that is not dumb, and not a log of continuous
/// integration, which may look like one.
inline bool rewrites_lines(int descriptor) {
  const char *terminal = std::getenv("TERM"), *ci = std::getenv("CI");
  return ::isatty(descriptor) == 1 && terminal && std::string_view(terminal) != "dumb" && !(ci && *ci);
}

/// Lines on a stream: one rewritten in place where the stream is a terminal, one every `interval` seconds elsewhere.
class Progress {
 public:
  Progress(std::ostream& out, std::string name, long total, bool terminal = false, double interval = 15)
      : out_(out), name_(std::move(name)), total_(total), terminal_(terminal), interval_(terminal ? 0.2 : interval) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// A job that stops on its way leaves its last line whole.
  ~Progress() { end_line(); }

  /// Work up to `done` of the total is finished; `started_at` of it was done before this run.
  void report(long done, std::string_view what, long started_at = 0) {
    const double seconds = elapsed();
    if (done < total_ && seconds - last_ < interval_) return;
    last_ = seconds;
    const double rate = static_cast<double>(done - started_at) / (seconds > 0 ? seconds : 1e-9);
    const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
    std::string line = name_ + ' ' + std::to_string(done) + '/' + std::to_string(total_) + "  ";
    line.append(what).append("  " + clock(seconds) + " gone, " + clock(left) + " left");
    if (terminal_) shorten(line, columns());
    out_ << (terminal_ ? "\r\x1b[K" : "") << line;
    open_ = true;
    if (!terminal_ || done >= total_) end_line();
    out_.flush();
  }
  /// Ends a line that would be rewritten, before something else is written.
  void end_line() {
    if (open_) out_ << '\n' << std::flush;
    open_ = false;
  }
  double elapsed() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

  /// Cuts a line that would not fit a terminal's columns, where it could not be rewritten; at the beginning of a
  /// character.
  static void shorten(std::string& line, int columns) {
    if (columns <= 0 || line.size() < static_cast<std::size_t>(columns)) return;
    std::size_t end = static_cast<std::size_t>(columns) - 1;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
    line.resize(end);
  }

 private:
  static int columns() {
    struct winsize size {};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
  }
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
  bool terminal_, open_ = false;
  double interval_, last_ = -1e9;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace flamingo
