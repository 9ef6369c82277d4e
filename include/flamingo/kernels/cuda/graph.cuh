/// A captured CUDA graph, owned: work on a stream, recorded once and started as one.
#pragma once
#include <utility>

#include <flamingo/kernels/cuda/error.cuh>

namespace flamingo {

class CapturedGraph {
 public:
  CapturedGraph() = default;
  /// Records what work() starts on the stream; nothing of it runs. The work may neither wait nor allocate.
  template <class Work>
  CapturedGraph(cudaStream_t stream, const Work& work) {
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      static_cast<void>(cudaStreamEndCapture(stream, &graph));
      if (graph) static_cast<void>(cudaGraphDestroy(graph));
      throw;
    }
    check_cuda(cudaStreamEndCapture(stream, &graph), "capture");
    const cudaError_t error = cudaGraphInstantiate(&exec_, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    check_cuda(error, "cudaGraphInstantiate");
  }
  CapturedGraph(CapturedGraph&& other) noexcept : exec_(std::exchange(other.exec_, nullptr)) {}
  CapturedGraph& operator=(CapturedGraph&& other) noexcept {
    std::swap(exec_, other.exec_);
    return *this;
  }
  ~CapturedGraph() {
    if (exec_) static_cast<void>(cudaGraphExecDestroy(exec_));
  }
  explicit operator bool() const { return exec_ != nullptr; }
  void launch(cudaStream_t stream) const { check_cuda(cudaGraphLaunch(exec_, stream), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace flamingo
