/// How processes that compute together reach one another: bytes of the host, over whatever engine (dist/mpi.hpp).
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo::dist {

/// All processes call the same functions in the same order. One thread at a time; several threads need a transport
/// each.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Sends send[r] to process r and fills receive[r] with what process r sends here, for all r, oneself among them.
  /// Both sides know the sizes. Throws Error where a process does not answer.
  virtual void exchange(std::span<const std::span<const std::byte>> send,
                        std::span<const std::span<std::byte>> receive) = 0;

  /// Room for `count` numbers of others, which stays for the next time: fresh pages cost as much as what they hold.
  template <class T>
  T* room(std::size_t count) {
    if (room_.size() < count * sizeof(T)) room_.resize(count * sizeof(T));
    return reinterpret_cast<T*>(room_.data());
  }

 protected:
  Transport() = default;
  Transport(const Transport&) = default;
  Transport& operator=(const Transport&) = default;

 private:
  std::vector<std::byte> room_;
};

/// A process alone.
class OneProcess final : public Transport {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void exchange(std::span<const std::span<const std::byte>> send,
                std::span<const std::span<std::byte>> receive) override {
    check(send.size() == 1 && receive.size() == 1 && send[0].size() == receive[0].size(), "transport",
          "one process sends itself what it receives");
    std::copy(send[0].begin(), send[0].end(), receive[0].begin());
  }
};

/// Fills receive[r] with the `mine` of process r.
inline void gather(Transport& transport, std::span<const std::byte> mine,
                   std::span<const std::span<std::byte>> receive) {
  const std::vector<std::span<const std::byte>> send(static_cast<std::size_t>(transport.size()), mine);
  transport.exchange(send, receive);
}
/// `mine` of every process, in the order of ranks: as many numbers of each.
template <class T>
std::vector<T> gather(Transport& transport, std::span<const T> mine) {
  std::vector<T> all(mine.size() * static_cast<std::size_t>(transport.size()));
  std::vector<std::span<std::byte>> receive;
  for (std::size_t at = 0; at < all.size(); at += mine.size())
    receive.push_back(std::as_writable_bytes(std::span(all).subspan(at, mine.size())));
  if (!mine.empty()) gather(transport, std::as_bytes(mine), receive);
  return all;
}
/// Returns when every process has come here.
inline void meet(Transport& transport) {
  const std::byte here{1};
  gather(transport, std::span<const std::byte>(&here, 1));
}

}  // namespace flamingo::dist
