/// Processes that MPI started (mpirun, srun), and bytes between them. Needs the component flamingo::mpi.
#pragma once
#define OMPI_SKIP_MPICXX 1  // the C functions alone
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <flamingo/dist/transport.hpp>

namespace flamingo::dist {

namespace detail {
inline void check_mpi(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  std::string text(MPI_MAX_ERROR_STRING, ' ');
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  fail("mpi", what, ": ", std::string_view(text).substr(0, static_cast<std::size_t>(length)));
}
}  // namespace detail

/// All processes of the job, or some of them, as a transport of their own: several may be used at the same time by
/// several threads.
class MpiTransport final : public Transport {
 public:
  /// How long a process waits for another before it says so and ends. A process whose peer was killed is ended by
  /// mpirun at once; this is for networks and starters that do not tell.
  static constexpr std::chrono::seconds default_patience{1800};

  /// All processes of the job; each must call it. MpiJob must live.
  explicit MpiTransport(std::chrono::seconds patience = default_patience)
      : MpiTransport(MPI_COMM_WORLD, 0, 0, patience) {}
  /// Those processes of `all` that name the same color, in the order of their ranks there; each of `all` must call it.
  MpiTransport(const MpiTransport& all, int color) : MpiTransport(all.processes_, color, all.rank_, all.patience_) {}
  MpiTransport(const MpiTransport&) = delete;
  MpiTransport& operator=(const MpiTransport&) = delete;
  ~MpiTransport() override {
    // Freeing waits for the others, who may never come where an error is on its way.
    if (std::uncaught_exceptions() == 0) MPI_Comm_free(&processes_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void exchange(std::span<const std::span<const std::byte>> send,
                std::span<const std::span<std::byte>> receive) override {
    const auto n = static_cast<std::size_t>(size_), self = static_cast<std::size_t>(rank_);
    check(send.size() == n && receive.size() == n && send[self].size() == receive[self].size(), "mpi", send.size(),
          " parts to send and ", receive.size(), " to receive among ", n, " processes");
    requests_.clear();
    for (std::size_t step = 1; step < n; ++step) {  // everybody begins with another
      const std::size_t from = (self + n - step) % n;
      each_piece(receive[from], [&](std::byte* at, int bytes) {
        detail::check_mpi(MPI_Irecv(at, bytes, MPI_BYTE, static_cast<int>(from), 0, processes_, &request()), "receive");
      });
    }
    for (std::size_t step = 1; step < n; ++step) {
      const std::size_t to = (self + step) % n;
      each_piece(send[to], [&](const std::byte* at, int bytes) {
        detail::check_mpi(MPI_Isend(at, bytes, MPI_BYTE, static_cast<int>(to), 0, processes_, &request()), "send");
      });
    }
    std::copy(send[self].begin(), send[self].end(), receive[self].begin());
    wait();
  }

 private:
  MpiTransport(MPI_Comm of, int color, int key, std::chrono::seconds patience) : patience_(patience) {
    detail::check_mpi(MPI_Comm_split(of, color, key, &processes_), "split");
    MPI_Comm_set_errhandler(processes_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(processes_, &rank_);
    MPI_Comm_size(processes_, &size_);
  }

  MPI_Request& request() { return requests_.emplace_back(MPI_REQUEST_NULL); }
  /// MPI counts in int.
  template <class Byte, class F>
  static void each_piece(std::span<Byte> bytes, const F& f) {
    constexpr std::size_t most = std::size_t{1} << 30;
    for (std::size_t at = 0; at < bytes.size(); at += most)
      f(bytes.data() + at, static_cast<int>(std::min(most, bytes.size() - at)));
  }
  void wait() {
    const auto begun = std::chrono::steady_clock::now();
    for (int looks = 0;; ++looks) {
      int done = 0;
      detail::check_mpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
                        "wait");
      if (done) return;
      if (looks < 1000) continue;  // what is near is there within microseconds
      if (std::chrono::steady_clock::now() - begun > patience_)
        fail("mpi", "process ", rank_, " of ", size_, " waited ", patience_.count(), " s for the others");
      if (looks < 20000)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  MPI_Comm processes_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::chrono::seconds patience_;
  std::vector<MPI_Request> requests_;
};

/// A program's part in the job: one in main, before any transport.
class MpiJob {
 public:
  MpiJob(int& argc, char**& argv) {
    int given = 0;
    detail::check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &given), "init");
    check(given == MPI_THREAD_MULTIPLE, "mpi", "this MPI does not serve several threads (MPI_THREAD_MULTIPLE)");
  }
  MpiJob(const MpiJob&) = delete;
  MpiJob& operator=(const MpiJob&) = delete;
  ~MpiJob() { MPI_Finalize(); }

  /// f() -> the program's exit status. What it throws is told on standard error with the process's rank, and ends all
  /// processes of the job: none is left waiting for one that gave up.
  template <class F>
  static int run(int argc, char** argv, const F& f) {
    MpiJob job(argc, argv);
    try {
      return f();
    } catch (const std::exception& error) {
      int rank = 0, size = 1;
      MPI_Comm_rank(MPI_COMM_WORLD, &rank);
      MPI_Comm_size(MPI_COMM_WORLD, &size);
      // Where all throw alike, the first one tells it and ends the others while they wait.
      if (rank > 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
      std::fprintf(stderr, "process %d of %d: %s\n", rank, size, error.what());
      std::fflush(nullptr);
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return 1;
  }
};

}  // namespace flamingo::dist
