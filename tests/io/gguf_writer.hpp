/// Writes small GGUF files for the tests, also wrong ones.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "files.hpp"

namespace flamingo::tests {

class GgufWriter {
 public:
  explicit GgufWriter(std::size_t alignment = 32) : alignment_(alignment) {}

  static std::string string(std::string_view text) {
    return bytes_of(static_cast<std::uint64_t>(text.size())) + std::string(text);
  }
  static std::string array(std::uint32_t type, const std::vector<std::string>& elements) {
    std::string bytes = bytes_of(type) + bytes_of(static_cast<std::uint64_t>(elements.size()));
    for (const std::string& element : elements) bytes += element;
    return bytes;
  }
  void key(std::string_view name, std::uint32_t type, const std::string& value) {
    keys_ += string(name) + bytes_of(type) + value;
    ++key_count_;
  }
  /// `extents` innermost first, as the file has them.
  void tensor(std::string_view name, std::uint32_t type, const std::vector<std::uint64_t>& extents,
              const std::string& bytes) {
    data_.append((alignment_ - data_.size() % alignment_) % alignment_, '\0');
    tensor_at(name, type, extents, data_.size(), bytes);
  }
  void tensor_at(std::string_view name, std::uint32_t type, const std::vector<std::uint64_t>& extents,
                 std::uint64_t offset, const std::string& bytes) {
    tensors_ += string(name) + bytes_of(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) tensors_ += bytes_of(extent);
    tensors_ += bytes_of(type) + bytes_of(offset);
    data_ += bytes;
    ++tensor_count_;
  }
  std::string file() const {
    std::string bytes =
        "GGUF" + bytes_of(std::uint32_t{3}) + bytes_of(tensor_count_) + bytes_of(key_count_) + keys_ + tensors_;
    bytes.append((alignment_ - bytes.size() % alignment_) % alignment_, '\0');
    return bytes + data_;
  }

 private:
  std::size_t alignment_;
  std::uint64_t key_count_ = 0, tensor_count_ = 0;
  std::string keys_, tensors_, data_;
};

}  // namespace flamingo::tests
