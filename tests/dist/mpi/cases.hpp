/// What test_mpi does under mpirun. Each throws Error where something is wrong, which ends the job.
#pragma once
#include <cstdint>
#include <span>

#include <flamingo/core/random.hpp>
#include <flamingo/dist/mpi.hpp>

namespace flamingo::test {

using Arguments = std::span<char*>;

void train_together(dist::MpiTransport& transport, Arguments arguments);  ///< training.cpp
void train_until(dist::MpiTransport& transport, Arguments arguments);     ///< training.cpp
void fail_alone(dist::MpiTransport& transport, Arguments arguments);      ///< training.cpp
void split_blocks(dist::MpiTransport& transport, Arguments arguments);    ///< split.cpp
void contrast(dist::MpiTransport& transport, Arguments arguments);        ///< contrastive.cpp

/// Throws where a process has other bytes than the first.
template <class T>
void check_same_everywhere(dist::Transport& transport, std::span<const T> numbers, const char* what) {
  const auto own = std::as_bytes(numbers);
  const std::uint64_t print = hash({reinterpret_cast<const char*>(own.data()), own.size()});
  for (const std::uint64_t other : dist::gather(transport, std::span<const std::uint64_t>(&print, 1)))
    check(other == print, what, "processes differ");
}

}  // namespace flamingo::test
