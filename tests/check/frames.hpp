/// Checks of frame sampling: {"uniform": [{frames, samples, linspace_floor, linspace_round, segment_centre}, ...],
/// "fps": [{source_fps, target_fps, frames, indices}, ...]}
#pragma once
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/data/frames.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo::test {

struct FramesReport {
  int lists = 0, wrong = 0;
  std::string first;  ///< the first list that differs
};

inline FramesReport check_frames(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  const io::Json all = io::Json::parse(file.text(), path.string());
  FramesReport report;
  const auto compare = [&](const std::vector<int>& ours, const io::Json& theirs, const std::string& what) {
    std::vector<int> indices;
    for (const io::Json& i : theirs.as_array()) indices.push_back(static_cast<int>(i.as_double()));
    ++report.lists;
    if (ours == indices) return;
    if (report.wrong++ == 0) report.first = what;
  };
  const auto number = [](const io::Json& of, std::string_view name) { return of.at(name).as_double(); };
  constexpr std::array<std::pair<std::string_view, Spread>, 3> rules{
      {{"linspace_floor", Spread::floor}, {"linspace_round", Spread::round}, {"segment_centre", Spread::centres}}};
  for (const io::Json& one : all.at("uniform").as_array()) {
    const int frames = static_cast<int>(number(one, "frames")), samples = static_cast<int>(number(one, "samples"));
    for (const auto& [name, spread] : rules)
      compare(spread_frames(frames, samples, spread), one.at(name),
              std::string(name) + " of " + std::to_string(samples) + " in " + std::to_string(frames));
  }
  for (const io::Json& one : all.at("fps").as_array()) {
    const int frames = static_cast<int>(number(one, "frames"));
    compare(frames_at_rate(frames, number(one, "source_fps"), number(one, "target_fps")), one.at("indices"),
            std::to_string(number(one, "target_fps")) + " a second of " + std::to_string(frames));
  }
  check(report.lists > 0, "frames", path, " holds no lists of frames");
  return report;
}

}  // namespace flamingo::test
