/// A file that appears under its name complete or not at all: written beside, flushed to the disk, then renamed.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/core/check.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo::io {

/// Flushes a folder's names to the disk. Some file systems do not; the files themselves are whole either way.
inline void flush_folder(const std::filesystem::path& folder) {
  const detail::Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number >= 0) ::fsync(directory.number);
}

/// Collects bytes in a temporary file beside `path`; commit() gives it that name in one step. Without commit() (an
/// error, a kill) whatever had the name before is untouched. Throws Error with the path when the system refuses
/// something.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    for (int n = 0; file_.number < 0; ++n) {
      temporary_ = path_;
      temporary_ += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(n);
      file_.number = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file_.number < 0 && errno != EEXIST) refuse("cannot create a temporary file beside it");
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (!committed_) ::unlink(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t piece = std::min(bytes.size(), std::size_t{1} << 30);
      const auto written = ::write(file_.number, bytes.data(), piece);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) refuse("cannot write it");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  /// Writes from a byte of the file on; what nobody writes before commit() is zero. Leaves alone where write() goes on.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t piece = std::min(bytes.size(), std::size_t{1} << 30);
      const auto written = ::pwrite(file_.number, bytes.data(), piece, static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) refuse("cannot write it");
      offset += static_cast<std::uint64_t>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  /// Flushes the bytes to the disk, then renames; afterwards the folder, so that the new name survives a power cut too.
  /// Without `flush` a kill leaves nothing half written all the same, a power cut may.
  void commit(bool flush = true) {
    if (flush && ::fsync(file_.number) != 0) refuse("cannot flush it to the disk");
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) refuse("cannot rename the finished file to it");
    committed_ = true;
    if (!flush) return;
    flush_folder(path_.has_parent_path() ? path_.parent_path() : ".");
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    const std::string reason = detail::system_error_text();
    fail("atomic_file", path_.string(), ": ", what, " (", reason, ")");
  }

  std::filesystem::path path_, temporary_;
  detail::Descriptor file_{-1};
  bool committed_ = false;
};

}  // namespace flamingo::io
