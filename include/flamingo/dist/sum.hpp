/// Sums over processes in one order: that of ranks. Each process adds up a part of the numbers, then all hand theirs
/// round, which moves as few bytes as sums can (Patarasuk & Yuan 2009); the bits depend on nothing but the numbers and
/// how many processes there are.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/dist/parts.hpp>
#include <flamingo/dist/transport.hpp>

namespace flamingo::dist {

namespace detail {
template <class T>
std::span<std::byte> bytes_of(T* x, Range range) {
  return std::as_writable_bytes(std::span(x + range.begin, range.size()));
}
}  // namespace detail

/// x of a process's own part = Σ_r x of process r there. The other parts are left as they are.
template <class T>
void sum_parts(Transport& transport, T* x, const Parts& parts) {
  const int n = transport.size(), self = transport.rank();
  if (n == 1) return;
  const Range own = parts.of(self);
  T* const others = transport.room<T>(static_cast<std::size_t>(n) * own.size());
  std::vector<std::span<const std::byte>> send;
  std::vector<std::span<std::byte>> receive;
  for (int r = 0; r < n; ++r) {
    const bool other = r != self;
    send.push_back(other ? detail::bytes_of(x, parts.of(r)) : std::span<std::byte>());
    const std::size_t at = static_cast<std::size_t>(r) * own.size();
    receive.push_back(other ? detail::bytes_of(others, {at, at + own.size()}) : std::span<std::byte>());
  }
  transport.exchange(send, receive);
  const auto from = [&](int r) {
    return r == self ? x + own.begin : others + static_cast<std::size_t>(r) * own.size();
  };
  T* const total = from(0);
  for (int r = 1; r < n; ++r) {
    const T* const next = from(r);
    for (std::size_t i = 0; i < own.size(); ++i) total[i] += next[i];
  }
  if (self != 0) std::copy_n(total, own.size(), x + own.begin);
}
/// Every part as its own process has it.
template <class T>
void gather_parts(Transport& transport, T* x, const Parts& parts) {
  const int n = transport.size(), self = transport.rank();
  if (n == 1) return;
  std::vector<std::span<const std::byte>> send(static_cast<std::size_t>(n), detail::bytes_of(x, parts.of(self)));
  std::vector<std::span<std::byte>> receive;
  for (int r = 0; r < n; ++r) receive.push_back(detail::bytes_of(x, parts.of(r)));
  send[static_cast<std::size_t>(self)] = {};
  receive[static_cast<std::size_t>(self)] = {};
  transport.exchange(send, receive);
}

/// x = Σ_r x of process r, in place and everywhere. A few numbers are handed round at once and added up by everybody,
/// which gives the same bits.
template <class T>
void sum(Transport& transport, T* x, std::size_t count) {
  constexpr std::size_t few = 2048, most = std::size_t{1} << 22;
  const int n = transport.size();
  if (n == 1 || count == 0) return;
  if (count <= few) {
    const std::vector<T> all = gather(transport, std::span<const T>(x, count));
    for (std::size_t i = 0; i < count; ++i) {
      x[i] = all[i];
      for (std::size_t r = 1; r < static_cast<std::size_t>(n); ++r) x[i] += all[r * count + i];
    }
    return;
  }
  for (std::size_t at = 0; at < count; at += most) {
    const Parts parts{{at, std::min(count, at + most)}, n};
    sum_parts(transport, x, parts);
    gather_parts(transport, x, parts);
  }
}

/// The context's sums of split layers go over the transport, which must outlive them.
template <class Context>
void join(Context& ctx, Transport& transport) {
  ctx.sum_over_processes = [&transport](auto* x, std::size_t count) { sum(transport, x, count); };
  ctx.sum_over_hosts = [&transport](std::span<double> x) { sum(transport, x.data(), x.size()); };
}

}  // namespace flamingo::dist
