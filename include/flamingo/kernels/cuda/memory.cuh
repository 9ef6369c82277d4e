/// Memory, streams and copies of the CUDA runtime, owned.
#pragma once
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include <flamingo/kernels/cuda/error.cuh>

namespace flamingo {

/// A range of the current device's memory, allocated once; contents undefined.
class DeviceRange {
 public:
  explicit DeviceRange(std::size_t bytes) : bytes_(bytes) {
    void* at = nullptr;
    if (bytes) check_cuda(cudaMalloc(&at, bytes), "cudaMalloc");
    data_ = static_cast<std::byte*>(at);
  }
  DeviceRange(DeviceRange&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceRange& operator=(DeviceRange&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceRange() {
    if (data_) static_cast<void>(cudaFree(data_));
  }
  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A stream of its own, which does not wait for the default one.
class Stream {
 public:
  Stream() { check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"); }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream() {
    if (stream_) static_cast<void>(cudaStreamDestroy(stream_));
  }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// Numbers in the current device's memory, owned: zeros, or what a host begins them with. Both are waited for; who
/// reads or writes them later does it in the order of a context's stream.
template <class T>
class DeviceNumbers {
 public:
  explicit DeviceNumbers(std::size_t count) : range_(count * sizeof(T)), count_(count) {
    const Stream stream;
    if (count) check_cuda(cudaMemsetAsync(data(), 0, range_.size(), stream.get()), "cudaMemset");
    check_cuda(cudaStreamSynchronize(stream.get()), "cudaMemset");
  }
  explicit DeviceNumbers(const std::vector<T>& host) : range_(host.size() * sizeof(T)), count_(host.size()) {
    const Stream stream;
    if (count_)
      check_cuda(cudaMemcpyAsync(data(), host.data(), range_.size(), cudaMemcpyHostToDevice, stream.get()),
                 "cudaMemcpy");
    check_cuda(cudaStreamSynchronize(stream.get()), "cudaMemcpy");
  }
  T* data() { return reinterpret_cast<T*>(range_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(range_.data()); }
  std::size_t size() const { return count_; }

 private:
  DeviceRange range_;
  std::size_t count_;
};

/// Pinned host memory through which host tables reach the device: the caller's memory may go as soon as upload returns.
/// Two halves take turns. A half is waited for only when it comes round again before its copies are done.
class Staging {
 public:
  explicit Staging(std::size_t bytes) : half_bytes_(bytes / 2) {
    check(half_bytes_ > 0, "staging", bytes, " bytes of staging memory, expected at least 2: it has two halves");
    void* at = nullptr;
    check_cuda(cudaMallocHost(&at, half_bytes_ * 2), "cudaMallocHost");
    data_ = static_cast<std::byte*>(at);
    for (cudaEvent_t& event : copied_)
      check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  }
  Staging(Staging&& other) noexcept { swap(other); }
  Staging& operator=(Staging&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Staging() {
    for (const cudaEvent_t event : copied_)
      if (event) static_cast<void>(cudaEventDestroy(event));
    if (data_) static_cast<void>(cudaFreeHost(data_));
  }

  /// Closed, it copies nothing: a captured copy would read this memory later. Returns whether copies were asked for
  /// since the last call.
  bool close(bool closed) {
    closed_ = closed;
    return std::exchange(asked_, false);
  }

  bool closed() const { return closed_; }

  /// Copies to the device in the stream's order; always the same stream.
  void upload(cudaStream_t stream, const void* from, void* to, std::size_t bytes) {
    asked_ = asked_ || bytes > 0;
    if (closed_) return;
    for (std::size_t done = 0; done < bytes;) {
      if (used_ == half_bytes_) turn(stream);
      const std::size_t piece = bytes - done < half_bytes_ - used_ ? bytes - done : half_bytes_ - used_;
      std::byte* const place = data_ + static_cast<std::size_t>(half_) * half_bytes_ + used_;
      std::memcpy(place, static_cast<const std::byte*>(from) + done, piece);
      check_cuda(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, place, piece, cudaMemcpyHostToDevice, stream),
                 "cudaMemcpyAsync");
      used_ += piece;
      done += piece;
    }
  }

 private:
  void turn(cudaStream_t stream) {
    check_cuda(cudaEventRecord(copied_[half_], stream), "cudaEventRecord");
    half_ = 1 - half_;
    used_ = 0;
    check_cuda(cudaEventSynchronize(copied_[half_]), "cudaEventSynchronize");
  }
  void swap(Staging& other) {
    std::swap(data_, other.data_);
    std::swap(copied_, other.copied_);
    std::swap(half_bytes_, other.half_bytes_);
    std::swap(half_, other.half_);
    std::swap(used_, other.used_);
    std::swap(closed_, other.closed_);
    std::swap(asked_, other.asked_);
  }

  std::byte* data_ = nullptr;
  std::array<cudaEvent_t, 2> copied_{};
  std::size_t half_bytes_ = 0, half_ = 0, used_ = 0;
  bool closed_ = false, asked_ = false;
};

}  // namespace flamingo
