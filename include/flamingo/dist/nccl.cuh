/// Several GPUs, one a process, by NCCL: a group for training, and the sums of split layers.
#pragma once
#include <nccl.h>
#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include <flamingo/dist/group.hpp>
#include <flamingo/dist/sum.hpp>
#include <flamingo/dist/transport.hpp>
#include <flamingo/kernels/cuda/context.cuh>

namespace flamingo::dist {

namespace detail {
inline void check_nccl(ncclResult_t result, const char* what) {
  check(result == ncclSuccess, "nccl", what, ": ", ncclGetErrorString(result));
}
template <class T>
constexpr ncclDataType_t nccl_type() {
  if constexpr (std::is_same_v<T, double>)
    return ncclFloat64;
  else if constexpr (std::is_same_v<T, float>)
    return ncclFloat32;
  else
    return ncclBfloat16;
}
struct CudaEvent {
  cudaEvent_t event{};
  CudaEvent() { check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "nccl"); }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  ~CudaEvent() { static_cast<void>(cudaEventDestroy(event)); }
  /// What `later` is asked to do from now on comes after what `earlier` was.
  void order(cudaStream_t earlier, cudaStream_t later) const {
    check_cuda(cudaEventRecord(event, earlier), "nccl");
    check_cuda(cudaStreamWaitEvent(later, event, 0), "nccl");
  }
};
}  // namespace detail

/// The processes of a transport, each with the GPU that is current in it, as NCCL knows them.
class NcclProcesses {
 public:
  /// Borrows the transport, over which what the host has goes.
  explicit NcclProcesses(Transport& transport) : transport_(transport) {
    ncclUniqueId id{};
    if (transport.rank() == 0) detail::check_nccl(ncclGetUniqueId(&id), "unique id");
    // As characters: nvcc 13.0 does not get over a vector of a struct without a tag.
    const std::vector<char> ids = dist::gather(transport, std::span<const char>(id.internal));
    std::copy_n(ids.begin(), sizeof(id.internal), id.internal);
    detail::check_nccl(ncclCommInitRank(&processes_, transport.size(), id, transport.rank()), "init");
  }
  NcclProcesses(const NcclProcesses&) = delete;
  NcclProcesses& operator=(const NcclProcesses&) = delete;
  ~NcclProcesses() { static_cast<void>(ncclCommAbort(processes_)); }  // does not wait for those that are gone
  operator ncclComm_t() const { return processes_; }
  Transport& transport() const { return transport_; }

  /// Throws what went wrong since it was last asked, in what was asked for long ago too: a GPU or a link that fell out
  /// while others waited for it.
  void check_alive() const {
    ncclResult_t state = ncclSuccess;
    detail::check_nccl(ncclCommGetAsyncError(processes_, &state), "asking for errors");
    detail::check_nccl(state, "in the background");
  }

 private:
  Transport& transport_;
  ncclComm_t processes_{};
};

/// Sums in the order that NCCL chooses, which is one for given GPUs, links and settings.
template <Real R>
class NcclGroup final : public Group<Cuda<R>> {
 public:
  using P = Cuda<R>;
  using A = typename Group<P>::A;

  /// Borrows the transport, over which what the host has goes.
  explicit NcclGroup(Transport& transport) : processes_(transport) {}

  void begin_sum(Context<P>& ctx, A* x, const Parts& parts) override {
    written_.order(ctx.stream(), stream_.get());
    each_part(
        parts,
        [&](int r, A* part, std::size_t count) {
          return ncclReduce(part, part, count, detail::nccl_type<A>(), ncclSum, r, processes_, stream_.get());
        },
        x);
  }
  void begin_gather(Context<P>& ctx, A* x, const Parts& parts) override {
    written_.order(ctx.stream(), stream_.get());
    each_part(
        parts,
        [&](int r, A* part, std::size_t count) {
          return ncclBroadcast(part, part, count, detail::nccl_type<A>(), r, processes_, stream_.get());
        },
        x);
  }
  void wait(Context<P>& ctx) override {
    done_.order(stream_.get(), ctx.stream());
    processes_.check_alive();
  }
  Transport& transport() override { return processes_.transport(); }

 private:
  /// One call of NCCL for all parts.
  template <class F>
  static void each_part(const Parts& parts, const F& f, A* x) {
    detail::check_nccl(ncclGroupStart(), "group");
    for (int r = 0; r < parts.processes; ++r)
      if (const Range part = parts.of(r); !part.empty()) detail::check_nccl(f(r, x + part.begin, part.size()), "sum");
    detail::check_nccl(ncclGroupEnd(), "group");
  }

  NcclProcesses processes_;
  Stream stream_;
  detail::CudaEvent written_, done_;
};

/// The context's sums of split layers go over NCCL, in the order of the context's stream. `processes` must outlive
/// them.
template <Real R>
void join(Context<Cuda<R>>& ctx, const NcclProcesses& processes) {
  ctx.sum_over_processes = [&processes](R* x, std::size_t count, cudaStream_t stream) {
    detail::check_nccl(ncclAllReduce(x, x, count, detail::nccl_type<R>(), ncclSum, processes, stream), "sum");
  };
  ctx.sum_over_hosts = [&processes](std::span<double> x) {
    processes.check_alive();
    sum(processes.transport(), x.data(), x.size());
  };
}

}  // namespace flamingo::dist
