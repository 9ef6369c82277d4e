/// What a run said at each step, as lines of JSON and as TensorBoard's events; a resumed run has no step twice.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/core/check.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/train/event_file.hpp>
#include <flamingo/train/measures.hpp>

namespace flamingo {

/// Calls line(JSON object) for each line of a log. What follows the last end of a line, which a kill may have cut, is
/// left out. Throws Error with the file and the line where one is no JSON object with a step.
template <class Line>
void read_log(const std::filesystem::path& path, const Line& line) {
  if (!std::filesystem::exists(path)) return;
  const io::MappedFile file(path);
  const std::string_view text = file.text();
  int number = 0;
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
    const std::string place = path.string() + " (line " + std::to_string(++number) + ")";
    const io::Json json = io::Json::parse(text.substr(at, end - at), place);
    const io::Json* step = json.is_object() ? json.find("step") : nullptr;
    check(step != nullptr && step->is_integer(), "run_log", place, ": expected an object with a step");
    line(json, text.substr(at, end + 1 - at));
  }
}

/// `log.jsonl` and event files in a folder.
class RunLog {
 public:
  /// `after`: the step that the run goes on after. What the log has of later ones, which were lost, is removed.
  explicit RunLog(const std::filesystem::path& folder, long after = 0)
      : path_(folder / "log.jsonl"), events_(folder, after) {
    std::string kept;
    read_log(path_, [&](const io::Json& json, std::string_view line) {
      if (json.find("step")->as_integer() <= after) kept += line;
    });
    if (std::filesystem::exists(path_)) {
      io::AtomicFile file(path_);
      file.write(kept);
      file.commit();
    }
    file_.number = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    check(file_.number >= 0, "run_log", path_.string(), ": cannot open it (", io::detail::system_error_text(), ")");
  }

  /// One line and one event. A number that is not finite is null in JSON.
  void write(long step, const Measures& measures) {
    io::Json::Object object{{"step", io::Json(static_cast<std::int64_t>(step))}};
    for (const Measure& m : measures)
      object.push_back({m.name, std::isfinite(m.value) ? io::Json(m.value) : io::Json(nullptr)});
    const std::string line = io::Json(std::move(object)).dump() + '\n';
    check(::write(file_.number, line.data(), line.size()) == static_cast<ssize_t>(line.size()), "run_log",
          path_.string(), ": cannot write it (", io::detail::system_error_text(), ")");
    events_.write(step, measures);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  EventFile events_;
  io::detail::Descriptor file_{-1};
};

}  // namespace flamingo
