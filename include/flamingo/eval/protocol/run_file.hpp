/// The record of a run: JSON lines, the settings first, then each query as it is answered. An interrupted run goes on
/// where its file ends.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

class RunFile {
 public:
  /// Begins a file with `settings`, or goes on with the one that is there. Throws where that one's settings are others
  /// (and tells which), or where it holds what no run writes. A last line that was not written to its end is cut off.
  RunFile(std::filesystem::path path, const io::Json& settings) : path_(std::move(path)) {
    std::size_t whole = 0;
    if (std::filesystem::exists(path_)) whole = read(settings);
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file_ < 0) refuse("cannot be opened");
    if (::ftruncate(file_, static_cast<off_t>(whole)) != 0) refuse("cannot be cut to its whole lines");
    if (whole == 0) append(settings);
  }
  RunFile(const RunFile&) = delete;
  RunFile& operator=(const RunFile&) = delete;
  ~RunFile() {
    if (file_ >= 0) ::close(file_);
  }

  /// The record of an item that was answered already, or null.
  const io::Json* find(std::string_view item) const {
    const auto found = records_.find(std::string(item));
    return found == records_.end() ? nullptr : &found->second;
  }
  std::size_t size() const { return records_.size(); }

  /// One more record, on the disk when this returns: {"item": id, ...}. Throws where the item has one already.
  void record(io::Json record) {
    const std::string item = record.at("item").as_string();
    check(!find(item), "run_file", path_.string(), ": item ", item, " is answered already");
    append(record);
    records_.emplace(item, std::move(record));
  }

 private:
  /// How many bytes are whole lines.
  std::size_t read(const io::Json& settings) {
    const io::MappedFile file(path_);
    const std::string_view text = file.text();
    std::size_t at = 0;
    for (std::size_t line = 1; at < text.size(); ++line) {
      const std::size_t end = text.find('\n', at);
      if (end == text.npos) break;
      const std::string where = path_.string() + ", line " + std::to_string(line);
      io::Json json = io::Json::parse(text.substr(at, end - at), where);
      at = end + 1;
      if (line == 1) {
        compare(json, settings, where);
        continue;
      }
      const io::Json* item = json.is_object() ? json.find("item") : nullptr;
      check(item && item->is_string(), "run_file", where, ": found no record of an item");
      const std::string id = item->as_string();
      check(records_.emplace(id, std::move(json)).second, "run_file", where, ": item ", id, " is there twice");
    }
    return at;
  }
  static void compare(const io::Json& found, const io::Json& expected, const std::string& where) {
    if (found == expected) return;
    std::string differs;
    if (found.is_object())
      for (const auto& [name, value] : expected.as_object()) {
        const io::Json* other = found.find(name);
        if (!other || *other != value)
          differs += " " + name + " " + (other ? other->dump() : "missing") + ", not " + value.dump() + ";";
      }
    fail("run_file", where, ": it is a run of other settings:", differs.empty() ? " more of them" : differs,
         " remove it, or write elsewhere");
  }
  void append(const io::Json& json) {
    // One write of a whole line: whoever is killed leaves whole lines, or a last one that shows its lack of an end.
    std::string line = json.dump() + '\n';
    std::string_view left = line;
    while (!left.empty()) {
      const auto written = ::write(file_, left.data(), left.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) refuse("cannot be written");
      left.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fdatasync(file_) != 0 && errno != EINVAL && errno != EROFS) refuse("cannot be flushed to the disk");
  }
  [[noreturn]] void refuse(std::string_view what) const {
    const std::string reason = io::detail::system_error_text();
    if (file_ >= 0) ::close(file_);
    fail("run_file", path_.string(), ": ", what, " (", reason, ")");
  }

  std::filesystem::path path_;
  int file_ = -1;
  std::map<std::string, io::Json> records_;
};

}  // namespace flamingo
