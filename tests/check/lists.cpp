// check_lists FILE...: compares lists of numbers in JSON files, of frames to be sampled, of learning rates, of NFNets'
// sizes or of metrics, with ours: a line for each file. What a file holds is told by its keys. Ends with 1 where any
// differs.
#include <cstdio>
#include <string>

#include "check/frames.hpp"
#include "check/metrics.hpp"
#include "check/nfnet_shapes.hpp"
#include "check/schedules.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

bool agrees(const std::string& path) {
  const io::MappedFile file(path);
  const io::Json all = io::Json::parse(file.text(), path);
  if (all.find("uniform") != nullptr || all.find("fps") != nullptr) {
    const FramesReport report = check_frames(path);
    std::printf("%s: %s: %d lists of frames, %d wrong%s%s\n", path.c_str(), report.wrong ? "DIFFERS" : "agrees",
                report.lists, report.wrong, report.wrong ? ", first " : "", report.first.c_str());
    return report.wrong == 0;
  }
  if (all.find("vqa") || all.find("captions") || all.find("roc_auc")) {
    const MetricsReport report = check_metrics(path);
    std::printf("%s: %s: %d numbers of metrics, worst difference %g, %d texts, %d wrong%s%s%s%s\n", path.c_str(),
                report.wrong || !report.numbers ? "DIFFERS" : "agrees", report.numbers, report.worst, report.texts,
                report.wrong, report.wrong ? ", first " : "", report.first.c_str(),
                report.left.empty() ? "" : "; not compared:", report.left.c_str());
    return report.wrong == 0 && report.numbers > 0;
  }
  if (const auto& members = all.as_object(); !members.empty() && members[0].value.is_object()) {
    const NfNetShapes report = check_nfnet_shapes(path);
    std::printf("%s: %s: %d numbers of NFNets' sizes, %d wrong%s%s\n", path.c_str(),
                report.wrong ? "DIFFERS" : "agrees", report.numbers, report.wrong, report.wrong ? ", first " : "",
                report.first.c_str());
    return report.wrong == 0;
  }
  bool all_agree = true;
  for (const ScheduleReport& r : check_schedules(path)) {
    const bool good = r.steps > 0 && r.worst < 1e-9;
    std::printf("%s: %s: %s, %d rates, worst difference %g at step %d\n", path.c_str(), good ? "agrees" : "DIFFERS",
                r.name.c_str(), r.steps, r.worst, r.worst_step);
    all_agree = all_agree && good;
  }
  return all_agree;
}

}  // namespace

int main(int count, char** files) {
  bool all = count > 1;
  for (int i = 1; i < count; ++i) try {
      all = agrees(files[i]) && all;
    } catch (const std::exception& error) {
      std::printf("%s: DIFFERS: %s\n", files[i], error.what());
      all = false;
    }
  return all ? 0 : 1;
}
