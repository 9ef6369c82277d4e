/// The CUDA runtime on host memory: allocations, streams, events, copies. Asynchronous copies happen as late as they
/// may: at the next launch or wait. So a source that goes too early, or a result read too early, shows.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };

struct CUstream_st {};
using cudaStream_t = CUstream_st*;
struct CUevent_st {
  bool recorded = false;
};
using cudaEvent_t = CUevent_st*;
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

namespace emulator {

/// What a device of the emulator has; more is refused.
inline constexpr std::size_t device_bytes = std::size_t{1} << 32;

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};
/// Begun and not yet done, in the order of the streams taken together.
inline std::vector<Copy>& copies() {
  static std::vector<Copy> begun;
  return begun;
}
inline void finish_copies() {
  for (const Copy& copy : std::exchange(copies(), {})) std::memmove(copy.to, copy.from, copy.bytes);
}

/// What is captured instead of being done; null: nothing is.
using Work = std::vector<std::function<void()>>;
inline Work*& capturing() {
  static Work* work = nullptr;
  return work;
}

/// What went wrong last and nobody has asked for: a launch answers with it too.
inline cudaError_t& last_error() {
  static cudaError_t error = cudaSuccess;
  return error;
}

/// All bits set, so that a number never written is NaN.
inline cudaError_t allocate(void** memory, std::size_t bytes) {
  *memory = bytes > device_bytes ? nullptr : std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!*memory) return last_error() = cudaErrorMemoryAllocation;
  std::memset(*memory, 0xFF, bytes);
  return cudaSuccess;
}
inline cudaError_t release(void* memory) {
  finish_copies();
  std::free(memory);
  return cudaSuccess;
}

}  // namespace emulator

inline const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaSuccess             ? "cudaSuccess"
         : error == cudaErrorInvalidValue ? "cudaErrorInvalidValue"
                                          : "cudaErrorMemoryAllocation";
}
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : error == cudaErrorInvalidValue ? "invalid argument" : "out of memory";
}

inline cudaError_t cudaGetLastError() { return std::exchange(emulator::last_error(), cudaSuccess); }

inline cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return emulator::allocate(memory, bytes); }
inline cudaError_t cudaFree(void* memory) { return emulator::release(memory); }
inline cudaError_t cudaMallocHost(void** memory, std::size_t bytes) { return emulator::allocate(memory, bytes); }
inline cudaError_t cudaFreeHost(void* memory) { return emulator::release(memory); }

inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  if (bytes && (!to || !from)) return cudaErrorInvalidValue;
  if (emulator::capturing()) {
    emulator::capturing()->push_back([=] { emulator::copies().push_back({to, from, bytes}); });
    return cudaSuccess;
  }
  emulator::copies().push_back({to, from, bytes});
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t) {
  if (bytes && !memory) return cudaErrorInvalidValue;
  const auto work = [=] {
    emulator::finish_copies();
    std::memset(memory, value, bytes);
  };
  if (emulator::capturing())
    emulator::capturing()->push_back(work);
  else
    work();
  return cudaSuccess;
}

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
/// Not while work is captured, as on a GPU.
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
  if (emulator::capturing()) return cudaErrorInvalidValue;
  emulator::finish_copies();
  return cudaSuccess;
}

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  if (!event) return cudaErrorInvalidValue;
  event->recorded = true;
  return cudaSuccess;
}
/// Nothing to wait for where the event was never recorded.
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!event) return cudaErrorInvalidValue;
  if (event->recorded) emulator::finish_copies();
  return cudaSuccess;
}

struct CUgraph_st {
  emulator::Work work;
};
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraph_st*;
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };

inline cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  if (emulator::capturing()) return cudaErrorInvalidValue;
  emulator::capturing() = new emulator::Work;
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  emulator::Work* const work = std::exchange(emulator::capturing(), nullptr);
  if (!work) return cudaErrorInvalidValue;
  *graph = new CUgraph_st{std::move(*work)};
  delete work;
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraph_st(*graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t) {
  for (const auto& work : exec->work) work();
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
