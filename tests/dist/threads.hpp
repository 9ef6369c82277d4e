/// Processes as threads of one, for tests of what goes over any transport.
#pragma once
#include <barrier>
#include <exception>
#include <thread>
#include <vector>

#include <flamingo/dist/transport.hpp>

namespace flamingo::test {

/// Where threads lay out what they send.
struct Board {
  explicit Board(int count) : meet(count), sends(static_cast<std::size_t>(count)) {}
  std::barrier<> meet;
  std::vector<std::span<const std::span<const std::byte>>> sends;
};

class ThreadTransport final : public dist::Transport {
 public:
  ThreadTransport(Board& board, int rank) : board_(board), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(board_.sends.size()); }
  void exchange(std::span<const std::span<const std::byte>> send,
                std::span<const std::span<std::byte>> receive) override {
    const auto self = static_cast<std::size_t>(rank_);
    board_.sends[self] = send;
    board_.meet.arrive_and_wait();
    bool fits = true;
    for (std::size_t r = 0; r < receive.size(); ++r) {
      const std::span<const std::byte> from = board_.sends[r][self];
      fits = fits && from.size() == receive[r].size();
      if (from.size() == receive[r].size()) std::copy(from.begin(), from.end(), receive[r].begin());
    }
    board_.meet.arrive_and_wait();  // nobody writes before all have read
    check(fits, "threads", "sizes differ between processes");
    ++exchanges_;
  }
  int exchanges() const { return exchanges_; }

 private:
  Board& board_;
  int rank_, exchanges_ = 0;
};

/// Runs f(transport) on `count` threads; the first exception is thrown again.
template <class F>
void on_threads(int count, const F& f) {
  Board board(count);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      try {
        ThreadTransport transport(board, rank);
        f(transport);
      } catch (...) {
        errors[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace flamingo::test
