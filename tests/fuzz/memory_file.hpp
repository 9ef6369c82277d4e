/// Bytes as a file that never reaches a disk, for readers that map files.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace flamingo::tests {

class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : number_(::memfd_create("fuzz", 0)) {
    if (number_ < 0 || ::write(number_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(number_); }
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(number_); }

 private:
  int number_;
};

/// Reads every byte that a tensor claims to have, so that a sanitizer sees what lies outside.
template <class File>
void read_all(const File& file) {
  unsigned sum = 0;
  for (const auto& tensor : file.tensors())
    for (const std::byte byte : tensor.bytes) sum += std::to_integer<unsigned>(byte);
  [[maybe_unused]] volatile unsigned kept = sum;
}

}  // namespace flamingo::tests
