/// Checks of learning rates against transformers' schedules: {"linear_warmup5_total20": [rate of step 0, 1, ...], ...}
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/train/schedule.hpp>

namespace flamingo::test {

struct ScheduleReport {
  std::string name;
  int steps = 0;     ///< compared
  double worst = 0;  ///< difference, of a peak of 1
  int worst_step = 0;
};

/// Steps up to the end of the schedule: beyond it transformers' cosine rises again, ours stays where it ended.
inline std::vector<ScheduleReport> check_schedules(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  const io::Json all = io::Json::parse(file.text(), path.string());
  std::vector<ScheduleReport> reports;
  for (const auto& [name, rates] : all.as_object()) {
    const std::size_t cut = name.find("_warmup", name.starts_with("constant_with_warmup") ? 20 : 0);
    long warmup = 0, total = 0;
    check(cut != std::string::npos && std::sscanf(name.c_str() + cut, "_warmup%ld_total%ld", &warmup, &total) == 2,
          "schedules", path, ": '", name, "' is not SHAPE_warmupN_totalN");
    const std::string shape = name.substr(0, cut);
    const bool constant = shape == "constant_with_warmup", linear = shape == "linear";
    check(constant || linear || shape == "cosine", "schedules", path, ": there is no shape '", shape,
          "', expected constant_with_warmup, linear or cosine");
    using Shape = Schedule::Shape;
    const Schedule schedule{.peak = 1,
                            .warmup = warmup,
                            .shape = constant ? Shape::constant
                                     : linear ? Shape::linear
                                              : Shape::cosine,
                            .steps = total,
                            .floor = 0};
    ScheduleReport report{name};
    for (const io::Json& rate : rates.as_array()) {
      if (!constant && report.steps > total) break;
      const double difference = std::abs(schedule.rate(report.steps) - rate.as_double());
      if (!(difference <= report.worst)) report = {name, report.steps, difference, report.steps};
      ++report.steps;
    }
    reports.push_back(report);
  }
  check(!reports.empty(), "schedules", path, " holds no schedules");
  return reports;
}

}  // namespace flamingo::test
