/// Memory that a kernel may touch, between guard zones: the same class on a GPU and on the emulator.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <flamingo/kernels/cuda/raw/tile.cuh>

namespace emulator {

/// `count` elements, NaN until written, between two zones of NaNs that are this buffer's own: what is read beside it
/// spoils the result; what is written there shows in intact(), also when it is a NaN that was read beside another
/// buffer.
template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::size_t count)
      : count_(count), bytes_(count * sizeof(T)), image_(bytes_ + 2 * guard_bytes, std::byte{0xFF}) {
    static std::uint16_t buffers = 0;
    const auto guard = static_cast<std::uint16_t>(0xFFC0u | (++buffers % 63u));  // as bf16, float or double: NaN
    for (std::size_t i = 0; i < guard_bytes; i += sizeof guard) {
      std::memcpy(&image_[i], &guard, sizeof guard);
      std::memcpy(&image_[guard_bytes + bytes_ + i], &guard, sizeof guard);
    }
#if defined(__CUDACC__)
    if (cudaMalloc(&memory_, image_.size()) != cudaSuccess) throw std::runtime_error("cudaMalloc failed");
    cudaMemcpy(memory_, image_.data(), image_.size(), cudaMemcpyHostToDevice);
#else
    const std::size_t blocks = (image_.size() + guard_bytes - 1) / guard_bytes;
    memory_ = static_cast<std::byte*>(std::aligned_alloc(guard_bytes, blocks * guard_bytes));
    std::memcpy(memory_, image_.data(), image_.size());
#if defined(EMULATOR_ASAN)
    __asan_poison_memory_region(memory_, guard_bytes);
    __asan_poison_memory_region(memory_ + guard_bytes + bytes_, guard_bytes);
#endif
#endif
  }
  explicit DeviceBuffer(const std::vector<T>& values) : DeviceBuffer(values.size()) {
    if (bytes_ == 0) return;
#if defined(__CUDACC__)
    cudaMemcpy(data(), values.data(), bytes_, cudaMemcpyHostToDevice);
#else
    std::memcpy(static_cast<void*>(data()), values.data(), bytes_);
#endif
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() {
#if defined(__CUDACC__)
    cudaFree(memory_);
#else
#if defined(EMULATOR_ASAN)
    __asan_unpoison_memory_region(memory_, image_.size());
#endif
    std::free(memory_);
#endif
  }

  T* data() { return reinterpret_cast<T*>(memory_ + guard_bytes); }
  const T* data() const { return reinterpret_cast<const T*>(memory_ + guard_bytes); }

  std::vector<T> host() const {
    std::vector<T> values(count_);
    if (bytes_ == 0) return values;
#if defined(__CUDACC__)
    if (cudaMemcpy(values.data(), data(), bytes_, cudaMemcpyDeviceToHost) != cudaSuccess)
      throw std::runtime_error(cudaGetErrorString(cudaGetLastError()));
#else
    std::memcpy(static_cast<void*>(values.data()), data(), bytes_);
#endif
    return values;
  }

  /// Whether the guard zones are as they were. (The address sanitizer stops the program at once instead.)
  bool intact() const {
#if defined(EMULATOR_ASAN)
    return true;
#else
    std::vector<std::byte> now(image_.size());
#if defined(__CUDACC__)
    cudaMemcpy(now.data(), memory_, now.size(), cudaMemcpyDeviceToHost);
#else
    std::memcpy(now.data(), memory_, now.size());
#endif
    const auto end = static_cast<std::ptrdiff_t>(guard_bytes);
    return std::equal(now.begin(), now.begin() + end, image_.begin()) &&
           std::equal(now.end() - end, now.end(), image_.end() - end);
#endif
  }

 private:
  static constexpr std::size_t guard_bytes = 256;
  std::size_t count_, bytes_;
  std::vector<std::byte> image_;  ///< as it was made
  std::byte* memory_ = nullptr;
};

}  // namespace emulator
