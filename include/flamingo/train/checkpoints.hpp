/// The last checkpoints of a run: written beside and renamed, told whole from damaged by the checksum in their names.
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/checksum.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// A folder of files `step-000000120-1c0a3f9b.safetensors`: the step, and the CRC-32C of all bytes. A name is given in
/// one step to a file that is on the disk, so `kill -9` at any moment leaves the last checkpoint as it was. One process
/// writes a folder; any may read it meanwhile.
class Checkpoints {
 public:
  /// `keep`: how many stay, at least 1; two or more, that a file which the disk damaged is not the only one. `writes`:
  /// whether this process is the one of a group that does (DataParallel::writes()); the others only take part.
  explicit Checkpoints(std::filesystem::path folder, int keep = 3, bool writes = true)
      : folder_(std::move(folder)), keep_(keep), writes_(writes) {
    check(keep_ > 0, "checkpoints", "got ", keep_, " to keep, expected at least 1");
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    check(!error, "checkpoints", folder_.string(), ": ", error.message());
  }

  /// `write(path)` writes the file of a step (save_checkpoint, save_state); then the oldest ones go, and what a killed
  /// process left unfinished. Returns its name; a process that does not write returns nothing.
  std::filesystem::path save(long step, FunctionRef<void(const std::filesystem::path&)> write) {
    check(step >= 0, "checkpoints", "got step ", step);
    const std::filesystem::path beside = folder_ / unfinished;
    if (!writes_) {
      write(beside);
      return {};
    }
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error))
      if (entry.path().filename().string().starts_with(unfinished)) std::filesystem::remove(entry.path(), error);
    write(beside);
    const std::filesystem::path path = folder_ / name_of(step, io::crc32c(io::MappedFile(beside).data()));
    std::filesystem::rename(beside, path, error);
    check(!error, "checkpoints", beside.string(), " cannot become ", path.string(), ": ", error.message());
    io::flush_folder(folder_);
    // The file of this step counts as the newest: later ones are of a run that was set back.
    int kept = 0;
    for (const Entry& old : entries())
      if (old.path != path && (old.step >= step || ++kept >= keep_)) std::filesystem::remove(old.path, error);
    return path;
  }

  /// `read(path)` reads the newest whole checkpoint (load_checkpoint, load_state). Each that is damaged is told to
  /// `tell` and left out; returns nothing where there is no checkpoint. Throws Error where there are some and none is
  /// whole, and what `read` throws: a whole file that does not fit is a mistake, not damage.
  std::optional<long> resume(
      FunctionRef<void(const std::filesystem::path&)> read,
      FunctionRef<void(const std::string&)> tell = [](const std::string& line) {
        std::fprintf(stderr, "%s\n", line.c_str());
      }) const {
    const std::vector<Entry> all = entries();
    for (const Entry& entry : all) {
      const std::string damage = damage_of(entry);
      if (damage.empty()) {
        read(entry.path);
        return entry.step;
      }
      tell("[checkpoints] " + entry.path.string() + ": " + damage + "; the checkpoint before it is tried");
    }
    check(all.empty(), "checkpoints", folder_.string(), ": all ", all.size(),
          " checkpoints are damaged: remove them to begin anew");
    return {};
  }

  /// The files, newest first, whole or not.
  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> paths;
    for (Entry& entry : entries()) paths.push_back(std::move(entry.path));
    return paths;
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  static constexpr const char* unfinished = "unfinished.safetensors";  ///< and what AtomicFile writes beside it
  struct Entry {
    long step = 0;
    std::uint32_t checksum = 0;
    std::filesystem::path path;
  };

  static std::string name_of(long step, std::uint32_t checksum) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "step-%09ld-%08x.safetensors", step, static_cast<unsigned>(checksum));
    return text.data();
  }
  /// The step and checksum that a name tells, where it is one of ours.
  static std::optional<Entry> entry_of(const std::filesystem::path& path) {
    const std::string name = path.filename().string();
    Entry entry{.path = path};
    const std::size_t first = 5, second = name.find('-', first);
    if (!name.starts_with("step-") || second == name.npos) return {};
    const char* text = name.data();
    const auto step = std::from_chars(text + first, text + second, entry.step);
    const auto checksum = std::from_chars(text + second + 1, text + name.size(), entry.checksum, 16);
    if (step.ec != std::errc{} || checksum.ec != std::errc{} || name != name_of(entry.step, entry.checksum)) return {};
    return entry;
  }
  std::vector<Entry> entries() const {
    std::vector<Entry> all;
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(folder_, error))
      if (std::optional<Entry> entry = entry_of(file.path())) all.push_back(std::move(*entry));
    check(!error, "checkpoints", folder_.string(), ": ", error.message());
    std::sort(all.begin(), all.end(),
              [](const Entry& a, const Entry& b) { return std::tie(b.step, b.path) < std::tie(a.step, a.path); });
    return all;
  }
  /// What is wrong with a file; empty where nothing is.
  static std::string damage_of(const Entry& entry) {
    try {
      const io::MappedFile file(entry.path);
      const std::uint32_t found = io::crc32c(file.data());
      if (found == entry.checksum) return {};
      std::array<char, 96> text{};
      std::snprintf(text.data(), text.size(), "the checksum of its %zu bytes is %08x, expected %08x: it is damaged",
                    file.data().size(), static_cast<unsigned>(found), static_cast<unsigned>(entry.checksum));
      return text.data();
    } catch (const Error& error) {
      return error.what();
    }
  }

  std::filesystem::path folder_;
  int keep_;
  bool writes_;
};

}  // namespace flamingo
