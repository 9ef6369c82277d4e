#include <flamingo/train/run_log.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "io/files.hpp"

namespace run_log_test {

using namespace flamingo;
using flamingo::tests::error_of;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {
long event_files(const std::filesystem::path& folder) {
  long n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    n += entry.path().filename().string().find("tfevents") != std::string::npos;
  return n;
}
}  // namespace

TEST_CASE("each step is a line, and a resumed run has none twice", "[run_log]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "log.jsonl";
  {
    RunLog log(folder.path());
    for (long step = 1; step <= 4; ++step)
      log.write(step,
                {{"loss/a \"b\"", 0.5 * static_cast<double>(step)}, {"bad", std::numeric_limits<double>::quiet_NaN()}});
  }
  CHECK(read_bytes(path).starts_with("{\"step\":1,\"loss/a \\\"b\\\"\":0.5,\"bad\":null}\n{\"step\":2,"));
  std::ofstream(path, std::ios::app) << "{\"step\":5,\"lo";  // the process was killed here
  {
    RunLog log(folder.path(), 2);
    log.write(3, {{"loss", 7}});
  }
  std::vector<std::int64_t> steps;
  read_log(path, [&](const io::Json& json, std::string_view) { steps.push_back(json.find("step")->as_integer()); });
  CHECK(steps == std::vector<std::int64_t>{1, 2, 3});
  CHECK(read_bytes(path).ends_with("\n{\"step\":3,\"loss\":7.0}\n"));
  CHECK(event_files(folder.path()) == 2);
  read_log(folder.path() / "missing", [](const io::Json&, std::string_view) { FAIL(); });
}

TEST_CASE("a file that is no log is refused where it goes wrong", "[run_log]") {
  const TemporaryFolder folder;
  const auto path = folder.write("log.jsonl", "{\"step\":1}\n{\"loss\":1}\n");
  CHECK(error_of([&] { RunLog log(folder.path()); }) ==
        "[run_log] " + path.string() + " (line 2): expected an object with a step");
  folder.write("log.jsonl", "{\"step\":1}\nnonsense\n");
  CHECK_THAT(error_of([&] { RunLog log(folder.path()); }), Catch::Contains(path.string() + " (line 2)"));
}

}  // namespace run_log_test
