/// What the programs that evaluate share: options, progress, the JSON and the page. A program brings its model.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/eval/protocol/evaluate.hpp>
#include <flamingo/eval/protocol/run_plan.hpp>
#include <flamingo/eval/protocol/task_plan.hpp>
#include <flamingo/eval/report/report.hpp>
#include <flamingo/infer/attention_overlay.hpp>
#include <flamingo/io/data_uri.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/io/image_writer.hpp>
#include <flamingo/io/resize.hpp>
#include <flamingo/train/progress.hpp>

namespace evaluation {

namespace fs = std::filesystem;

inline constexpr const char* options_text =
    "  PLAN   tasks, shots, controls and seeds (examples/evaluation/test.json)\n"
    "  DATA   the folder of the items that the plan names\n"
    "  OUT    gets the runs' files, from which an interrupted run goes on, results.json and report.html\n"
    "  --json FILE     every number, there instead of OUT/results.json\n"
    "  --only A,B      these tasks alone\n"
    "  --queries N     at most so many of each task\n"
    "  --threads N     default: all cores\n";

struct Options {
  fs::path plan, data, out, json;
  std::vector<std::string> only;
  std::size_t queries = 0;
  int threads = 0;

  /// Of the words after the program's own.
  static Options parse(std::span<char* const> words, const std::string& usage) {
    flamingo::check(words.size() >= 3, "evaluate", usage);
    Options o{words[0], words[1], words[2], fs::path(words[2]) / "results.json", {}, 0, 0};
    for (std::size_t i = 3; i < words.size(); i += 2) {
      const std::string_view name = words[i];
      flamingo::check(i + 1 < words.size(), "evaluate", name, " has no value\n", usage);
      const std::string value = words[i + 1];
      if (name == "--json") {
        o.json = value;
      } else if (name == "--only") {
        for (std::size_t at = 0; at <= value.size();) {
          const std::size_t end = std::min(value.find(',', at), value.size());
          o.only.push_back(value.substr(at, end - at));
          at = end + 1;
        }
      } else {
        flamingo::check(name == "--queries" || name == "--threads", "evaluate", "unknown option ", name, '\n', usage);
        const long number = std::atol(value.c_str());
        flamingo::check(number > 0, "evaluate", name, ' ', value, ", expected a positive number\n", usage);
        if (name == "--queries")
          o.queries = static_cast<std::size_t>(number);
        else
          o.threads = static_cast<int>(number);
      }
    }
    return o;
  }
};

/// A medium's files as the encoder gets them: a picture; of a folder its frames in the order of their names, the first
/// alone, or in another order where a control says so. Empty: a blank one.
inline std::vector<fs::path> files_of(const flamingo::TaskMedium& medium) {
  std::string_view path = medium.path;
  if (path == flamingo::blank_medium) return {};
  const bool first = path.starts_with(flamingo::first_frame_of),
             shuffled = path.starts_with(flamingo::shuffled_frames_of);
  if (first) path.remove_prefix(flamingo::first_frame_of.size());
  if (shuffled) path.remove_prefix(flamingo::shuffled_frames_of.size());
  if (!fs::is_directory(path)) return {fs::path(path)};
  std::vector<fs::path> frames;
  for (const auto& entry : fs::directory_iterator(path))
    if (entry.is_regular_file()) frames.push_back(entry.path());
  flamingo::check(!frames.empty(), "evaluate", path, ": found no frames");
  std::sort(frames.begin(), frames.end());
  if (first) frames.resize(1);
  if (shuffled && frames.size() > 1) {  // never their own order: each stands where another stood
    const auto from = flamingo::deranged(flamingo::draw_for(0, path), frames.size());
    const std::vector<fs::path> before = frames;
    for (std::size_t i = 0; i < frames.size(); ++i) frames[i] = before[from[i]];
  }
  return frames;
}

inline std::string hash_of(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::uint64_t key = flamingo::hash(bytes);
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += digits[key >> shift & 15];
  return text;
}

/// `seen(file)` is a picture as the encoder's grid covers it.
inline flamingo::ReportPictures pictures(const flamingo::Function<flamingo::io::Image(const fs::path&)>& seen) {
  using namespace flamingo;
  const auto shown = [seen](const std::string& path, int side) -> io::Image {
    const std::vector<fs::path> files = files_of({path});
    io::Image image = files.empty() ? io::Image{1, 1, {255, 255, 255}} : seen(files[0]);
    const int longer = std::max(image.width, image.height), width = std::max(1, image.width * side / longer),
              height = std::max(1, image.height * side / longer);
    return io::resize(std::move(image), width, height, io::Filter::bilinear);
  };
  return {
      .thumbnail =
          [shown](const std::string& path) { return io::data_uri("image/jpeg", io::jpeg_bytes(shown(path, 96), 80)); },
      .overlay =
          [shown](const std::string& path, std::span<const double> heat, int columns, int rows) {
            return io::data_uri(
                "image/jpeg",
                io::jpeg_bytes(attention_overlay(shown(path, 128), heat, {.columns = columns, .rows = rows}), 85));
          }};
}

/// Runs the plan, prints how far it is and a table, writes numbers and page.
template <class Model>
int run(Model& model, const Options& o, const std::string& checkpoint,
        const flamingo::Function<flamingo::io::Image(const fs::path&)>& seen) {
  using namespace flamingo;
  const TaskPlan plan = read_task_plan(o.plan);
  fs::create_directories(o.out);
  const bool terminal = rewrites_lines(2);
  std::optional<Progress> progress;
  PlanRunner runner(model,
                    {.data = o.data, .out = o.out, .queries = o.queries, .only = o.only, .checkpoint = checkpoint},
                    [&](const PlanProgress& p) {
                      if (!progress) progress.emplace(std::cerr, "evaluating", static_cast<long>(p.all), terminal);
                      progress->report(static_cast<long>(p.done), p.what, static_cast<long>(p.resumed));
                    });
  const io::Json results = runner.run(plan);
  progress.reset();
  const auto write = [](const fs::path& path, const std::string& text) {
    if (path.has_parent_path()) fs::create_directories(path.parent_path());
    io::AtomicFile file(path);
    file.write(text);
    file.commit();
  };
  write(o.json, results.dump(1) + "\n");
  write(o.out / "report.html", report_html(results, pictures(seen)));
  for (const io::Json& task : results.at("tasks").as_array()) {
    if (const io::Json* missing = task.find("missing")) {
      std::cout << task.at("name").as_string() << ": left out, " << missing->as_string() << " is not there\n";
      continue;
    }
    const std::string& metric = task.at("metric").as_string();
    std::cout << task.at("name").as_string() << ", " << metric << '\n';
    for (const io::Json& r : task.at("runs").as_array()) {
      const io::Json& score = r.at("scores").at(metric);
      std::cout << "  " << r.at("shots").as_integer() << " shots, " << r.at("support").as_string() << ", control "
                << r.at("control").as_string() << ": " << report::rounded(score.at("mean").as_double(), 2) << " ("
                << report::rounded(score.at("low").as_double(), 2) << " to "
                << report::rounded(score.at("high").as_double(), 2) << ")\n";
    }
  }
  std::cout << "numbers: " << o.json.string() << "\nreport: " << (o.out / "report.html").string() << '\n';
  return 0;
}

}  // namespace evaluation
