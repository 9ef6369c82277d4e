/// A file mapped into memory for reading: pages are read when touched and shared between processes.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <flamingo/core/check.hpp>

namespace flamingo::io {

namespace detail {

/// The text of errno: must be called right after the call that failed.
inline std::string system_error_text() { return std::generic_category().message(errno); }

/// Closes a file descriptor at the end of the scope.
struct Descriptor {
  int number = -1;
  explicit Descriptor(int n) : number(n) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace detail

/// Owns a read-only mapping of a whole regular file; views into data() live as long as it, also when it is moved.
/// An empty file is an empty span. The file must not be cut short meanwhile: reading what is gone ends the process
/// (files that are replaced by renaming, as all our writers do, keep their old mapping).
class MappedFile {
 public:
  /// Throws Error with the path when the file is missing, not readable or not a regular file.
  explicit MappedFile(std::filesystem::path path) : path_(std::move(path)) {
    // O_NONBLOCK: a pipe without a writer is then refused below instead of waited for.
    const detail::Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.number < 0) refuse("cannot open it (" + detail::system_error_text() + ")");
    struct stat status {};
    if (::fstat(file.number, &status) != 0) refuse("cannot examine it (" + detail::system_error_text() + ")");
    if (S_ISDIR(status.st_mode)) refuse("it is a directory");
    if (!S_ISREG(status.st_mode)) refuse("it is not a regular file");
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    void* start = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.number, 0);
    if (start == MAP_FAILED) refuse("cannot map it (" + detail::system_error_text() + ")");
    start_ = static_cast<const std::byte*>(start);
  }
  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)),
        start_(std::exchange(other.start_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(start_, other.start_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (start_ != nullptr) ::munmap(const_cast<std::byte*>(start_), size_);
  }

  std::span<const std::byte> data() const { return {start_, size_}; }
  /// The same bytes as characters, for text files.
  std::string_view text() const { return {reinterpret_cast<const char*>(start_), size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail("mapped_file", path_.string(), ": ", what, ", expected a readable file");
  }

  std::filesystem::path path_;
  const std::byte* start_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace flamingo::io
